"""What the shop's own breaker, retries and rate limit tell of themselves, from real processes to a real endpoint."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "sdk"))
from otlp_sink import Sink, plain_attributes

CLIENT = 3


@pytest.fixture
def sink():
    with Sink.running() as running:
        yield running


def test_protections_of_the_shop(databases, sink):
    """Payment calls the bank under breaker and retry, search is limited, and checkout calls inventory unprotected."""
    settings = {
        "OTEL_SDK_DISABLED": "false",
        "OTEL_EXPORTER_OTLP_ENDPOINT": sink.url,
        "SHOP_BANK_BREAKER_FAILURES": "3",
        "SHOP_SEARCH_RATE_LIMIT": "1/minute",
    }
    services = ("search", "inventory", "bank", "payment", "checkout", "storefront")
    with databases.running(*services, **settings) as shop:
        names = {url.removeprefix("http://"): name for name, url in shop.urls.items()}
        sku = shop.sql("SELECT sku FROM inventory.stock WHERE available > 9 LIMIT 1")[0]["sku"]
        assert 201 == shop.buy(shop.fill_cart(sku)).status_code
        with shop.fault("bank", error_rate=1.0):
            statuses = [shop.buy(shop.fill_cart(sku)).status_code for _ in range(2)]
        assert [503, 503] == statuses
        assert [200, 429] == [shop.ask("search", "GET", "/search", params={"q": "shoe"}).status_code for _ in range(2)]
    calls = _protections_of_calls(sink, names)
    assert {"breaker,retry"} == calls["payment", "bank"]
    assert {None} == calls["checkout", "inventory"]
    assert {None} == calls["checkout", "payment"]
    searches = [span.tags.get("shopscope.protection") for span in sink.spans() if span.name == "GET /search"]
    assert ["limiter", "limiter"] == searches
    assert {
        ("payment", "breaker", "opened"): 1,
        ("payment", "breaker", "rejected"): 1,
        ("payment", "retry", "retried"): 2,
        ("payment", "retry", "exhausted"): 1,
        ("search", "limiter", "limited"): 1,
    } == _events(sink)


def _protections_of_calls(sink, names):
    """Protections seen on the HTTP calls of each pair of services."""
    found = {}
    for span in sink.spans():
        peer = names.get(f"{span.tags.get('server.address')}:{span.tags.get('server.port')}")
        if span.kind == CLIENT and peer:
            found.setdefault((span.resource["service.name"], peer), set()).add(span.tags.get("shopscope.protection"))
    return found


def _events(sink):
    """Events that happened, from the last push of each service."""
    counted = {}
    for push in sink.pushes():
        for metric in push:
            if metric.name == "shopscope.guard.events":
                for point in metric.item.sum.data_points:
                    tags = plain_attributes(point.attributes)
                    key = metric.resource["service.name"], tags["kind"], tags["event"]
                    counted[key] = point.as_double
    return {key: value for key, value in counted.items() if value}
