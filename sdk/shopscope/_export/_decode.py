"""Reads back attributes that ``_wire`` has encoded: the other direction of as much of OTLP as a readable span needs."""

import struct
from collections.abc import Callable, Iterator
from typing import Any

_unpack_double = struct.Struct("<d").unpack
_VARINT, _FIXED64, _FIXED32 = 0, 1, 5
_KEY, _VALUE = 1, 2
_STRING, _BOOL, _INT, _DOUBLE, _ARRAY, _MAPPING = range(1, 7)
_SIGN, _UNSIGNED = 1 << 63, 1 << 64


def read_attributes(encoded: bytes) -> dict[str, Any]:
    """Attributes of a repeated ``KeyValue`` field, whatever its number."""
    return dict(_read_pair(body) for _, body in _fields(encoded))


def _read_pair(body: bytes) -> tuple[str, Any]:
    parts = dict(_fields(body))
    return parts[_KEY].decode(), _read_value(parts[_VALUE])


def _read_value(body: bytes) -> Any:
    """The one field of an ``AnyValue``."""
    for field, value in _fields(body):
        read = _READERS.get(field)
        return value if read is None else read(value)
    return None


_READERS: dict[int, Callable[[Any], Any]] = {
    _STRING: bytes.decode,
    _BOOL: bool,
    _INT: lambda number: number - _UNSIGNED if number >= _SIGN else number,
    _DOUBLE: lambda packed: _unpack_double(packed)[0],
    _ARRAY: lambda body: tuple(_read_value(item) for _, item in _fields(body)),
    _MAPPING: read_attributes,
}


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """Number and value of each field: an integer, or bytes."""
    position = 0
    while position < len(data):
        key, position = _varint(data, position)
        field, kind = key >> 3, key & 7
        if kind == _VARINT:
            value, position = _varint(data, position)
            yield field, value
            continue
        if kind == _FIXED64:
            size = 8
        elif kind == _FIXED32:
            size = 4
        else:
            size, position = _varint(data, position)
        yield field, data[position : position + size]
        position += size


def _varint(data: bytes, position: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = data[position]
        position += 1
        number |= (byte & 127) << shift
        if byte < 128:  # noqa: PLR2004 (last group of seven bits)
            return number, position
        shift += 7
