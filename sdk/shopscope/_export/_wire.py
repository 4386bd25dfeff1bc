"""Protobuf wire format, as far as OTLP needs it.

Telemetry is encoded by hand because building protobuf objects costs 25 times as much per span, and because constant
parts (attributes of a route, the resource) are then encoded once. Tests decode all with ``opentelemetry-proto``.
Source: https://protobuf.dev/programming-guides/encoding/ and opentelemetry/proto/common/v1/common.proto.
"""

import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from shopscope._redaction._patterns import CARD, REDACTED
from shopscope._redaction._privacy import (
    FIRST_CARD_FLOAT,
    FIRST_CARD_NUMBER,
    KNOWN_CLEAN,
    forget_with,
    hides,
    is_card_number,
    is_secret,
    scrub,
    scrub_bytes,
)

VARINT, FIXED64, LENGTH_DELIMITED, FIXED32 = 0, 1, 2, 5

pack_fixed64 = struct.Struct("<Q").pack
pack_double = struct.Struct("<d").pack
pack_fixed32 = struct.Struct("<I").pack

_UNSIGNED_64 = (1 << 64) - 1
_SIGNED_64_LIMIT = 1 << 63
_MAX_NESTING = 16
_SMALL = tuple(bytes([n]) for n in range(128))
_CONTINUED = tuple(bytes([n | 128]) for n in range(128))
_MAX_SHORT_TEXT = 128 - 3


def varint(number: int) -> bytes:
    """An integer (negative ones as two's complement of 64 bits) in seven-bit groups."""
    if 0 <= number < 128:  # noqa: PLR2004 (one group of seven bits)
        return _SMALL[number]
    if 0 < number < 16384:  # noqa: PLR2004 (two groups)
        return _CONTINUED[number & 127] + _SMALL[number >> 7]
    number &= _UNSIGNED_64
    out = bytearray()
    while number > 127:  # noqa: PLR2004 (same)
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def tag(field: int, wire_type: int) -> bytes:
    """The key in front of a field."""
    return varint(field << 3 | wire_type)


def message(field_tag: bytes, body: bytes) -> bytes:
    """A length-delimited field: text, bytes or a nested message."""
    return field_tag + varint(len(body)) + body


def packed(field_tag: bytes, items: Iterable[bytes]) -> bytes:
    """A packed repeated field of already encoded numbers."""
    return message(field_tag, b"".join(items))


def utf8(text: str) -> bytes:
    """UTF-8 of any string without its secrets; lone surrogates are replaced, since OTLP accepts valid UTF-8 alone."""
    if text not in KNOWN_CLEAN:
        text = scrub(text)
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace")


def safe_str(value: object) -> str:
    """``str(value)``, or the type's name where that raises."""
    try:
        return str(value)
    except Exception:  # noqa: BLE001 (user code)
        return f"<unprintable {type(value).__name__}>"


_KEY, _VALUE = tag(1, LENGTH_DELIMITED), tag(2, LENGTH_DELIMITED)
_STRING, _BOOL, _INT, _DOUBLE = tag(1, LENGTH_DELIMITED), tag(2, VARINT), tag(3, VARINT), tag(4, FIXED64)
_ARRAY, _KVLIST, _BYTES = tag(5, LENGTH_DELIMITED), tag(6, LENGTH_DELIMITED), tag(7, LENGTH_DELIMITED)
_REPEATED = tag(1, LENGTH_DELIMITED)
_TRUE, _FALSE = _BOOL + b"\x01", _BOOL + b"\x00"

_encoded_keys: dict[str, bytes] = {}
_ENCODED_KEYS_LIMIT = 2048


forget_with(_encoded_keys)


def _check_key(key: str, value: Any) -> tuple[bytes, Any]:
    """A key that is not among the encoded ones: new, or a secret's, or past the limit."""
    text = safe_str(key)
    encoded = message(_KEY, utf8(text)) + _VALUE
    if hides(text, value):
        return encoded, REDACTED
    # Attribute keys are few by convention; a user who builds them from data must not fill our memory.
    if len(_encoded_keys) < _ENCODED_KEYS_LIMIT and not is_secret(text):
        _encoded_keys[key] = encoded
    return encoded, value


def any_value(value: Any, depth: int = 0) -> bytes:  # noqa: PLR0911 (one return for each type of OTLP)
    """Body of an ``AnyValue``; what OTLP has no type for, or is nested too deep, becomes its ``str``."""
    match value:
        case str():
            return message(_STRING, utf8(value))
        case bool():
            return _TRUE if value else _FALSE
        case int() | float() if value >= FIRST_CARD_NUMBER and is_card_number(value):
            return message(_STRING, utf8(CARD))
        case int() if -_SIGNED_64_LIMIT <= value < _SIGNED_64_LIMIT:
            return _INT + varint(value)
        case float():
            return _DOUBLE + pack_double(value)
        case None:
            return b""
        case bytes():
            return message(_BYTES, scrub_bytes(value))
        case Mapping() if depth < _MAX_NESTING:
            pairs = (message(_REPEATED, key_value(safe_str(key), item, depth + 1)) for key, item in value.items())
            return message(_KVLIST, b"".join(pairs))
        case Sequence() if depth < _MAX_NESTING:
            return message(_ARRAY, b"".join(message(_REPEATED, any_value(item, depth + 1)) for item in value))
    return message(_STRING, utf8(safe_str(value)))


def key_value(key: str, value: Any, depth: int = 0) -> bytes:
    """Body of a ``KeyValue``."""
    encoded, value = _check_key(key, value)
    return encoded + _length_prefixed(any_value(value, depth))


def _length_prefixed(body: bytes) -> bytes:
    return varint(len(body)) + body


def text_key(key: str) -> bytes:
    """A key for ``text_attribute``."""
    return message(_KEY, utf8(key)) + _VALUE


class TextAttribute:
    """Encodes values of one text attribute; what comes before a value is made once for each length."""

    __slots__ = ("_heads", "_key")

    def __init__(self, name: str) -> None:
        self._key = key = text_key(name)
        # Lengths of two and four bytes more; all three fit one group of seven bits each, or the long way is taken.
        self._heads = tuple(
            _SMALL[size + len(key) + 3] + key + _SMALL[size + 2] + _STRING + _SMALL[size]
            for size in range(_MAX_SHORT_TEXT - len(key))
        )

    def encode(self, value: str) -> bytes:
        """A ``KeyValue`` with its length before it, for whichever field it goes into; ``value`` holds no secret."""
        text = value.encode("utf-8", "replace")
        if len(text) < len(self._heads):
            return self._heads[len(text)] + text
        return _length_prefixed(self._key + _length_prefixed(message(_STRING, text)))


def attributes(field_tag: bytes, items: Mapping[str, Any]) -> bytes:
    """The repeated attributes field of a span, log record, data point, event, link or resource."""
    out = []
    for key, value in items.items():
        start = _encoded_keys.get(key)
        if start is None:
            start, value = _check_key(key, value)  # noqa: PLW2901 (a secret's is replaced)
        # The kinds that almost every attribute has, inline: this is the hottest loop of the SDK.
        if type(value) is str:
            text = utf8(value)
            size = len(text)
            body = _STRING + _SMALL[size] + text if size < 128 else message(_STRING, text)  # noqa: PLR2004 (one group)
        elif type(value) is int and 0 <= value < FIRST_CARD_NUMBER:
            body = _INT + varint(value)
        elif type(value) is float and value < FIRST_CARD_FLOAT:
            body = _DOUBLE + pack_double(value)
        else:
            body = any_value(value)
        pair = start + varint(len(body)) + body
        out.append(field_tag + varint(len(pair)) + pair)
    return b"".join(out)
