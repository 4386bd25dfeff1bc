"""JSON (or coloured) log lines with ids: structlog and the standard library through one chain, and on to OTLP.

Source of the record: opentelemetry/proto/logs/v1/logs.proto
"""

import logging
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any, TextIO

import structlog
from opentelemetry.trace import get_current_span

from shopscope import _wire as wire
from shopscope._log_values import json_line, redact
from shopscope._selfmetrics import internal_error
from shopscope._span import Span
from shopscope._tracer import encode_scope, journey_of
from shopscope._version import __version__
from shopscope._worker import Record

EventDict = MutableMapping[str, Any]
Emit = Callable[[Record], None]

SCOPE = encode_scope("shopscope", __version__)
ATTRIBUTE = wire.tag(6, wire.LENGTH_DELIMITED)

_TIME, _OBSERVED_TIME = wire.tag(1, wire.FIXED64), wire.tag(11, wire.FIXED64)
_SEVERITY_NUMBER, _SEVERITY_TEXT = wire.tag(2, wire.VARINT), wire.tag(3, wire.LENGTH_DELIMITED)
_BODY = wire.tag(5, wire.LENGTH_DELIMITED)
_TRACE_ID, _SPAN_ID = wire.tag(9, wire.LENGTH_DELIMITED) + b"\x10", wire.tag(10, wire.LENGTH_DELIMITED) + b"\x08"
# https://opentelemetry.io/docs/specs/otel/logs/data-model/#field-severitynumber
_SEVERITIES = {"debug": 5, "info": 9, "warning": 13, "error": 17, "critical": 21}
_ENCODED_SEVERITIES = {
    level: _SEVERITY_NUMBER + wire.varint(number) + wire.message(_SEVERITY_TEXT, level.upper().encode())
    for level, number in _SEVERITIES.items()
}
_METHOD_LEVELS = {"warn": "warning", "exception": "error", "fatal": "critical", "notset": "debug"}
_NOT_ATTRIBUTES = frozenset({"event", "level", "timestamp", "trace_id", "span_id", "service"})
_LEVEL_NUMBERS = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}
_TRACE_ID_BYTES, _SPAN_ID_BYTES = 16, 8
# httpx logs every request at INFO, with its query; the CLIENT span says the same without it. The others would let any
# client of the service write to its log, a line for each malformed header.
_TOO_TALKATIVE = {
    "httpx": logging.WARNING,
    "opentelemetry.baggage.propagation": logging.ERROR,
    "opentelemetry.trace.propagation.tracecontext": logging.ERROR,
    "opentelemetry.trace.span": logging.ERROR,
}

_RECORD_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message", "taskName"}


def encode_log(level: str, body: str, now_nano: int, trace_id: bytes, span_id: bytes, attributes: bytes) -> bytes:
    """The body of an OTLP ``LogRecord``; ids are raw bytes, or empty; ``attributes`` is the encoded field."""
    stamp = wire.pack_fixed64(now_nano)
    ids = (_TRACE_ID + trace_id if trace_id else b"") + (_SPAN_ID + span_id if span_id else b"")
    text = wire.any_value(body)
    return b"".join(
        (_TIME, stamp, _OBSERVED_TIME, stamp, _ENCODED_SEVERITIES[level], wire.message(_BODY, text), attributes, ids)
    )


class Clock:
    """ISO 8601 UTC time stamps; the part down to the second is formatted once a second."""

    __slots__ = ("_prefix", "_second")

    def __init__(self) -> None:
        self._second = -1
        self._prefix = ""

    def stamp(self, now_nano: int) -> str:
        """Such as ``2026-11-24T07:00:00.123456Z``."""
        second, rest = divmod(now_nano, 1_000_000_000)
        prefix = self._prefix
        if second != self._second:
            prefix = self._prefix = time.strftime("%Y-%m-%dT%H:%M:%S.", time.gmtime(second))
            self._second = second
        return f"{prefix}{rest // 1000:06d}Z"


class LogPipeline:
    """Turns event dictionaries into lines on standard output and OTLP records."""

    def __init__(self, service: str, log_format: str, level: str, emit: Emit) -> None:
        self.service = service
        self.level = level
        self.clock = Clock()
        self.is_json = log_format == "json"
        self._emit = emit
        self._console = None if self.is_json else structlog.dev.ConsoleRenderer(colors=True)
        self._handler = _Handler(self)
        self._removed: list[tuple[logging.Logger, logging.Handler]] = []
        self._extended: list[Any] | None = None
        self._root_level = logging.NOTSET

    def install(self) -> None:
        """Configure structlog and the root logger; a set-up that is there already is extended, not replaced."""
        global _installed  # noqa: PLW0603 (logging is configured once a process; a new pipeline replaces the old)
        if _installed is not None:
            _installed.uninstall()
        _installed = self
        if structlog.is_configured():
            processors = structlog.get_config()["processors"]
            if not isinstance(processors, list):
                processors = list(processors)
                structlog.configure(processors=processors)
            # In place: loggers that are bound and cached already share the list.
            processors[-1:-1] = [_add_context, _send]
            self._extended = processors
        else:
            structlog.configure(
                processors=[structlog.contextvars.merge_contextvars, _render_and_send],
                wrapper_class=structlog.make_filtering_bound_logger(self.level),
                logger_factory=_LineLogger,
                cache_logger_on_first_use=True,
            )
        root = logging.getLogger()
        self._handler.is_printing = not any(type(handler) is logging.StreamHandler for handler in root.handlers)
        root.addHandler(self._handler)
        self._root_level = root.level
        if self._handler.is_printing:
            root.setLevel(self.level.upper())
        self.adopt_server_loggers()
        for name, least in _TOO_TALKATIVE.items():
            if logging.getLogger(name).level == logging.NOTSET:
                logging.getLogger(name).setLevel(least)

    def adopt_server_loggers(self) -> None:
        """Send uvicorn's own lines through the root; its access lines are replaced by ours.

        Uvicorn may configure its loggers after ``init``, so this is called again when the application starts.
        """
        for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "uvicorn.asgi"):
            server_logger = logging.getLogger(name)
            for handler in server_logger.handlers[:]:
                server_logger.removeHandler(handler)
                self._removed.append((server_logger, handler))
            server_logger.propagate = name != "uvicorn.access"

    def stop_sending(self) -> None:
        """Print lines from now on, without sending them; the last lines of a process come after its telemetry."""
        self._emit = _discard

    def uninstall(self) -> None:
        """Undo ``install``."""
        logging.getLogger().removeHandler(self._handler)
        logging.getLogger().setLevel(self._root_level)
        for server_logger, handler in self._removed:
            server_logger.addHandler(handler)
        self._removed.clear()
        if self._extended is None:
            structlog.reset_defaults()
        else:
            self._extended[:] = [processor for processor in self._extended if processor not in _PROCESSORS]

    def add_context(self, _: Any, method: str, event: EventDict) -> EventDict:
        """Level, time, service, ids and journey of the current span; secrets by key are redacted."""
        event.setdefault("level", _METHOD_LEVELS.get(method, method))
        event.setdefault("timestamp", self.clock.stamp(time.time_ns()))
        event["service"] = self.service
        if "logger_name" in event:
            event["logger"] = event.pop("logger_name")
        span = get_current_span()
        context = span.get_span_context()
        if context.is_valid:
            event["trace_id"] = f"{context.trace_id:032x}"
            event["span_id"] = f"{context.span_id:016x}"
        journey = span.journey if isinstance(span, Span) else journey_of()
        if journey:
            event["journey"] = journey
        redact(event)
        _render_exception(event)
        return event

    def send(self, logger: Any, method: str, event: EventDict) -> EventDict:
        """Queue the event for OTLP."""
        try:
            number = _LEVEL_NUMBERS.get(_METHOD_LEVELS.get(method, method), logging.INFO)
            if isinstance(logger, logging.Logger) and logger.isEnabledFor(number):
                # structlog over the standard library: the rendered line comes back as a record.
                _sent.is_coming_back = True
            self._emit(Record(SCOPE, _encode_event(event, _METHOD_LEVELS.get(method, method))))
        except Exception:  # noqa: BLE001 (telemetry never raises into the service)
            internal_error("log record")
        return event

    def render(self, event: EventDict) -> bytes:
        """One line without its end: JSON with the most telling keys first, or colours."""
        if self._console is not None:
            return str(self._console(None, "", event)).encode()
        head = {key: event.pop(key, None) for key in ("timestamp", "level", "event")}
        return json_line({**head, **event})


_installed: LogPipeline | None = None


class _Sent(threading.local):
    """Whether the next record of this thread is an event that has been sent already."""

    is_coming_back = False


_sent = _Sent()


# structlog caches a logger with its processors, so these outlive a pipeline and ask for the one that runs now.
def _add_context(logger: Any, method: str, event: EventDict) -> EventDict:
    try:
        return event if _installed is None else _installed.add_context(logger, method, event)
    except Exception:  # noqa: BLE001 (telemetry never raises into the service)
        internal_error("log context")
        return event


def _send(logger: Any, method: str, event: EventDict) -> EventDict:
    return event if _installed is None else _installed.send(logger, method, event)


def _render_and_send(logger: Any, method: str, event: EventDict) -> bytes:
    event = _send(logger, method, _add_context(logger, method, event))
    try:
        return json_line(event) if _installed is None else _installed.render(event)
    except Exception:  # noqa: BLE001 (telemetry never raises into the service)
        internal_error("log line")
        return json_line({"level": method, "event": wire.safe_str(event.get("event"))})


_PROCESSORS = (_add_context, _send)


def reset() -> None:
    """Undo what the last pipeline installed; for tests."""
    global _installed  # noqa: PLW0603 (see `install`)
    if _installed is not None:
        _installed.uninstall()
        _installed = None


def _discard(_: Record) -> None:
    """Where records go after the end."""


class _LineLogger:
    """What structlog hands rendered lines to."""

    def __init__(self, *_: Any) -> None:
        pass

    def msg(self, line: bytes) -> None:
        write_line(line)

    log = debug = info = warn = warning = error = err = critical = fatal = exception = failure = msg


def write_line(line: bytes, stream: TextIO | None = None) -> None:
    """Write one line to standard output in a single call, so that lines of several threads do not mix."""
    stream = stream or sys.stdout
    try:
        buffer = getattr(stream, "buffer", None)
        if buffer is not None:
            buffer.write(line + b"\n")
            buffer.flush()
        else:
            stream.write(line.decode() + "\n")
    except (AttributeError, OSError, RuntimeError, ValueError):
        # No stream, a closed or full one, or (RuntimeError) a signal handler that came in the middle of a line.
        internal_error("log line")


class _Handler(logging.Handler):
    """Standard library records into the same chain."""

    def __init__(self, pipeline: LogPipeline) -> None:
        super().__init__()
        self._pipeline = pipeline
        self.is_printing = True

    def emit(self, record: logging.LogRecord) -> None:
        try:
            level = _level_of(record.levelno)
            event: EventDict = {"event": record.getMessage(), "level": level, "logger": record.name}
            event.update((key, value) for key, value in vars(record).items() if key not in _RECORD_FIELDS)
            if record.exc_info and record.exc_info[0] is not None:
                event["exc_info"] = record.exc_info
            event = self._pipeline.add_context(None, level, event)
            if _sent.is_coming_back:
                _sent.is_coming_back = False
            else:
                event = self._pipeline.send(None, level, event)
            if self.is_printing:
                write_line(self._pipeline.render(event))
        except Exception:  # noqa: BLE001 (the promise of logging handlers)
            self.handleError(record)


def _level_of(number: int) -> str:
    """The level at or below a number of the standard library, which may be a level of the user's own."""
    return next((level for level, least in reversed(_LEVEL_NUMBERS.items()) if number >= least), "debug")


def _encode_event(event: Mapping[str, Any], level: str) -> bytes:
    attributes = {key: value for key, value in event.items() if key not in _NOT_ATTRIBUTES}
    if "journey" in attributes:
        attributes["shopscope.journey"] = attributes.pop("journey")
    return encode_log(
        level if level in _SEVERITIES else "info",
        wire.safe_str(event.get("event", "")),
        time.time_ns(),
        _raw_id(event.get("trace_id"), _TRACE_ID_BYTES),
        _raw_id(event.get("span_id"), _SPAN_ID_BYTES),
        wire.attributes(ATTRIBUTE, attributes),
    )


def _raw_id(value: object, size: int) -> bytes:
    """An id's bytes; nothing if the service has put something else under the id's name."""
    try:
        raw = bytes.fromhex(value) if isinstance(value, str) else b""
    except ValueError:
        return b""
    return raw if len(raw) == size else b""


def _render_exception(event: EventDict) -> None:
    raised = event.pop("exc_info", None)
    if not raised:
        return
    if isinstance(raised, BaseException):
        raised = (type(raised), raised, raised.__traceback__)
    elif not isinstance(raised, tuple):
        raised = sys.exc_info()
    if isinstance(raised[1], BaseException):
        event["exception.type"] = raised[0].__qualname__
        event["exception.message"] = wire.safe_str(raised[1])
        event["exception.stacktrace"] = "".join(traceback.format_exception(*raised))
