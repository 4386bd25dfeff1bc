"""Our span: the OpenTelemetry API's, slotted, and encoded to OTLP bytes in the moment it ends.

Encoding at the end costs less than keeping the span alive for a queue and the garbage collector.
Source: opentelemetry/proto/trace/v1/trace.proto and https://opentelemetry.io/docs/specs/otel/trace/api/
"""

import time
import traceback
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry.trace import SpanContext, Status, StatusCode, TraceFlags, TraceState

from shopscope import _wire as wire
from shopscope._selfmetrics import internal_error, log_once

if TYPE_CHECKING:
    from opentelemetry.util.types import AnyValue, Attributes

    from shopscope._dependencies import Dependency

JOURNEY_KEY = "shopscope.journey"
ATTRIBUTE = wire.tag(9, wire.LENGTH_DELIMITED)
SAMPLED = TraceFlags(TraceFlags.SAMPLED)

# Limits of https://opentelemetry.io/docs/specs/otel/trace/sdk/#span-limits
_MAX_ATTRIBUTES = _MAX_EVENTS = _MAX_LINKS = 128

# Field keys of Span. The ids have a constant length, so their keys include it.
_TRACE_ID = wire.tag(1, wire.LENGTH_DELIMITED) + b"\x10"
_SPAN_ID = wire.tag(2, wire.LENGTH_DELIMITED) + b"\x08"
_TRACE_STATE = wire.tag(3, wire.LENGTH_DELIMITED)
_PARENT_ID = wire.tag(4, wire.LENGTH_DELIMITED) + b"\x08"
_NAME = wire.tag(5, wire.LENGTH_DELIMITED)
_START = wire.tag(7, wire.FIXED64)
_END = wire.tag(8, wire.FIXED64)
_DROPPED_ATTRIBUTES = wire.tag(10, wire.VARINT)
_EVENT = wire.tag(11, wire.LENGTH_DELIMITED)
_DROPPED_EVENTS = wire.tag(12, wire.VARINT)
_LINK = wire.tag(13, wire.LENGTH_DELIMITED)
_DROPPED_LINKS = wire.tag(14, wire.VARINT)
_STATUS = wire.tag(15, wire.LENGTH_DELIMITED)
_FLAGS = wire.tag(16, wire.FIXED32)

_STATUS_MESSAGE = wire.tag(2, wire.LENGTH_DELIMITED)
_STATUS_CODE = wire.tag(3, wire.VARINT)
_EVENT_TIME = wire.tag(1, wire.FIXED64)
_EVENT_NAME = wire.tag(2, wire.LENGTH_DELIMITED)
_EVENT_ATTRIBUTE = wire.tag(3, wire.LENGTH_DELIMITED)
_LINK_STATE = wire.tag(3, wire.LENGTH_DELIMITED)
_LINK_ATTRIBUTE = wire.tag(4, wire.LENGTH_DELIMITED)
_LINK_FLAGS = wire.tag(6, wire.FIXED32)

# OTLP counts kinds from 1 (0 is unspecified), the API's enum from 0; OTLP and the API agree on status codes.
_KINDS = tuple(wire.tag(6, wire.VARINT) + wire.varint(kind + 1) for kind in range(5))
_HAS_IS_REMOTE, _IS_REMOTE = 0x100, 0x200


class _Extras:
    """What few spans have, encoded; most spans never pay for it."""

    __slots__ = (
        "dropped_attributes",
        "dropped_events",
        "dropped_links",
        "events",
        "exit_records",
        "exit_sets_status",
        "links",
        "status_message",
    )

    def __init__(self) -> None:
        self.status_message = ""
        self.events: list[bytes] = []
        self.links: list[bytes] = []
        self.exit_records = self.exit_sets_status = True
        self.dropped_attributes = self.dropped_events = self.dropped_links = 0


class Span(trace.Span):
    """A recording span. ``finish`` receives it once, when it ends."""

    __slots__ = (
        "_context",
        "_extras",
        "attributes",
        "constant_attributes",
        "dependency",
        "end_unix_nano",
        "finish",
        "flags",
        "is_parent_remote",
        "journey",
        "kind",
        "name",
        "outcome",
        "parent_id",
        "scope",
        "span_id",
        "start_unix_nano",
        "status_code",
        "trace_id",
        "trace_state",
    )

    def __init__(
        self, name: str, kind: int, trace_id: int, span_id: int, parent_id: int, scope: bytes, finish: "Finish"
    ) -> None:
        self.name = name
        self.kind = kind
        self.trace_id = trace_id
        self.span_id = span_id
        self.parent_id = parent_id
        self.scope = scope
        self.finish = finish
        self.start_unix_nano = time.time_ns()
        self.end_unix_nano = 0
        self.flags = SAMPLED
        self.trace_state: TraceState | None = None
        self.is_parent_remote = False
        self.journey = ""
        self.status_code = 0
        self.attributes: dict[str, Any] = {}
        #: Encoded attributes that every span of a route or statement shares.
        self.constant_attributes = b""
        #: What a CLIENT span calls and how it went, where our own instrumentation knows it better than attributes do.
        self.dependency: Dependency | None = None
        self.outcome = ""
        self._extras: _Extras | None = None
        self._context: SpanContext | None = None

    def end(self, end_time: int | None = None) -> None:
        """End the span; a second call is ignored, as the specification says."""
        if self.end_unix_nano:
            log_once("span ended twice", "span %r was ended twice; the second end is ignored", self.name)
            return
        self.end_unix_nano = end_time or time.time_ns()
        try:
            self.finish(self)
        except Exception:  # noqa: BLE001 (telemetry never raises into the service)
            internal_error("end of span")

    def get_span_context(self) -> SpanContext:
        """The immutable identity of the span."""
        if self._context is None:
            self._context = SpanContext(self.trace_id, self.span_id, False, self.flags, self.trace_state)  # noqa: FBT003
        return self._context

    def is_recording(self) -> bool:
        """True until the span ends."""
        return not self.end_unix_nano

    def set_attribute(self, key: str, value: "AnyValue") -> None:
        """Set one attribute; beyond 128 they are dropped and counted on the span."""
        if self.end_unix_nano:
            return
        if len(self.attributes) >= _MAX_ATTRIBUTES and key not in self.attributes:
            self._extra().dropped_attributes += 1
            return
        # A list may change until the span ends and is encoded.
        self.attributes[key] = tuple(value) if type(value) is list else value

    def set_attributes(self, attributes: "Mapping[str, AnyValue]") -> None:
        """Set several attributes."""
        for key, value in attributes.items():
            self.set_attribute(key, value)

    def update_name(self, name: str) -> None:
        """Replace the name."""
        if not self.end_unix_nano:
            self.name = name

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        """Set the status. OK is final, UNSET is ignored, a description belongs to an error."""
        code = status.status_code if isinstance(status, Status) else status
        if self.end_unix_nano or code is StatusCode.UNSET or self.status_code == StatusCode.OK.value:
            return
        self.status_code = code.value
        message = status.description if isinstance(status, Status) else description
        if self._extras is not None or message:
            self._extra().status_message = message or "" if code is StatusCode.ERROR else ""

    def add_event(self, name: str, attributes: "Attributes" = None, timestamp: int | None = None) -> None:
        """Add an event; beyond 128 they are dropped and counted on the span."""
        if self.end_unix_nano:
            return
        extras = self._extra()
        if len(extras.events) >= _MAX_EVENTS:
            extras.dropped_events += 1
            return
        extras.events.append(
            _EVENT_TIME
            + wire.pack_fixed64(timestamp or time.time_ns())
            + wire.message(_EVENT_NAME, wire.utf8(name))
            + wire.attributes(_EVENT_ATTRIBUTE, attributes or {})
        )

    def add_link(self, context: SpanContext, attributes: "Attributes" = None) -> None:
        """Link another span; beyond 128 they are dropped and counted on the span."""
        if self.end_unix_nano:
            return
        extras = self._extra()
        if len(extras.links) >= _MAX_LINKS:
            extras.dropped_links += 1
            return
        state = context.trace_state.to_header() if context.trace_state else ""
        flags = context.trace_flags | _HAS_IS_REMOTE | (_IS_REMOTE if context.is_remote else 0)
        extras.links.append(
            _TRACE_ID
            + context.trace_id.to_bytes(16)
            + _SPAN_ID
            + context.span_id.to_bytes(8)
            + (wire.message(_LINK_STATE, wire.utf8(state)) if state else b"")
            + wire.attributes(_LINK_ATTRIBUTE, attributes or {})
            + _LINK_FLAGS
            + wire.pack_fixed32(flags)
        )

    def record_exception(
        self,
        exception: BaseException,
        attributes: "Attributes" = None,
        timestamp: int | None = None,
        escaped: bool = False,  # noqa: ARG002,FBT001,FBT002 (signature of the OpenTelemetry API)
    ) -> None:
        """Add the exception as an event named ``exception``."""
        try:
            self.add_event("exception", {**_exception_attributes(exception), **(attributes or {})}, timestamp)
        except Exception:  # noqa: BLE001 (an exception may raise from its own __str__)
            internal_error("record_exception")

    def __exit__(self, exc_type: object, exc_val: BaseException | None, exc_tb: object) -> None:
        """End the span; an exception that passes is recorded and makes it an error."""
        if isinstance(exc_val, Exception) and self.is_recording():
            self._fail_on_exit(exc_val)
        self.end()

    def choose_exit(self, *, records: bool, sets_status: bool) -> None:
        """Say what an exception that passes the end of a ``with`` block does to the span."""
        extras = self._extra()
        extras.exit_records, extras.exit_sets_status = records, sets_status

    def _fail_on_exit(self, exception: BaseException) -> None:
        extras = self._extras
        if extras is None or extras.exit_records:
            self.record_exception(exception)
        if extras is None or extras.exit_sets_status:
            self.set_status(StatusCode.ERROR, f"{type(exception).__name__}: {wire.safe_str(exception)}")

    def fail(self, exception: BaseException) -> None:
        """Record an exception and set the error status."""
        self.record_exception(exception)
        self.set_status(StatusCode.ERROR, f"{type(exception).__name__}: {wire.safe_str(exception)}")

    def encode(self) -> bytes:
        """The body of an OTLP ``Span``."""
        name = wire.utf8(self.name)
        parts = [
            _TRACE_ID,
            self.trace_id.to_bytes(16),
            _SPAN_ID,
            self.span_id.to_bytes(8),
            _NAME,
            wire.varint(len(name)),
            name,
            _KINDS[self.kind],
            _START,
            wire.pack_fixed64(self.start_unix_nano),
            _END,
            wire.pack_fixed64(self.end_unix_nano),
            self.constant_attributes,
        ]
        if self.attributes:
            parts.append(wire.attributes(ATTRIBUTE, self.attributes))
        if self.journey and JOURNEY_KEY not in self.attributes:
            parts.append(_journey_attribute(self.journey))
        if self.parent_id:
            parts += (_PARENT_ID, self.parent_id.to_bytes(8))
        if self.trace_state:
            parts.append(wire.message(_TRACE_STATE, wire.utf8(self.trace_state.to_header())))
        extras = self._extras
        if extras is not None:
            parts.append(_encode_extras(extras))
        if self.status_code:
            status = _STATUS_CODE + wire.varint(self.status_code)
            if extras is not None and extras.status_message:
                status = wire.message(_STATUS_MESSAGE, wire.utf8(extras.status_message)) + status
            parts.append(wire.message(_STATUS, status))
        flags = self.flags | _HAS_IS_REMOTE | (_IS_REMOTE if self.is_parent_remote else 0)
        parts += (_FLAGS, wire.pack_fixed32(flags))
        return b"".join(parts)

    def _extra(self) -> _Extras:
        if self._extras is None:
            self._extras = _Extras()
        return self._extras


Finish = Callable[[Span], None]

_journeys: dict[str, bytes] = {}
_JOURNEYS_LIMIT = 256


def _journey_attribute(journey: str) -> bytes:
    encoded = _journeys.get(journey)
    if encoded is None:
        encoded = wire.attributes(ATTRIBUTE, {JOURNEY_KEY: journey})
        # The journey may come from another service's baggage, so its values are not ours to bound.
        if len(_journeys) < _JOURNEYS_LIMIT:
            _journeys[journey] = encoded
    return encoded


def _encode_extras(extras: _Extras) -> bytes:
    parts = [wire.message(_EVENT, event) for event in extras.events]
    parts += [wire.message(_LINK, link) for link in extras.links]
    counts = (
        (_DROPPED_ATTRIBUTES, extras.dropped_attributes),
        (_DROPPED_EVENTS, extras.dropped_events),
        (_DROPPED_LINKS, extras.dropped_links),
    )
    parts += [key + wire.varint(count) for key, count in counts if count]
    return b"".join(parts)


def _exception_attributes(exception: BaseException) -> dict[str, str]:
    kind = type(exception)
    module = kind.__module__
    return {
        "exception.type": kind.__qualname__ if module == "builtins" else f"{module}.{kind.__qualname__}",
        "exception.message": wire.safe_str(exception),
        "exception.stacktrace": "".join(traceback.format_exception(exception)),
    }
