"""structlog's loggers through our chain; imported with structlog, which many services never use."""

import logging
from typing import Any

import structlog

from shopscope._export._wire import safe_str
from shopscope._logging._logs import MAX_DEPTH, METHOD_LEVELS, EventDict, LogPipeline, installed, thread
from shopscope._logging._output import write_line
from shopscope._logging._setup import LEVELS
from shopscope._logging._values import json_line
from shopscope._metrics._selfmetrics import internal_error
from shopscope._redaction._privacy import scrub


class Structlog:
    """What is changed in structlog's configuration while telemetry runs."""

    def __init__(self, least: str) -> None:
        """Extend the service's configuration, or set our own if it has none; one that comes later is extended too.

        Args:
            least: the level below which no logger writes, if the configuration is our own.
        """
        self._extended: list[list[Any]] = []
        configure = self._configure = structlog.configure
        if structlog.is_configured():
            self.extend()
        else:
            configure(
                processors=[structlog.contextvars.merge_contextvars, _render_and_send],
                wrapper_class=structlog.make_filtering_bound_logger(least),
                logger_factory=_LineLogger,
                cache_logger_on_first_use=True,
            )

        def configure_and_extend(*args: Any, **kwargs: Any) -> None:
            configure(*args, **kwargs)
            try:
                self.extend()
            except Exception:  # noqa: BLE001 (telemetry never raises into the service)
                internal_error("structlog configuration")

        self._ours = configure_and_extend
        structlog.configure = configure_and_extend

    def extend(self) -> None:
        """Put our processors before the renderer of the configuration that is there."""
        processors = structlog.get_config()["processors"]
        if not isinstance(processors, list):
            processors = list(processors)
            self._configure(processors=processors)
        if not any(processor in processors for processor in _PROCESSORS):
            # In place: loggers that are bound and cached already share the list.
            processors[-1:-1] = _PROCESSORS
            self._extended.append(processors)

    def uninstall(self) -> None:
        """Take our processors out again."""
        if structlog.configure is self._ours:
            structlog.configure = self._configure
        for processors in self._extended:
            processors[:] = [processor for processor in processors if processor not in _PROCESSORS]
        if not self._extended:
            structlog.reset_defaults()
        self._extended.clear()


# structlog caches a logger with its processors, so these outlive a pipeline and ask for the one that runs now.
def _add_context(logger: Any, method: str, event: EventDict) -> EventDict:
    pipeline = installed()
    try:
        return event if pipeline is None else pipeline.add_context(logger, method, event)
    except Exception:  # noqa: BLE001 (telemetry never raises into the service)
        internal_error("log context")
        return _remains(method, event)


def _send(logger: Any, method: str, event: EventDict) -> EventDict:
    pipeline = installed()
    if pipeline is None:
        return event
    if isinstance(logger, logging.Logger):
        # structlog over the standard library: the rendered line comes back as a record.
        level = METHOD_LEVELS.get(method, method)
        thread.is_coming_back = logger.isEnabledFor(LEVELS.get(level, logging.INFO))
    # What the service prints itself is its own affair; we send what we would print.
    return pipeline.send(method, event) if _is_admitted(pipeline, method, event) else event


def _render_and_send(logger: Any, method: str, event: EventDict) -> bytes:
    pipeline = installed()
    if pipeline is not None and not _is_admitted(pipeline, method, event):
        raise structlog.DropEvent
    if thread.depth >= MAX_DEPTH:
        raise structlog.DropEvent
    thread.depth += 1
    try:
        event = _add_context(logger, method, event)
        return json_line(event) if pipeline is None else pipeline.render(pipeline.send(method, event))
    except Exception:  # noqa: BLE001 (telemetry never raises into the service)
        internal_error("log line")
        return json_line(_remains(method, event))
    finally:
        thread.depth -= 1


_PROCESSORS = (_add_context, _send)


def _is_admitted(pipeline: LogPipeline, method: str, event: EventDict) -> bool:
    try:
        return pipeline.admits(METHOD_LEVELS.get(method, method), event)
    except Exception:  # noqa: BLE001 (telemetry never raises into the service)
        internal_error("log level")
        return True


def _remains(method: str, event: EventDict) -> EventDict:
    """What is left of a line that we could not make: nothing of it has been looked at for secrets but its text."""
    return {"level": method, "event": scrub(safe_str(event.get("event")))}


class _LineLogger:
    """What structlog hands rendered lines to."""

    def __init__(self, *_: Any) -> None:
        pass

    def msg(self, line: bytes | str) -> None:
        # A text, if the service has set a renderer of its own since.
        write_line(line if isinstance(line, bytes) else line.encode("utf-8", "replace"))

    log = debug = info = warn = warning = error = err = critical = fatal = exception = failure = msg
