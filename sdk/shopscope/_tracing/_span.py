"""Our span: the OpenTelemetry API's, slotted, and encoded to OTLP bytes in the moment it ends.

Encoding at the end costs less than keeping the span alive for a queue and the garbage collector.
Source: opentelemetry/proto/trace/v1/trace.proto and https://opentelemetry.io/docs/specs/otel/trace/api/
"""

import time
import traceback
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from opentelemetry.trace import SpanContext, Status, StatusCode, TraceFlags, TraceState

from shopscope._export import _wire as wire
from shopscope._export._decode import read_attributes
from shopscope._extras import Extras, encode_extras
from shopscope._metrics._selfmetrics import internal_error, log_once
from shopscope._redaction._privacy import scrub_end
from shopscope._tracing._fields import (
    ATTRIBUTE,
    END,
    JOURNEY_KEY,
    JOURNEYS,
    KINDS,
    LOCAL_FLAGS,
    LOW,
    NAMES,
    PARENT_ID,
    REMOTE_FLAGS,
    SPAN_ID,
    START,
    TRACE_ID,
    TRACE_STATE,
    journey_attribute,
    name_field,
    pack_ids,
    pack_parent,
    pack_times,
    status_field,
)
from shopscope._tracing._limits import SCALARS, SpanLimits, clean, clean_all, clean_key
from shopscope._tracing._readable import Readable

if TYPE_CHECKING:
    from opentelemetry.util.types import AnyValue, Attributes

    from shopscope._metrics._dependencies import Dependency
    from shopscope._tracing._tracer import Tracer

SAMPLED = TraceFlags(TraceFlags.SAMPLED)
#: Of a span whose trace begins here: the ids are random, and say so.
SAMPLED_RANDOM = TraceFlags(TraceFlags.SAMPLED | TraceFlags.RANDOM_TRACE_ID)


class Span(Readable):
    """A recording span. Its tracer's ``finish`` receives it once, when it ends."""

    __slots__ = (
        "_context",
        "attributes",
        "constant_attributes",
        "dependency",
        "end_unix_nano",
        "extras",
        "flags",
        "is_parent_remote",
        "journey",
        "kind_number",
        "name",
        "outcome",
        "parent_id",
        "span_id",
        "start_unix_nano",
        "status_code",
        "trace_id",
        "trace_state",
        "tracer",
    )
    #: Whether the span is exported. A constant of the class, because asking the flags costs more.
    is_sampled = True

    def __init__(  # all at once, because a second assignment costs as much as the first
        self,
        name: str,
        kind: int,
        trace_id: int,
        span_id: int,
        parent_id: int,
        tracer: "Tracer",
        flags: TraceFlags = SAMPLED_RANDOM,
        journey: str = "",
        trace_state: TraceState | None = None,
        is_parent_remote: bool = False,  # noqa: FBT001,FBT002 (see above: keywords cost too)
    ) -> None:
        self.name = name
        self.kind_number = kind
        self.trace_id = trace_id
        self.span_id = span_id
        self.parent_id = parent_id
        self.tracer = tracer
        self.flags = flags
        self.journey = journey
        self.trace_state = trace_state
        self.is_parent_remote = is_parent_remote
        self.start_unix_nano = time.time_ns()
        self.end_unix_nano = 0
        self.status_code = 0
        self.attributes: dict[str, Any] = {}
        #: Encoded attributes that every span of a route or statement shares.
        self.constant_attributes = b""
        #: What a CLIENT span calls and how it went, where our own instrumentation knows it better than attributes do.
        self.dependency: Dependency | None = None
        self.outcome = ""
        self.extras: Extras | None = None
        self._context: SpanContext | None = None

    @property
    def scope(self) -> bytes:
        """The encoded instrumentation scope."""
        return self.tracer.scope

    def end(self, end_time: int | None = None) -> None:
        """End the span; a second call is ignored, as the specification says."""
        now = end_time or time.time_ns()
        # No call stands between this test and the assignment: of two threads that end a span, one does.
        if self.end_unix_nano:
            log_once("span ended twice", "span %r was ended twice; the second end is ignored", self.name)
            return
        self.end_unix_nano = now
        try:
            self.tracer.finish(self)
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
        """Set one attribute; beyond the limit new ones are dropped and counted on the span."""
        if self.end_unix_nano:
            self._too_late("set_attribute")
            return
        limits = self.tracer.limits
        attributes = self.attributes
        is_kept = type(value) in SCALARS and limits.value_length is None
        if is_kept and type(key) is str and key and len(attributes) < limits.attributes:
            attributes[key] = value
            return
        if type(key) is not str or not key:
            key = clean_key(key)
        if not key or (len(attributes) >= limits.attributes and key not in attributes):
            self.extra().dropped_attributes += 1
            log_once("span limit", "span %r has too many attributes; more are dropped and counted on spans", self.name)
            return
        # A list may change until the span ends and is encoded; numbers and texts do not.
        attributes[key] = value if is_kept else clean(value, limits.value_length)

    def set_attributes(self, attributes: "Mapping[str, AnyValue] | Any") -> None:
        """Set several attributes."""
        if not isinstance(attributes, Mapping):
            kind = type(attributes).__qualname__
            log_once("attributes", "attributes must be a mapping: %s; they are left out", kind)
            return
        for key, value in attributes.items():
            self.set_attribute(key, value)

    def update_name(self, name: str) -> None:
        """Replace the name."""
        if self.end_unix_nano:
            self._too_late("update_name")
        else:
            self.name = text_of(name)

    def set_status(self, status: Status | StatusCode | Any, description: str | None = None) -> None:
        """Set the status. OK is final, UNSET is ignored, a description belongs to an error."""
        code = status.status_code if isinstance(status, Status) else status
        if self.end_unix_nano:
            self._too_late("set_status")
            return
        if not isinstance(code, StatusCode) or code is StatusCode.UNSET or self.status_code == StatusCode.OK.value:
            return
        self.status_code = code.value
        message = status.description if isinstance(status, Status) else description
        if self.extras is not None or message:
            is_text = code is StatusCode.ERROR and isinstance(message, str)
            self.extra().status_message = message or "" if is_text else ""

    def add_event(self, name: str, attributes: "Attributes" = None, timestamp: int | None = None) -> None:
        """Add an event; beyond the limit they are dropped and counted on the span."""
        if self.end_unix_nano:
            self._too_late("add_event")
            return
        extras, limits = self.extra(), self.tracer.limits
        if len(extras.events) >= limits.events:
            extras.dropped_events += 1
            log_once("event limit", "span %r has too many events; more are dropped and counted on spans", self.name)
            return
        kept, dropped = clean_all(attributes, limits.attributes_per_event, limits.value_length)
        moment = time.time_ns() if timestamp is None else timestamp
        text = name if type(name) is str else text_of(name)
        extras.events.append((text, kept, moment, dropped))

    def add_link(self, context: SpanContext | Any, attributes: "Attributes" = None) -> None:
        """Link another span; beyond the limit they are dropped and counted on the span."""
        if self.end_unix_nano:
            self._too_late("add_link")
            return
        # The specification wants a link to nowhere kept only if it says something.
        if not isinstance(context, SpanContext) or not (context.is_valid or attributes or context.trace_state):
            return
        extras, limits = self.extra(), self.tracer.limits
        if len(extras.links) >= limits.links:
            extras.dropped_links += 1
            log_once("link limit", "span %r has too many links; more are dropped and counted on spans", self.name)
            return
        kept, dropped = clean_all(attributes, limits.attributes_per_link, limits.value_length)
        extras.links.append((context, kept, dropped))

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
        extras = self.extra()
        extras.exit_records, extras.exit_sets_status = records, sets_status

    def _fail_on_exit(self, exception: BaseException) -> None:
        extras = self.extras
        if extras is None or extras.exit_records:
            self.record_exception(exception)
        if extras is None or extras.exit_sets_status:
            self.set_status(StatusCode.ERROR, f"{type(exception).__name__}: {wire.safe_str(exception)}")

    def fail(self, exception: BaseException) -> None:
        """Record an exception and set the error status."""
        self.record_exception(exception)
        self.set_status(StatusCode.ERROR, f"{type(exception).__name__}: {wire.safe_str(exception)}")

    def settle(self, limits: SpanLimits) -> None:
        """Make all of the span readable: attributes together and within the limits, secrets hidden as on the wire."""
        self.attributes, dropped = clean_all(self.all_attributes(), limits.attributes, limits.value_length)
        self.constant_attributes = b""
        if dropped:
            self.extra().dropped_attributes += dropped
        self.hide_secrets()

    def hide_secrets(self) -> None:
        """Let whoever reads the span see what a backend would."""
        self.attributes = _hidden(self.attributes)
        # The same object where nothing is hidden: by it we know whether the service has renamed the span.
        if (name := wire.utf8(self.name).decode()) != self.name:
            self.name = name
        extras = self.extras
        if extras is not None:
            extras.status_message = wire.utf8(extras.status_message).decode()
            extras.events = [
                (wire.utf8(name).decode(), _hidden(attributes), timestamp, lost)
                for name, attributes, timestamp, lost in extras.events
            ]
            extras.links = [(context, _hidden(attributes), lost) for context, attributes, lost in extras.links]

    def encode(self) -> bytes:
        """The body of an OTLP ``Span``."""
        name, journey, attributes, trace_id = self.name, self.journey, self.attributes, self.trace_id
        body = b"".join(
            (
                pack_ids(TRACE_ID, trace_id >> 64, trace_id & LOW, SPAN_ID, self.span_id),
                NAMES.get(name) or name_field(name),
                KINDS[self.kind_number],
                pack_times(START, self.start_unix_nano, END, self.end_unix_nano),
                self.constant_attributes,
                self._encode_attributes() if attributes else b"",
                b""
                if not journey or JOURNEY_KEY in attributes
                else JOURNEYS.get(journey) or journey_attribute(journey),
                pack_parent(PARENT_ID, self.parent_id) if self.parent_id else b"",
                (REMOTE_FLAGS if self.is_parent_remote else LOCAL_FLAGS)[self.flags],
            )
        )
        if self.trace_state or self.extras is not None or self.status_code:
            body += self._encode_rest()
        return body

    def _encode_rest(self) -> bytes:
        """What few spans have."""
        extras, rest = self.extras, b""
        if self.trace_state:
            rest = wire.message(TRACE_STATE, wire.utf8(self.trace_state.to_header()))
        if extras is not None:
            rest += encode_extras(extras)
        if self.status_code:
            rest += status_field(self.status_code, "" if extras is None else extras.status_message)
        return rest

    def _encode_attributes(self) -> bytes:
        try:
            return wire.attributes(ATTRIBUTE, self.attributes)
        except RuntimeError:
            # Another thread has set one meanwhile; a copy is made in one step.
            return wire.attributes(ATTRIBUTE, dict(self.attributes))

    def extra(self) -> Extras:
        """What few spans have, from now on also this one."""
        if self.extras is None:
            self.extras = Extras()
        return self.extras

    def _too_late(self, operation: str) -> None:
        log_once(f"{operation} after end", "%s of span %r comes after its end; it is ignored", operation, self.name)


class UnsampledSpan(Span):
    """A span that a sampler wants recorded for the service's own processors, but not exported."""

    __slots__ = ()
    is_sampled = False


Finish = Callable[[Span], None]


def _hidden(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes as a backend would read them: there and back is the one way that misses no secret."""
    return read_attributes(wire.attributes(ATTRIBUTE, attributes))


def text_of(name: object) -> str:
    """A name as text, whatever was given for it."""
    return name if isinstance(name, str) else wire.safe_str(name)


def _exception_attributes(exception: BaseException) -> dict[str, str]:
    kind = type(exception)
    module = kind.__module__
    return {
        "exception.type": kind.__qualname__ if module == "builtins" else f"{module}.{kind.__qualname__}",
        "exception.message": wire.safe_str(exception),
        "exception.stacktrace": scrub_end("".join(traceback.format_exception(exception))),
    }
