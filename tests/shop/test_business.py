"""What the shop says of its orders, from a real process to a real endpoint."""

import sys
from pathlib import Path
from uuid import uuid4

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "sdk"))
from otlp_sink import Sink, plain_attributes


@pytest.fixture
def sink():
    with Sink.running() as running:
        yield running


def counted(sink, name):
    """A counter by currency, as the last push has it."""
    found = {}
    for push in sink.pushes():
        for metric in (metric for metric in push if metric.item.name == name):
            for point in metric.item.sum.data_points:
                found[plain_attributes(point.attributes)["currency"]] = point.as_double
    return found


def test_an_order_is_counted_once_with_what_was_paid(databases, sink):
    """Asked for twice it is one order; a declined one is none; its value has the shipping in it."""
    settings = {"OTEL_SDK_DISABLED": "false", "OTEL_EXPORTER_OTLP_ENDPOINT": sink.url}
    sku = databases.sql("SELECT sku FROM inventory.stock WHERE available > 100 ORDER BY sku DESC LIMIT 1")[0]["sku"]
    body = {"order_id": str(uuid4()), "cart_id": "paid", "lines": [{"sku": sku, "quantity": 1}]}
    with databases.running("inventory", "bank", "payment", "checkout", **settings) as shop:
        paid = [shop.ask("checkout", "POST", "/orders", json={**body, "card_token": "tok_approved"}) for _ in range(2)]
        declined = {**body, "order_id": str(uuid4()), "card_token": "tok_declined"}
        assert 402 == shop.ask("checkout", "POST", "/orders", json=declined).status_code
    assert [201, 201] == [answer.status_code for answer in paid]
    assert {"EUR": 1} == counted(sink, "shopscope.orders")
    assert {"EUR": paid[0].json()["total_cents"] / 100} == counted(sink, "shopscope.order.value")
