"""JSON (or coloured) log lines with ids: structlog and the standard library through one chain, and on to OTLP.

Source of the record: opentelemetry/proto/logs/v1/logs.proto
"""

import logging
import struct
import threading
import time
from collections.abc import Callable, MutableMapping
from typing import TYPE_CHECKING, Any

from opentelemetry.trace import get_current_span

from shopscope._export import _wire as wire
from shopscope._imports import when_imported
from shopscope._logging._exceptions import exception_fields
from shopscope._logging._output import write_line
from shopscope._logging._records import event_of, is_our_own, level_of
from shopscope._logging._repeats import DEFAULT_REPEATS, Repeat, Repeats
from shopscope._logging._setup import (
    ACCESS_LOGGERS,
    LEVELS,
    StandardLibrary,
    is_printed_by_service,
    parse_levels,
)
from shopscope._logging._values import json_line, redact, visible
from shopscope._metrics._selfmetrics import internal_error
from shopscope._redaction._privacy import scrub
from shopscope._tracing._span import Span
from shopscope._tracing._tracer import encode_scope, journey_of
from shopscope._version import __version__

if TYPE_CHECKING:
    from shopscope._logging._structlog import Structlog

EventDict = MutableMapping[str, Any]
#: Takes an encoded instrumentation scope and an encoded record.
Emit = Callable[[bytes, bytes], None]

SCOPE = encode_scope("shopscope", __version__)
ATTRIBUTE = wire.tag(6, wire.LENGTH_DELIMITED)

# Keys of fields whose values have a constant length, with that length: all numbers are packed at once.
_TIME, _OBSERVED_TIME = 0x09, 0x59
_TRACE_ID, _SPAN_ID = 0x104A, 0x0852
_pack_times = struct.Struct("<BQBQ").pack
_pack_key = struct.Struct("<H").pack
_pack_all = struct.Struct("<BQBQH16sH8s").pack
_SEVERITY_NUMBER, _SEVERITY_TEXT = wire.tag(2, wire.VARINT), wire.tag(3, wire.LENGTH_DELIMITED)
_DROPPED_ATTRIBUTES = wire.tag(7, wire.VARINT)
_BODY = wire.tag(5, wire.LENGTH_DELIMITED)
# https://opentelemetry.io/docs/specs/otel/logs/data-model/#field-severitynumber
_SEVERITIES = {"debug": 5, "info": 9, "warning": 13, "error": 17, "critical": 21}
_ENCODED_SEVERITIES = {
    level: _SEVERITY_NUMBER + wire.varint(number) + wire.message(_SEVERITY_TEXT, level.upper().encode())
    for level, number in _SEVERITIES.items()
}
METHOD_LEVELS = {"warn": "warning", "exception": "error", "fatal": "critical", "notset": "debug"}
_NOT_ATTRIBUTES = frozenset({"event", "level", "timestamp", "trace_id", "span_id", "service"})
# Errors repeat when something is down; lines below are the service's own record of what it did.
_REPEATABLE = frozenset({"warning", "error", "critical"})
_TRACE_ID_BYTES, _SPAN_ID_BYTES = 16, 8
# httpx logs every request at INFO, with its query; the CLIENT span says the same without it. The others would let any
# client of the service write to its log, a line for each malformed header.
_TOO_TALKATIVE = {
    "httpx": logging.WARNING,
    "opentelemetry.baggage.propagation": logging.ERROR,
    "opentelemetry.trace.propagation.tracecontext": logging.ERROR,
    "opentelemetry.trace.span": logging.ERROR,
}


def encode_log(level: str, body: str, now_nano: int, trace_id: bytes, span_id: bytes, attributes: bytes) -> bytes:
    """The body of an OTLP ``LogRecord``; ids are raw bytes, or empty; ``attributes`` is the encoded field."""
    head = encode_head(level, body)
    if trace_id and span_id:
        return encode_numbers(now_nano, trace_id, span_id) + head + attributes
    ids = (_pack_key(_TRACE_ID) + trace_id if trace_id else b"") + (_pack_key(_SPAN_ID) + span_id if span_id else b"")
    return _pack_times(_TIME, now_nano, _OBSERVED_TIME, now_nano) + ids + head + attributes


def encode_head(level: str, body: str) -> bytes:
    """The part of a ``LogRecord`` that says what happened."""
    return _ENCODED_SEVERITIES[level] + wire.message(_BODY, wire.any_value(body))


def encode_numbers(now_nano: int, trace_id: bytes, span_id: bytes) -> bytes:
    """The fields of a ``LogRecord`` that say when and where; both ids are there."""
    return _pack_all(_TIME, now_nano, _OBSERVED_TIME, now_nano, _TRACE_ID, trace_id, _SPAN_ID, span_id)


_SECOND_NANO = 1_000_000_000


class Clock:
    """ISO 8601 UTC time stamps; the part down to the second is formatted once a second."""

    __slots__ = ("_prefix",)

    def __init__(self) -> None:
        # Text and start of the second; one tuple, so that no thread sees one half of it new and the other old.
        self._prefix = b"", -_SECOND_NANO

    def stamp(self, now_nano: int) -> str:
        """Such as ``2026-11-24T07:00:00.123456Z``."""
        prefix, microseconds = self.parts(now_nano)
        return f"{prefix.decode()}{microseconds:06d}Z"

    def parts(self, now_nano: int) -> tuple[bytes, int]:
        """Such as ``2026-11-24T07:00:00.`` and the microseconds."""
        prefix, start = self._prefix
        nanoseconds = now_nano - start
        if not 0 <= nanoseconds < _SECOND_NANO:
            second = now_nano // _SECOND_NANO
            prefix = time.strftime("%Y-%m-%dT%H:%M:%S.", time.gmtime(second)).encode()
            self._prefix = prefix, second * _SECOND_NANO
            nanoseconds = now_nano - second * _SECOND_NANO
        return prefix, nanoseconds // 1000


class LogPipeline:
    """Turns event dictionaries into lines on standard output and OTLP records."""

    def __init__(
        self,
        service: str,
        log_format: str,
        level: str,
        emit: Emit,
        *,
        repeats: str = DEFAULT_REPEATS,
        max_attributes: int = 128,
        max_characters: int | None = None,
    ) -> None:
        self.service = scrub(service)
        self.level, self._levels = parse_levels(level)
        self.clock = Clock()
        self.is_json = log_format == "json"
        self.repeats = Repeats(repeats, self._report)
        self._emit = emit
        self._max_attributes = max_attributes
        self._max_characters = max_characters
        self._console = None if self.is_json else _coloured()
        self._standard_library = StandardLibrary(self._take)
        self._structlog: Structlog | None = None
        # structlog's own filter is one for all loggers; what it lets through for one of them is sorted out later.
        self._least = min((self.level, *self._levels.values()), key=LEVELS.__getitem__)

    def install(self) -> None:
        """Configure structlog and the standard library; a set-up that is there already is extended, not replaced."""
        global _installed  # noqa: PLW0603 (logging is configured once a process; a new pipeline replaces the old)
        if _installed is not None:
            _installed.uninstall()
        _installed = self
        for name, least in _TOO_TALKATIVE.items():
            if logging.getLogger(name).level == logging.NOTSET:
                logging.getLogger(name).setLevel(least)
        self._standard_library.install(self.level, self._levels)
        when_imported("structlog", _join_structlog)

    def join_structlog(self) -> None:
        """Configure structlog, which the service has imported, or extend what it has configured."""
        if self._structlog is None:
            from shopscope._logging._structlog import Structlog  # noqa: PLC0415 (who does not use structlog starts sooner)

            self._structlog = Structlog(self._least)

    def adopt_server_loggers(self) -> None:
        """Send the servers' own lines through our chain; their access lines are replaced by ours."""
        self._standard_library.adopt_server_loggers()

    def send_to(self, emit: Emit | None) -> None:
        """Send lines there from now on, or print them alone: the last lines of a process come after its telemetry."""
        self._emit = emit or _discard

    def uninstall(self) -> None:
        """Undo ``install``."""
        self.repeats.flush()
        self._standard_library.uninstall()
        if self._structlog is not None:
            self._structlog.uninstall()
            self._structlog = None

    def admits(self, level: str, event: EventDict) -> bool:
        """Whether a line of structlog is loud enough for its logger, and has not come too often."""
        name = event.get("logger_name") or event.get("logger") or ""
        if self._levels and LEVELS.get(level, 0) < LEVELS[self._level_of(str(name))]:
            return False
        if level not in _REPEATABLE:
            return True
        return self.repeats.admit(level, wire.safe_str(name), wire.safe_str(event.get("event")))

    def _level_of(self, name: str) -> str:
        """The level set for a logger or the nearest one above it."""
        while name:
            if name in self._levels:
                return self._levels[name]
            name = name.rpartition(".")[0]
        return self.level

    def add_context(self, _: Any, method: str, event: EventDict) -> EventDict:
        """Level, time, service, ids and journey of the current span; secrets are taken out."""
        raised = event.pop("exc_info", None)
        if raised:
            event.update(exception_fields(raised))
        if "logger_name" in event:
            event["logger"] = event.pop("logger_name")
        redact(event)
        event.setdefault("level", METHOD_LEVELS.get(method, method))
        event.setdefault("timestamp", self.clock.stamp(time.time_ns()))
        event["service"] = self.service
        span = get_current_span()
        context = span.get_span_context()
        if context.is_valid:
            event["trace_id"] = f"{context.trace_id:032x}"
            event["span_id"] = f"{context.span_id:016x}"
        journey = span.journey if isinstance(span, Span) else journey_of()
        if journey:
            event["journey"] = scrub(journey)
        return event

    def send(self, method: str, event: EventDict) -> EventDict:
        """Queue the event for OTLP."""
        try:
            self._emit(SCOPE, self._encode(event, METHOD_LEVELS.get(method, method)))
        except Exception:  # noqa: BLE001 (telemetry never raises into the service)
            internal_error("log record")
        return event

    def _encode(self, event: EventDict, level: str) -> bytes:
        pairs = [pair for pair in event.items() if pair[0] not in _NOT_ATTRIBUTES]
        left_out = len(pairs) - self._max_attributes
        attributes = dict(pairs[: self._max_attributes] if left_out > 0 else pairs)
        if "journey" in attributes:
            attributes["shopscope.journey"] = attributes.pop("journey")
        if self._max_characters is not None:
            attributes = {
                key: value[: self._max_characters] if isinstance(value, str) else value
                for key, value in attributes.items()
            }
        encoded = encode_log(
            level if level in _SEVERITIES else "info",
            wire.safe_str(event.get("event", "")),
            time.time_ns(),
            _raw_id(event.get("trace_id"), _TRACE_ID_BYTES),
            _raw_id(event.get("span_id"), _SPAN_ID_BYTES),
            wire.attributes(ATTRIBUTE, attributes),
        )
        return encoded + _DROPPED_ATTRIBUTES + wire.varint(left_out) if left_out > 0 else encoded

    def render(self, event: EventDict) -> bytes:
        """One line without its end: JSON with the most telling keys first, or colours."""
        if self._console is not None:
            return self._render_for_people(event)
        head = {key: event.pop(key, None) for key in ("timestamp", "level", "event")}
        return json_line({**head, **event})

    def _render_for_people(self, event: EventDict) -> bytes:
        stack = event.pop("exception.stacktrace", "")
        shown = {visible(wire.safe_str(key)): visible(v) if isinstance(v, str) else v for key, v in event.items()}
        lines = [str(self._console(None, "", shown))] if self._console is not None else []
        # Indented, so that a line break in an exception's text cannot pass for a line of ours.
        lines += [f"    {visible(line)}" for line in stack.splitlines()]
        return "\n".join(lines).encode("utf-8", "replace")

    def _take(self, logger: logging.Logger, record: logging.LogRecord) -> None:
        """A record of the standard library, on its way to handlers."""
        if record.name in ACCESS_LOGGERS:
            return
        is_sent, thread.is_coming_back = thread.is_coming_back, False
        if thread.depth >= MAX_DEPTH:
            # The text of a value logs, and so on.
            return
        thread.depth += 1
        try:
            self._take_once(logger, record, is_sent=is_sent)
        finally:
            thread.depth -= 1

    def _take_once(self, logger: logging.Logger, record: logging.LogRecord, *, is_sent: bool) -> None:
        is_printed = is_printed_by_service(logger)
        if is_sent and is_printed:
            return
        level = level_of(record.levelno)
        is_new = level in _REPEATABLE and not is_sent
        if is_new and not self.repeats.admit(level, record.name, wire.safe_str(record.msg)):
            return
        event = self.add_context(None, level, event_of(record, level))
        if not is_sent and not is_our_own(record):
            event = self.send(level, event)
        if not is_printed:
            write_line(self.render(event))

    def _report(self, repeat: Repeat) -> None:
        """Sum up what has not been written."""
        event: EventDict = {
            "event": "repeated lines left out",
            "level": repeat.level,
            "repeated_event": repeat.template,
            "repeats": repeat.lines,
            "period_seconds": repeat.period_seconds,
        }
        if repeat.logger:
            event["logger"] = repeat.logger
        event = self.send(repeat.level, self.add_context(None, repeat.level, event))
        write_line(self.render(event))


_installed: LogPipeline | None = None


def installed() -> LogPipeline | None:
    """The pipeline that lines go through now."""
    return _installed


def _join_structlog(_: str) -> None:
    if _installed is not None:
        _installed.join_structlog()


def _coloured() -> Any:
    from structlog.dev import ConsoleRenderer  # noqa: PLC0415 (whose lines are JSON starts sooner)

    return ConsoleRenderer(colors=True)


class _Thread(threading.local):
    """What a thread is in the middle of."""

    #: The next record is an event that has been sent already.
    is_coming_back = False
    #: Lines being made, one in the making of another: the text of a value may log.
    depth = 0


thread = _Thread()
MAX_DEPTH = 4


def reset() -> None:
    """Undo what the last pipeline installed; for tests."""
    global _installed  # noqa: PLW0603 (see `install`)
    if _installed is not None:
        _installed.uninstall()
        _installed = None


def _discard(_scope: bytes, _record: bytes) -> None:
    """Where records go after the end."""


def _raw_id(value: object, size: int) -> bytes:
    """An id's bytes; nothing if the service has put something else under the id's name."""
    try:
        raw = bytes.fromhex(value) if isinstance(value, str) else b""
    except ValueError:
        return b""
    return raw if len(raw) == size else b""
