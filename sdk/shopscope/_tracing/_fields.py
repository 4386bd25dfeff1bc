"""The fields of an OTLP ``Span``, encoded; what repeats is encoded once.

Source: opentelemetry/proto/trace/v1/trace.proto
"""

import struct

from shopscope._export import _wire as wire
from shopscope._extras import HAS_IS_REMOTE, IS_REMOTE, KNOWN_FLAGS
from shopscope._redaction._privacy import forget_with

JOURNEY_KEY = "shopscope.journey"

# Keys of fields. The ids have a constant length, so their keys include it; numbers that are neighbours are packed at
# once: pack_ids(TRACE_ID, trace_id >> 64, trace_id & LOW, SPAN_ID, span_id).
TRACE_ID, SPAN_ID, PARENT_ID = 0x0A10, 0x1208, 0x2208
START, END = 0x39, 0x41
LOW = (1 << 64) - 1
pack_ids = struct.Struct(">HQQHQ").pack
pack_parent = struct.Struct(">HQ").pack
pack_times = struct.Struct("<BQBQ").pack
TRACE_STATE = wire.tag(3, wire.LENGTH_DELIMITED)
ATTRIBUTE = wire.tag(9, wire.LENGTH_DELIMITED)
_NAME = wire.tag(5, wire.LENGTH_DELIMITED)
_STATUS = wire.tag(15, wire.LENGTH_DELIMITED)
_STATUS_MESSAGE, _STATUS_CODE = wire.tag(2, wire.LENGTH_DELIMITED), wire.tag(3, wire.VARINT)
_FLAGS = wire.tag(16, wire.FIXED32)

#: The whole field, by the API's number: OTLP counts kinds from 1 (0 is unspecified), the API's enum from 0.
KINDS = tuple(wire.tag(6, wire.VARINT) + wire.varint(kind + 1) for kind in range(5))
#: The whole field, by the flags that we know.
LOCAL_FLAGS, REMOTE_FLAGS = (
    tuple(_FLAGS + wire.pack_fixed32(flags | place) for flags in range(KNOWN_FLAGS + 1))
    for place in (HAS_IS_REMOTE, HAS_IS_REMOTE | IS_REMOTE)
)

#: Fields encoded before, by their text. Names are few by convention, and journeys by the file; but the one may be built
#: from data and the other come from another service's baggage, so neither is ours to bound.
NAMES: dict[str, bytes] = {}
JOURNEYS: dict[str, bytes] = {}
_MAX_NAMES, _MAX_JOURNEYS, _LONGEST = 1024, 256, 256
forget_with(NAMES)
forget_with(JOURNEYS)


def name_field(name: str) -> bytes:
    """A name that is not among ``NAMES``."""
    encoded = wire.message(_NAME, wire.utf8(name))
    if len(NAMES) < _MAX_NAMES and len(name) <= _LONGEST:
        NAMES[name] = encoded
    return encoded


def journey_attribute(journey: str) -> bytes:
    """The attribute of a journey that is not among ``JOURNEYS``."""
    encoded = wire.attributes(ATTRIBUTE, {JOURNEY_KEY: journey})
    if len(JOURNEYS) < _MAX_JOURNEYS and len(journey) <= _LONGEST:
        JOURNEYS[journey] = encoded
    return encoded


def status_field(code: int, message: str) -> bytes:
    """A status; OTLP and the API agree on its codes."""
    status = wire.message(_STATUS_MESSAGE, wire.utf8(message)) if message else b""
    return wire.message(_STATUS, status + _STATUS_CODE + wire.varint(code))
