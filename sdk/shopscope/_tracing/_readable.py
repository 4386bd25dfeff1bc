"""Spans as span processors and exporters read them: the properties of the stock SDK's ``ReadableSpan``.

Our span is its own readable span. Nothing here costs anything until someone asks, and the stock SDK is not imported.
"""

import functools
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from opentelemetry import trace
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, format_span_id, format_trace_id

from shopscope._export._decode import read_attributes
from shopscope._extras import Event, Extras, SpanLink

if TYPE_CHECKING:
    from shopscope._tracing._tracer import Tracer

_KINDS = tuple(SpanKind)
_EMPTY: Mapping[str, Any] = MappingProxyType({})


class InstrumentationScope(NamedTuple):
    """Which instrumentation made a span."""

    name: str
    version: str = ""
    schema_url: str = ""
    attributes: Mapping[str, Any] = _EMPTY

    # Exporters group spans by it; its attributes have no hash.
    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)


class ReadableResource(NamedTuple):
    """Which process made a span."""

    attributes: Mapping[str, Any] = _EMPTY
    schema_url: str = ""

    # See `InstrumentationScope`.
    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)

    def to_json(self, indent: int | None = 4) -> str:
        """As JSON."""
        return json.dumps(
            {"attributes": dict(self.attributes), "schema_url": self.schema_url}, indent=indent, default=str
        )


_NO_EXTRAS = Extras()


class Readable(trace.Span):
    """The readable side of our span, under the names of the stock SDK."""

    __slots__ = ()

    # The fields of Span that are read here.
    name: str
    attributes: dict[str, Any]
    constant_attributes: bytes
    journey: str
    kind_number: int
    parent_id: int
    is_parent_remote: bool
    start_unix_nano: int
    end_unix_nano: int
    status_code: int
    tracer: "Tracer"
    extras: Extras | None

    @property
    def context(self) -> SpanContext:
        """The identity of the span."""
        return self.get_span_context()

    @property
    def kind(self) -> SpanKind:
        """The kind of the span."""
        return _KINDS[self.kind_number]

    @property
    def parent(self) -> SpanContext | None:
        """The identity of the parent, or None for a root."""
        if not self.parent_id:
            return None
        if self.extras is not None and self.extras.parent is not None:
            return self.extras.parent
        own = self.get_span_context()
        return SpanContext(own.trace_id, self.parent_id, self.is_parent_remote, own.trace_flags, own.trace_state)

    @property
    def start_time(self) -> int:
        """Unix nanoseconds."""
        return self.start_unix_nano

    @property
    def end_time(self) -> int | None:
        """Unix nanoseconds, or None before the end."""
        return self.end_unix_nano or None

    @property
    def status(self) -> Status:
        """The status and its description."""
        return Status(StatusCode(self.status_code), (self.extras or _NO_EXTRAS).status_message or None)

    @property
    def events(self) -> tuple[Event, ...]:
        """Events, the first ones first."""
        return tuple(Event(*event) for event in (self.extras or _NO_EXTRAS).events)

    @property
    def links(self) -> tuple[SpanLink, ...]:
        """Links, the first ones first."""
        return tuple(SpanLink(*link) for link in (self.extras or _NO_EXTRAS).links)

    @property
    def dropped_attributes(self) -> int:
        """Attributes beyond the limit."""
        return (self.extras or _NO_EXTRAS).dropped_attributes

    @property
    def dropped_events(self) -> int:
        """Events beyond the limit."""
        return (self.extras or _NO_EXTRAS).dropped_events

    @property
    def dropped_links(self) -> int:
        """Links beyond the limit."""
        return (self.extras or _NO_EXTRAS).dropped_links

    @property
    def resource(self) -> ReadableResource:
        """The process."""
        return self.tracer.provider.resource

    @property
    def instrumentation_scope(self) -> InstrumentationScope:
        """The instrumentation."""
        return self.tracer.instrumentation_scope

    def all_attributes(self) -> dict[str, Any]:
        """With those that are kept encoded because all spans of a route or statement share them."""
        journey = {"shopscope.journey": self.journey} if self.journey else {}
        return {**constant_attributes(self.constant_attributes), **journey, **self.attributes}

    def to_json(self, indent: int | None = 4) -> str:
        """The span as the stock SDK writes it to the console."""
        context, parent, status = self.context, self.parent, self.status
        described: dict[str, Any] = {"status_code": status.status_code.name}
        if status.description:
            described["description"] = status.description
        document = {
            "name": self.name,
            "context": _context(context),
            "kind": str(self.kind),
            "parent_id": f"0x{format_span_id(parent.span_id)}" if parent is not None else None,
            "start_time": _iso(self.start_unix_nano),
            "end_time": _iso(self.end_unix_nano) if self.end_unix_nano else None,
            "status": described,
            "attributes": self.all_attributes(),
            "events": [
                {"name": event.name, "timestamp": _iso(event.timestamp), "attributes": dict(event.attributes)}
                for event in self.events
            ],
            "links": [
                {"context": _context(link.context), "attributes": dict(link.attributes or {})} for link in self.links
            ],
            "resource": json.loads(self.resource.to_json()),
        }
        return json.dumps(document, indent=indent, default=str)


@functools.lru_cache(maxsize=1024)
def constant_attributes(encoded: bytes) -> Mapping[str, Any]:
    """The attributes that a span's constant part encodes."""
    return MappingProxyType(read_attributes(encoded))


def _context(context: SpanContext) -> dict[str, str]:
    return {
        "trace_id": f"0x{format_trace_id(context.trace_id)}",
        "span_id": f"0x{format_span_id(context.span_id)}",
        "trace_state": repr(context.trace_state),
    }


def _iso(unix_nano: int) -> str:
    return datetime.fromtimestamp(unix_nano / 1e9, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
