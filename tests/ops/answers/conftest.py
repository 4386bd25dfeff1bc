"""Makers of small span tables and metric points."""

from collections.abc import Callable
from pathlib import Path
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
        both = {"trace": trace, "journey": "checkout", "instance": "1"}
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


SCHEMA = orjson.loads((Path(__file__).parents[3] / "docs" / "reference" / "diagnose.schema.json").read_bytes())
TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}
KNOWN = {"$ref", "additionalProperties", "anyOf", "const", "description", "enum", "items", "maximum", "minimum"}
KNOWN |= {"properties", "required", "type"}


def is_of(value: Any, kind: str) -> bool:
    return isinstance(value, TYPES[kind]) and (kind == "boolean" or not isinstance(value, bool))


def faults(value: Any, schema: dict[str, Any], where: str = "$") -> list[str]:
    """Where ``value`` breaks ``schema``; knows the keywords that our schema uses, and refuses others."""
    unknown = schema.keys() - KNOWN - {"$schema", "$id", "title", "$defs"}
    assert not unknown, f"the validator of this test does not know {unknown}"
    if "$ref" in schema:
        return faults(value, SCHEMA["$defs"][schema["$ref"].removeprefix("#/$defs/")], where)
    if "anyOf" in schema:
        tried = [faults(value, option, where) for option in schema["anyOf"]]
        return [] if any(not each for each in tried) else tried[0]
    found = []
    kinds = [schema["type"]] if isinstance(schema.get("type"), str) else schema.get("type", [])
    if kinds and not any(is_of(value, kind) for kind in kinds):
        return [f"{where} is no {kinds}: {value!r}"]
    if "const" in schema and value != schema["const"]:
        found.append(f"{where} is not {schema['const']}: {value!r}")
    if "enum" in schema and value not in schema["enum"]:
        found.append(f"{where} is not of {schema['enum']}: {value!r}")
    if isinstance(value, int | float) and not schema.get("minimum", value) <= value <= schema.get("maximum", value):
        found.append(f"{where} is out of bounds: {value!r}")
    if isinstance(value, list):
        found += [fault for at, item in enumerate(value) for fault in faults(item, schema["items"], f"{where}[{at}]")]
    if isinstance(value, dict):
        known = schema.get("properties", {})
        found += [f"{where}.{name} is missing" for name in schema.get("required", ()) if name not in value]
        found += [f"{where}.{name} is unknown" for name in value if name not in known]
        for name, part in known.items():
            found += faults(value[name], part, f"{where}.{name}") if name in value else []
    return found


@pytest.fixture
def faults_of() -> Callable[[Any], list[str]]:
    """Faults of a document of ``shopscope diagnose --json``, by the committed JSON Schema."""
    return lambda document: faults(document, SCHEMA)
