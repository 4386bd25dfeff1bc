"""Bytes of an OTLP request into its protobuf message, from either encoding that the OTLP specification allows.

OTLP's JSON differs from protobuf's own JSON mapping (trace and span ids are hex, not base64), and the library's generic
``json_format`` costs 105 µs a span. So the tree is renamed and converted by a plan made once per message type, and
handed to protobuf's constructor, which is C and checks every type again.
"""

import base64
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final, TypeVar

import orjson
from google.protobuf.descriptor import (  # type: ignore[import-untyped]  # ships no types
    Descriptor,
    FieldDescriptor,
)
from google.protobuf.message import DecodeError as ProtobufError  # type: ignore[import-untyped]  # ships no types
from google.protobuf.message import Message

from shopscope._errors import ShopscopeError

__all__ = ["JSON", "PROTOBUF", "DecodeError", "parse"]

PROTOBUF: Final = "application/x-protobuf"
JSON: Final = "application/json"

_HEX_FIELDS: Final = frozenset({"trace_id", "span_id", "parent_span_id"})
_INTEGERS: Final = frozenset(
    {
        FieldDescriptor.TYPE_INT32,
        FieldDescriptor.TYPE_INT64,
        FieldDescriptor.TYPE_UINT32,
        FieldDescriptor.TYPE_UINT64,
        FieldDescriptor.TYPE_SINT32,
        FieldDescriptor.TYPE_SINT64,
        FieldDescriptor.TYPE_FIXED32,
        FieldDescriptor.TYPE_FIXED64,
        FieldDescriptor.TYPE_SFIXED32,
        FieldDescriptor.TYPE_SFIXED64,
    }
)
_FLOATS: Final = frozenset({FieldDescriptor.TYPE_DOUBLE, FieldDescriptor.TYPE_FLOAT})

_MessageT = TypeVar("_MessageT", bound=Message)
_Converter = Callable[[Any], Any]
_Plan = Mapping[str, tuple[str, _Converter]]


class DecodeError(ShopscopeError):
    """A body is not what its content type says; sending it again cannot help."""


def parse(body: bytes, content_type: str, message_type: type[_MessageT]) -> _MessageT:
    """The message that ``body`` encodes.

    Args:
        body: the uncompressed body.
        content_type: ``PROTOBUF`` or ``JSON``.
        message_type: the class of the expected request.

    Raises:
        DecodeError: the body is malformed.
    """
    name = message_type.DESCRIPTOR.name
    if content_type == PROTOBUF:
        try:
            message: _MessageT = message_type.FromString(body)
        except ProtobufError as error:
            raise DecodeError(f"body must be a protobuf {name}: {error}; check the exporter's encoding") from error
        return message
    try:
        tree = orjson.loads(body)
        message = message_type(**_convert(message_type.DESCRIPTOR, tree))
    except (ValueError, TypeError, RecursionError) as error:
        raise DecodeError(f"body must be an OTLP JSON {name}: {error}; check the exporter's encoding") from error
    return message


def _convert(descriptor: Descriptor, tree: Any) -> dict[str, Any]:
    """Constructor arguments from a JSON object. Unknown fields are ignored, as the specification asks; so is null."""
    if not isinstance(tree, dict):
        raise TypeError(f"{descriptor.name} must be an object: {_shown(tree)}")
    plan = _plan(descriptor)
    arguments = {}
    for key, value in tree.items():
        step = plan.get(key)
        if step is not None and value is not None:
            arguments[step[0]] = step[1](value)
    return arguments


@lru_cache(maxsize=128)
def _plan(descriptor: Descriptor) -> _Plan:
    plan: dict[str, tuple[str, _Converter]] = {}
    for field in descriptor.fields:
        converter = _converter(field)
        if field.is_repeated:
            converter = _repeated(field.name, converter)
        plan[field.name] = plan[field.json_name] = (field.name, converter)
    return plan


def _converter(field: FieldDescriptor) -> _Converter:
    name = field.name
    if field.message_type is not None:
        nested = field.message_type
        return lambda value: _convert(nested, value)
    if field.enum_type is not None:
        numbers = {entry.name: entry.number for entry in field.enum_type.values}
        return lambda value: _enum(name, numbers, value)
    if field.type == FieldDescriptor.TYPE_BYTES:
        return (lambda value: _hex(name, value)) if name in _HEX_FIELDS else (lambda value: _base64(name, value))
    if field.type in _INTEGERS:
        return lambda value: _integer(name, value)
    if field.type in _FLOATS:
        return lambda value: _float(name, value)
    kind = bool if field.type == FieldDescriptor.TYPE_BOOL else str
    return lambda value: _typed(name, kind, value)


def _repeated(name: str, converter: _Converter) -> _Converter:
    def convert(values: Any) -> list[Any]:
        if not isinstance(values, list):
            raise TypeError(f"{name} must be a list: {_shown(values)}")
        return [converter(value) for value in values]

    return convert


def _enum(name: str, numbers: Mapping[str, int], value: Any) -> int:
    if isinstance(value, str) and value in numbers:
        return numbers[value]
    return _integer(name, value)


def _hex(name: str, value: Any) -> bytes:
    try:
        return bytes.fromhex(value)
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be hexadecimal text: {_shown(value)}") from None


def _base64(name: str, value: Any) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be base64 text: {_shown(value)}") from None


def _integer(name: str, value: Any) -> int:
    """64-bit numbers are text in protobuf's JSON, but a plain number is accepted too."""
    if isinstance(value, (int, str, float)) and not isinstance(value, bool):
        try:
            number = int(value)
        except (ValueError, OverflowError):
            pass
        else:
            if not isinstance(value, float) or number == value:
                return number
    raise ValueError(f"{name} must be a whole number: {_shown(value)}")


def _float(name: str, value: Any) -> float:
    if isinstance(value, (int, str, float)) and not isinstance(value, bool):
        try:
            return float(value)
        except (ValueError, OverflowError):
            pass
    raise ValueError(f"{name} must be a number: {_shown(value)}")


def _typed(name: str, kind: type, value: Any) -> Any:
    if isinstance(value, kind):
        return value
    raise TypeError(f"{name} must be of type {kind.__name__}: {_shown(value)}")


def _shown(value: Any) -> str:
    """A value as an error may show it: short, whatever was sent."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"  # noqa: PLR2004  # one line of a terminal
