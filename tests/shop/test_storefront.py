"""What the customer sees: pages and their age, carts, and proper errors."""

import json
import time

import pytest
import redis

FEATURED = "shop:page:featured"


def product_key(sku):
    """Where the page of a product is kept."""
    return f"shop:page:product:{sku}"


@pytest.fixture
def cache(shop):
    """The Redis of the shop, without any page."""
    with redis.Redis.from_url(shop.redis_url) as connection:
        for key in connection.scan_iter("shop:page:*"):
            connection.delete(key)
        yield connection


def keep(cache, key, age_seconds, **page):
    """Put a page of a certain age into the cache."""
    cache.set(key, f"{time.time() - age_seconds:.3f}\n{json.dumps(page)}")


@pytest.mark.usefixtures("cache")
def test_browse_shows_the_featured_products(shop):
    """The front page's products are those that many buyers meet at."""
    products = shop.ask("storefront", "GET", "/").json()["products"]
    hot = shop.sql("SELECT sku FROM inventory.products WHERE is_hot ORDER BY sku")
    assert [product["sku"] for product in products] == [row["sku"] for row in hot]


def test_search_passes_the_result_on(shop):
    """The storefront adds nothing to what search finds."""
    direct, through = (shop.ask(s, "GET", "/search", params={"q": "tent"}) for s in ("search", "storefront"))
    assert through.json() == direct.json()


@pytest.mark.usefixtures("cache")
def test_a_page_is_cached_while_it_is_fresh(shop):
    """The second reader is answered from Redis."""
    states = [shop.ask("storefront", "GET", "/products/BEA-00008").headers["X-Cache"] for _ in range(2)]
    assert states == ["miss", "fresh"]


def test_a_fresh_page_is_served_as_it_is(shop, cache):
    """Within the limit nobody is asked: the page may be a little behind."""
    keep(cache, product_key("BEA-00018"), age_seconds=5, name="as it was")
    answer = shop.ask("storefront", "GET", "/products/BEA-00018")
    assert (answer.json()["name"], answer.headers["X-Cache"], int(answer.headers["Age"]) >= 5) == (
        "as it was",
        "fresh",
        True,
    )


def test_an_aged_page_is_fetched_again(shop, cache):
    """Past the limit the owner is asked, and its answer replaces the page."""
    keep(cache, product_key("BEA-00028"), age_seconds=60, name="as it was")
    answer = shop.ask("storefront", "GET", "/products/BEA-00028")
    assert (answer.json()["sku"], answer.headers["X-Cache"]) == ("BEA-00028", "miss")
    assert shop.ask("storefront", "GET", "/products/BEA-00028").headers["X-Cache"] == "fresh"


def test_a_stale_page_bridges_an_outage_and_says_so(shop, cache):
    """When its owner fails, an old page is better than none, and is marked."""
    keep(cache, product_key("BEA-00038"), age_seconds=60, name="as it was")
    with shop.fault("inventory", error_rate=1.0):
        answer = shop.ask("storefront", "GET", "/products/BEA-00038")
        without = shop.ask("storefront", "GET", "/products/BEA-00048")
    assert (answer.status_code, answer.json()["name"], answer.headers["X-Cache"]) == (200, "as it was", "stale")
    assert (without.status_code, without.json()) == (502, {"detail": "inventory failed"})


def test_a_page_that_no_longer_exists_is_not_served_stale(shop, cache):
    """404 is an answer, not an outage."""
    keep(cache, product_key("XXX-00000"), age_seconds=60, name="as it was")
    assert shop.ask("storefront", "GET", "/products/XXX-00000").status_code == 404


def test_pages_are_forgotten_after_the_stale_limit(shop, cache):
    """Redis drops what may not be served any more."""
    shop.ask("storefront", "GET", "/")
    assert 0 < cache.pttl(FEATURED) <= 300_000


def test_a_cart_adds_up(shop):
    """Quantities of one product are added, prices are those that were shown."""
    cart_id = shop.fill_cart("CLO-00009", "CLO-00009", "CLO-00019")
    cart = shop.ask("storefront", "GET", f"/carts/{cart_id}").json()
    prices = {line["sku"]: line["unit_price_cents"] for line in cart["lines"]}
    assert {line["sku"]: line["quantity"] for line in cart["lines"]} == {"CLO-00009": 2, "CLO-00019": 1}
    assert cart["subtotal_cents"] == 2 * prices["CLO-00009"] + prices["CLO-00019"]


def test_an_unknown_cart_is_empty(shop):
    """A customer's first look at the cart is no error."""
    assert shop.ask("storefront", "GET", "/carts/new").json() == {"cart_id": "new", "lines": [], "subtotal_cents": 0}


@pytest.mark.parametrize("sku", ["XXX-00000", "nope", "%2e%2e", "HIK-00000x", "%2e%2e%2fhealthz"])
def test_an_unknown_product_is_not_found(shop, sku):
    """404, whatever the customer types."""
    assert shop.ask("storefront", "GET", f"/products/{sku}").status_code == 404


def test_an_unknown_product_cannot_be_put_into_a_cart(shop):
    """404, and the cart stays empty."""
    answer = shop.ask("storefront", "POST", "/carts/c-404/items", json={"sku": "XXX-00000", "quantity": 1})
    assert (answer.status_code, shop.ask("storefront", "GET", "/carts/c-404").json()["lines"]) == (404, [])


@pytest.mark.usefixtures("cache")
def test_a_sold_out_product_cannot_be_put_into_a_cart(shop):
    """409, not a server error."""
    shop.sql("UPDATE inventory.stock SET available = 0 WHERE sku = 'CLO-00029'")
    answer = shop.ask("storefront", "POST", "/carts/c-409/items", json={"sku": "CLO-00029", "quantity": 1})
    assert (answer.status_code, answer.json()) == (409, {"detail": "sold out: CLO-00029"})


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/carts/c/items", {"sku": "HIK-00000", "quantity": 0}),
        ("/carts/c/items", {"sku": "HIK-00000"}),
        ("/carts/bad%20id/items", {"sku": "HIK-00000", "quantity": 1}),
        ("/checkout", {"cart_id": "c"}),
        ("/checkout", {"cart_id": "c", "card_token": "4111 1111 1111 1111"}),
        ("/checkout", {"cart_id": "c", "card_token": "4111111111111111"}),
    ],
)
def test_a_bad_body_is_refused_without_being_repeated(shop, path, body):
    """422; what was typed in is not echoed, for it may be a card number."""
    answer = shop.ask("storefront", "POST", path, json=body)
    assert (answer.status_code, "4111" in answer.text, "input" in answer.text) == (422, False, False)


def test_an_unreachable_service_is_unavailable(databases):
    """503 names who is away, and a cart that cannot be paid is kept."""
    with databases.running("inventory", "checkout", "storefront", SHOP_PAYMENT_URL="http://127.0.0.1:1") as shop:
        cart_id = shop.fill_cart("CLO-00039")
        answer = shop.buy(cart_id)
        assert (answer.status_code, answer.json()) == (503, {"detail": "payment cannot be reached"})
        assert len(shop.ask("storefront", "GET", f"/carts/{cart_id}").json()["lines"]) == 1


def test_without_redis_pages_are_served_and_carts_are_not(databases):
    """A lost cache costs speed; lost carts are said to be unavailable."""
    settings = {"SHOP_REDIS_URL": "redis://127.0.0.1:1/0"}
    with databases.running("search", "storefront", **settings) as shop:
        assert shop.ask("storefront", "GET", "/").headers["X-Cache"] == "miss"
        answer = shop.ask("storefront", "GET", "/carts/any")
        assert (answer.status_code, answer.json()) == (503, {"detail": "carts are unavailable"})
