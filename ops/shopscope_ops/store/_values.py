"""OTLP attribute values as JSON, and what is computed once per resource and scope."""

import base64
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

import orjson
from google.protobuf.json_format import MessageToDict  # type: ignore[import-untyped]  # ships no types
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

__all__ = ["Origin", "attributes_of", "finite", "json_of", "json_sorted", "origin_of", "plain", "scope_name", "text_of"]


@dataclass(frozen=True, slots=True)
class Origin:
    """Who sent a group of rows: columns that all of them share.

    Attributes:
        service: ``service.name``.
        instance: ``service.instance.id``.
        resource: all resource attributes as JSON.
    """

    service: str
    instance: str
    resource: str


def origin_of(resource: Resource) -> Origin:
    """The columns that a resource gives to every row under it."""
    attributes = attributes_of(resource.attributes)
    service, instance = attributes.get("service.name", ""), attributes.get("service.instance.id", "")
    return Origin(text_of(service), text_of(instance), json_sorted(attributes))


def scope_name(scope: InstrumentationScope) -> str:
    """``name@version``, or the name alone."""
    return f"{scope.name}@{scope.version}" if scope.version else scope.name


def attributes_of(pairs: Iterable[KeyValue]) -> dict[str, Any]:
    """Attributes as a JSON-able dictionary; the last of equal keys wins.

    Text and numbers other than "" and 0 are nine of ten values: skipping ``WhichOneof`` for them saves a quarter.
    """
    attributes: dict[str, Any] = {}
    for pair in pairs:
        value = pair.value
        attributes[pair.key] = value.string_value or value.int_value or plain(value)
    return attributes


def plain(value: AnyValue) -> Any:
    """A value as JSON can hold it: bytes as base64, NaN and infinities as the names that OTLP's JSON gives them."""
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    read = _READERS.get(kind)
    return read(getattr(value, kind)) if read else MessageToDict(value)


def finite(number: float) -> float | str:
    """The number, or the JSON name of one that JSON cannot write."""
    if math.isfinite(number):
        return number
    return "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"


_READERS: Final[dict[str, Callable[[Any], Any]]] = {
    "string_value": str,
    "int_value": int,
    "bool_value": bool,
    "double_value": finite,
    "bytes_value": lambda value: base64.b64encode(value).decode(),
    "array_value": lambda value: [plain(entry) for entry in value.values],
    "kvlist_value": lambda value: {pair.key: plain(pair.value) for pair in value.values},
}


def json_of(value: Any) -> str:
    """JSON, or "" when there is nothing to say."""
    return orjson.dumps(value).decode() if value else ""


def json_sorted(value: Any) -> str:
    """JSON with sorted keys, so that equal attributes are equal text; "" when there is nothing to say."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode() if value else ""


def text_of(value: Any) -> str:
    """Text as it is, anything else as JSON, nothing as ""."""
    if isinstance(value, str):
        return value
    return "" if value is None else orjson.dumps(value).decode()
