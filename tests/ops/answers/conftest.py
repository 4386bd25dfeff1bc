"""Makers of small span tables and metric points."""

from collections.abc import Callable
from typing import Any

import orjson
import pyarrow as pa
import pytest

from shopscope.config import Shop, parse_shop
from shopscope_ops.sources import Telemetry, telemetry
from shopscope_ops.store.schema import EXEMPLARS, METRIC_POINTS, SPANS

MILLI = 1_000_000
BEGIN = 1_790_000_000_000_000_000


def make_spans(*spans: dict[str, Any]) -> pa.Table:
    rows = []
    for given in spans:
        span = {
            "trace": "t1",
            "parent": "",
            "service": "shop",
            "name": "work",
            "kind": "internal",
            "at": 0,
            "ms": 0,
        } | given
        row = dict.fromkeys(SPANS.names, "") | {
            "trace_id": span["trace"],
            "span_id": span["id"],
            "parent_span_id": span["parent"],
            "start_unix_nano": BEGIN + round(span["at"] * MILLI),
            "duration_nano": round(span["ms"] * MILLI),
        }
        known = ("service", "name", "kind", "peer", "journey", "status", "attributes", "instance")
        rows.append(row | {name: span[name] for name in known if name in span})
    return pa.Table.from_pylist(rows, schema=SPANS)


def make_point(name: str, seconds: float, **given: Any) -> dict[str, Any]:
    point: dict[str, Any] = dict.fromkeys(METRIC_POINTS.names)
    texts = ("service", "instance", "unit", "resource", "scope", "detail")
    point |= dict.fromkeys(texts, "") | {"name": name, "temporality": "cumulative", "is_monotonic": True}
    point |= {"time_unix_nano": BEGIN + round(seconds * 1e9), "start_unix_nano": BEGIN} | given
    return point | {"attributes": orjson.dumps(given.get("attributes", {}), option=orjson.OPT_SORT_KEYS).decode()}


@pytest.fixture
def spans_of() -> Callable[..., pa.Table]:
    return make_spans


@pytest.fixture
def histogram_point() -> Callable[..., dict[str, Any]]:
    def point(
        seconds: float, counts: list[int], bounds: tuple[float, ...] = (0.1, 0.5, 1.0), **given: Any
    ) -> dict[str, Any]:
        given = {"attributes": {"journey": "checkout"}, "service": "storefront", "instance": "1"} | given
        return make_point(
            "shopscope.journey.duration",
            seconds,
            kind="histogram",
            bounds=list(bounds),
            bucket_counts=counts,
            count=sum(counts),
            **given,
        )

    return point


@pytest.fixture
def slo_point() -> Callable[..., dict[str, Any]]:
    def point(seconds: float, outcome: str, value: float) -> dict[str, Any]:
        attributes = {"journey": "checkout", "outcome": outcome}
        given = {"attributes": attributes, "service": "storefront", "instance": "1"}
        return make_point("shopscope.slo.events", seconds, kind="sum", value=value, **given)

    return point


@pytest.fixture
def telemetry_of() -> Callable[..., Telemetry]:
    def build(
        *spans: dict[str, Any],
        points: list[dict[str, Any]] | None = None,
        exemplars: list[dict[str, Any]] | None = None,
    ) -> Telemetry:
        return telemetry(
            "test",
            spans=make_spans(*spans),
            metric_points=pa.Table.from_pylist(points or [], schema=METRIC_POINTS),
            exemplars=pa.Table.from_pylist(exemplars or [], schema=EXEMPLARS),
            since_unix_nano=BEGIN,
            until_unix_nano=BEGIN + 100 * 10**9,
        )

    return build


@pytest.fixture
def shop() -> Shop:
    return parse_shop(
        {
            "journeys": {
                "checkout": {
                    "routes": ["POST /checkout"],
                    "service": "storefront",
                    "objective": 0.9,
                    "latency": "800ms",
                }
            }
        }
    )


@pytest.fixture
def checkout_spans() -> Callable[[int, float], list[dict[str, Any]]]:
    """Spans of one checkout: storefront → checkout → payment → bank, all instrumented but the bank."""

    def build(number: int, bank_ms: float) -> list[dict[str, Any]]:
        trace, at = f"{number:032x}", number * 1000
        both = {"trace": trace, "journey": "checkout"}
        url = orjson.dumps({"url.full": f"http://bank.example/authorisations/{number}"}).decode()
        return [
            both
            | {
                "id": "a",
                "service": "storefront",
                "name": "POST /checkout",
                "kind": "server",
                "at": at,
                "ms": bank_ms + 60,
            },
            both
            | {"id": "b", "parent": "a", "service": "storefront", "name": "POST", "kind": "client", "at": at + 10}
            | {"ms": bank_ms + 40, "peer": "checkout"},
            both
            | {"id": "c", "parent": "b", "service": "checkout", "name": "POST /orders", "kind": "server", "at": at + 15}
            | {"ms": bank_ms + 30},
            both
            | {"id": "d", "parent": "c", "service": "checkout", "name": "POST", "kind": "client", "at": at + 20}
            | {"ms": bank_ms + 20, "peer": "payment"},
            both
            | {"id": "e", "parent": "d", "service": "payment", "name": "POST /charges", "kind": "server", "at": at + 25}
            | {"ms": bank_ms + 10},
            both
            | {"id": "f", "parent": "e", "service": "payment", "name": "POST", "kind": "client", "at": at + 30}
            | {"ms": bank_ms, "peer": "bank", "attributes": url},
        ]

    return build
