"""Full-text search finds sensible things and is rate-limited per shopper."""

import pytest


def names(shop, query):
    """The names that a search finds."""
    answer = shop.ask("search", "GET", "/search", params={"q": query, "limit": 50})
    assert answer.status_code == 200, answer.text
    return [product["name"] for product in answer.json()["products"]]


def test_every_word_has_to_match(shop):
    """``waterproof tent`` finds waterproof tents."""
    found = names(shop, "waterproof tent")
    assert found
    assert [name for name in found if "Waterproof" not in name or "Tent" not in name] == []


def test_word_forms_are_the_same_word(shop):
    """A shopper who types the plural finds the same products."""
    assert names(shop, "tents") == names(shop, "tent")


def test_a_word_can_be_excluded(shop):
    """The web's usual syntax works."""
    assert [name for name in names(shop, "tent -waterproof") if "Waterproof" in name] == []


def test_a_match_in_the_name_comes_before_one_in_the_category(shop):
    """``running socks`` are socks, though all of Running matches one of the words."""
    assert all("Running Socks" in name for name in names(shop, "running socks")[:5])


@pytest.mark.parametrize("query", ["zzzzqqq", "the", "'; DROP TABLE search.products; --", '"unclosed', "& | !"])
def test_odd_queries_find_nothing_and_do_no_harm(shop, query):
    """Unknown words, stop words and broken syntax are no error."""
    assert names(shop, query) == []


@pytest.mark.parametrize("query", ["", "x" * 101, "nul\x00"])
def test_a_bad_query_is_the_callers_fault(shop, query):
    """422, not a database error."""
    assert shop.ask("search", "GET", "/search", params={"q": query}).status_code == 422


def test_the_total_counts_all_matches(shop):
    """The list is short, the number is not."""
    answer = shop.ask("search", "GET", "/search", params={"q": "waterproof", "limit": 3}).json()
    assert len(answer["products"]) == 3
    assert (
        answer["total"] == shop.sql("SELECT count(*) FROM search.products WHERE description ILIKE '%waterproof%'")[0][0]
    )


def test_the_rate_limit_counts_each_shopper_alone(databases):
    """The fourth search of one shopper is refused, another shopper's first is not."""
    with databases.running("search", SHOP_SEARCH_RATE_LIMIT="3/day") as shop:

        def search(shopper):
            return shop.ask("search", "GET", "/search", params={"q": "tent"}, headers={"X-Shopper-Id": shopper})

        assert [search("ada").status_code for _ in range(4)] == [200, 200, 200, 429]
        assert int(search("ada").headers["Retry-After"]) > 0
        assert search("bob").status_code == 200


def test_the_storefront_passes_the_refusal_on(databases):
    """A customer who is too fast is told so; it is no server error."""
    with databases.running("search", "storefront", SHOP_SEARCH_RATE_LIMIT="1/day") as shop:
        answers = [shop.ask("storefront", "GET", "/search", params={"q": "tent"}) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [200, 429]
        assert "Retry-After" in answers[1].headers
