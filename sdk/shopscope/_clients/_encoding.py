"""The span of a call that ran without one, encoded as `shopscope._tracing._span` encodes a span.

Source: opentelemetry/proto/trace/v1/trace.proto
"""

import struct
from typing import TYPE_CHECKING

from shopscope._export import _wire as wire
from shopscope._extras import HAS_IS_REMOTE
from shopscope._redaction._privacy import forget_with
from shopscope._tracing._span import ATTRIBUTE, JOURNEY_KEY, Span

if TYPE_CHECKING:
    from shopscope._clients._calls import RunningCall

# Field keys of Span. The ids have a constant length, so their keys include it.
_TRACE_ID = wire.tag(1, wire.LENGTH_DELIMITED) + b"\x10"
_SPAN_ID = wire.tag(2, wire.LENGTH_DELIMITED) + b"\x08"
_PARENT_ID = wire.tag(4, wire.LENGTH_DELIMITED) + b"\x08"
_NAME = wire.tag(5, wire.LENGTH_DELIMITED)
_KIND = wire.tag(6, wire.VARINT)
_START = wire.tag(7, wire.FIXED64)
_END = wire.tag(8, wire.FIXED64)
_STATUS = wire.tag(15, wire.LENGTH_DELIMITED)
_STATUS_CODE = wire.tag(3, wire.VARINT)
_FLAGS = wire.tag(16, wire.FIXED32)
# All fields of constant length at once, because each further call costs as much as this one.
_pack_fixed = struct.Struct("<2s16s2s8s2s8s1sQ1sQ2sI").pack
_MAX_JOURNEYS = 256
_journeys: dict[str, bytes] = {}
forget_with(_journeys)


def encode_constant(name: str, kind: int) -> bytes:
    """Name and kind of a span; OTLP counts kinds from 1, the API from 0."""
    return wire.message(_NAME, wire.utf8(name)) + _KIND + wire.varint(kind + 1)


def encode_call(running: "RunningCall", constant: bytes, parent: Span, end_unix_nano: int) -> bytes:
    """The body of an OTLP ``Span``."""
    fixed = _pack_fixed(
        _TRACE_ID,
        parent.trace_id.to_bytes(16),
        _SPAN_ID,
        running.span_id.to_bytes(8),
        _PARENT_ID,
        parent.span_id.to_bytes(8),
        _START,
        running.start_unix_nano,
        _END,
        end_unix_nano,
        _FLAGS,
        parent.flags | HAS_IS_REMOTE,
    )
    journey = parent.journey
    body = fixed + constant + (_journeys.get(journey) or _journey_attribute(journey) if journey else b"")
    if running.attributes:
        body += wire.attributes(ATTRIBUTE, running.attributes)
    if running.status_code:
        body += wire.message(_STATUS, _STATUS_CODE + wire.varint(running.status_code))
    return body


def _journey_attribute(journey: str) -> bytes:
    encoded = wire.attributes(ATTRIBUTE, {JOURNEY_KEY: journey})
    # The journey may come from another service's baggage, so its values are not ours to bound.
    if len(_journeys) < _MAX_JOURNEYS:
        _journeys[journey] = encoded
    return encoded
