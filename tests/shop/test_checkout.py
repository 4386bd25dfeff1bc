"""A purchase from cart to order, and what happens when a part of it fails."""

from uuid import uuid4

ORDERS = "SELECT * FROM checkout.orders WHERE cart_id = $1"


def test_a_purchase(shop):
    """The order is written, the card charged, the stock taken, the cart empty."""
    before = shop.available("RUN-00001")
    cart_id = shop.fill_cart("RUN-00001", "RUN-00001", "RUN-00011")
    answer = shop.buy(cart_id)
    assert answer.status_code == 201, answer.text
    order = answer.json()
    (row,) = shop.sql(ORDERS, cart_id)
    (charge,) = shop.sql("SELECT * FROM payment.charges WHERE idempotency_key = $1", order["order_id"])
    assert (row["total_cents"], charge["amount_cents"], charge["status"]) == (
        order["total_cents"],
        order["total_cents"],
        "approved",
    )
    assert shop.available("RUN-00001") == before - 2
    assert shop.ask("storefront", "GET", f"/carts/{cart_id}").json()["lines"] == []


def test_the_price_is_the_catalogues(shop):
    """Lines add up, and shipping is free from 50 EUR."""
    prices = {row["sku"]: row["price_cents"] for row in shop.sql("SELECT sku, price_cents FROM inventory.products")}
    cheap, dear = min(prices, key=prices.get), max(prices, key=prices.get)
    orders = [shop.buy(shop.fill_cart(sku)).json() for sku in (cheap, dear)]
    assert [(order["subtotal_cents"], order["shipping_cents"], order["total_cents"]) for order in orders] == [
        (prices[cheap], 490, prices[cheap] + 490),
        (prices[dear], 0, prices[dear]),
    ]


def test_a_declined_card_releases_the_stock(shop):
    """402: nothing is sold, the stock is back, and the customer still has the cart and can pay with another card."""
    before = shop.available("RUN-00021")
    cart_id = shop.fill_cart("RUN-00021")
    declined = shop.buy(cart_id, "tok_declined")
    assert (declined.status_code, declined.json()) == (402, {"detail": "card declined"})
    assert (shop.available("RUN-00021"), shop.sql(ORDERS, cart_id)) == (before, [])
    assert shop.buy(cart_id).status_code == 201


def test_a_failing_payment_releases_the_stock(shop):
    """502, and the stock is back."""
    before = shop.available("RUN-00031")
    cart_id = shop.fill_cart("RUN-00031")
    with shop.fault("payment", error_rate=1.0):
        answer = shop.buy(cart_id)
    assert (answer.status_code, shop.available("RUN-00031")) == (502, before)


def test_sold_out_at_checkout(shop):
    """409 when the last piece went between cart and checkout."""
    cart_id = shop.fill_cart("RUN-00041")
    shop.sql("UPDATE inventory.stock SET available = 0 WHERE sku = 'RUN-00041'")
    answer = shop.buy(cart_id)
    assert (answer.status_code, answer.json()) == (409, {"detail": "sold out: RUN-00041"})


def test_an_empty_cart_cannot_be_bought(shop):
    """409, and a paid cart is an empty one: two clicks buy once."""
    cart_id = shop.fill_cart("RUN-00051")
    assert [shop.buy(cart_id).status_code for _ in range(2)] == [201, 409]
    assert len(shop.sql(ORDERS, cart_id)) == 1


def test_an_order_asked_for_twice_is_one_order(shop):
    """A caller whose answer was lost may ask again: one order, one charge, stock taken once."""
    before = shop.available("RUN-00061")
    cart_id = f"twice-{uuid4()}"
    body = {
        "order_id": str(uuid4()),
        "cart_id": cart_id,
        "lines": [{"sku": "RUN-00061", "quantity": 3}],
        "card_token": "tok_approved",
    }
    first, second = (shop.ask("checkout", "POST", "/orders", json=body) for _ in range(2))
    assert (first.status_code, second.json()) == (201, first.json())
    assert (len(shop.sql(ORDERS, cart_id)), shop.available("RUN-00061")) == (1, before - 3)


def test_checkout_has_no_protection_against_inventory(databases, peer):
    """One failure of inventory is one failed purchase: it is asked once, and nothing stands in."""
    peer.script = [500]
    body = {
        "order_id": str(uuid4()),
        "cart_id": "c",
        "lines": [{"sku": "RUN-00071", "quantity": 1}],
        "card_token": "tok_approved",
    }
    with databases.running("checkout", SHOP_INVENTORY_URL=peer.url) as shop:
        answer = shop.ask("checkout", "POST", "/orders", json=body)
    assert (answer.status_code, answer.json(), len(peer.keys)) == (502, {"detail": "inventory failed"}, 1)
