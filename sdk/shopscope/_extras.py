"""Events, links and whatever else few spans have, kept readable until the span is encoded."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from opentelemetry.trace import Link, SpanContext, TraceFlags

from shopscope._export import _wire as wire

# Field keys of Span, Event and Link.
_DROPPED_ATTRIBUTES = wire.tag(10, wire.VARINT)
_EVENT = wire.tag(11, wire.LENGTH_DELIMITED)
_DROPPED_EVENTS = wire.tag(12, wire.VARINT)
_LINK = wire.tag(13, wire.LENGTH_DELIMITED)
_DROPPED_LINKS = wire.tag(14, wire.VARINT)

_TRACE_ID = wire.tag(1, wire.LENGTH_DELIMITED) + b"\x10"
_SPAN_ID = wire.tag(2, wire.LENGTH_DELIMITED) + b"\x08"
_EVENT_TIME = wire.tag(1, wire.FIXED64)
_EVENT_NAME = wire.tag(2, wire.LENGTH_DELIMITED)
_EVENT_ATTRIBUTE = wire.tag(3, wire.LENGTH_DELIMITED)
_EVENT_DROPPED = wire.tag(4, wire.VARINT)
_LINK_STATE = wire.tag(3, wire.LENGTH_DELIMITED)
_LINK_ATTRIBUTE = wire.tag(4, wire.LENGTH_DELIMITED)
_LINK_DROPPED = wire.tag(5, wire.VARINT)
_LINK_FLAGS = wire.tag(6, wire.FIXED32)

#: Unknown flags are not ours to pass on: https://www.w3.org/TR/trace-context-2/#other-flags
KNOWN_FLAGS = TraceFlags.SAMPLED | TraceFlags.RANDOM_TRACE_ID
HAS_IS_REMOTE, IS_REMOTE = 0x100, 0x200


class Event(NamedTuple):
    """Something that happened during a span."""

    name: str
    attributes: Mapping[str, Any]
    timestamp: int
    dropped_attributes: int = 0


class SpanLink(Link):
    """A link of a span, which knows how many of its attributes were dropped."""

    def __init__(self, context: SpanContext, attributes: Mapping[str, Any], dropped: int = 0) -> None:
        super().__init__(context, attributes)
        self._dropped = dropped

    @property
    def dropped_attributes(self) -> int:
        """How many attributes were beyond the limit."""
        return self._dropped


# What becomes an Event or SpanLink if someone asks: the arguments, because making the objects costs more than all else.
RawEvent = tuple[str, Mapping[str, Any], int, int]
RawLink = tuple[SpanContext, Mapping[str, Any], int]


class Extras:
    """What few spans have; most spans never pay for it."""

    __slots__ = (
        "dropped_attributes",
        "dropped_events",
        "dropped_links",
        "events",
        "exit_records",
        "exit_sets_status",
        "links",
        "parent",
        "status_message",
    )

    def __init__(self) -> None:
        self.status_message = ""
        self.events: list[RawEvent] = []
        self.links: list[RawLink] = []
        self.exit_records = self.exit_sets_status = True
        self.dropped_attributes = self.dropped_events = self.dropped_links = 0
        self.parent: SpanContext | None = None


def encode_extras(extras: Extras) -> bytes:
    parts = [wire.message(_EVENT, _encode_event(event)) for event in extras.events]
    parts += [wire.message(_LINK, _encode_link(link)) for link in extras.links]
    counts = (
        (_DROPPED_ATTRIBUTES, extras.dropped_attributes),
        (_DROPPED_EVENTS, extras.dropped_events),
        (_DROPPED_LINKS, extras.dropped_links),
    )
    parts += [key + wire.varint(count) for key, count in counts if count]
    return b"".join(parts)


def _encode_event(event: RawEvent) -> bytes:
    name, attributes, timestamp, dropped = event
    encoded = _EVENT_TIME + wire.pack_fixed64(timestamp) + wire.message(_EVENT_NAME, wire.utf8(name))
    if attributes:
        encoded += wire.attributes(_EVENT_ATTRIBUTE, attributes)
    return encoded + _EVENT_DROPPED + wire.varint(dropped) if dropped else encoded


def _encode_link(link: RawLink) -> bytes:
    context, attributes, dropped = link
    state = context.trace_state.to_header() if context.trace_state else ""
    flags = (context.trace_flags & KNOWN_FLAGS) | HAS_IS_REMOTE | (IS_REMOTE if context.is_remote else 0)
    return (
        _TRACE_ID
        + context.trace_id.to_bytes(16)
        + _SPAN_ID
        + context.span_id.to_bytes(8)
        + (wire.message(_LINK_STATE, wire.utf8(state)) if state else b"")
        + wire.attributes(_LINK_ATTRIBUTE, attributes)
        + (_LINK_DROPPED + wire.varint(dropped) if dropped else b"")
        + _LINK_FLAGS
        + wire.pack_fixed32(flags)
    )
