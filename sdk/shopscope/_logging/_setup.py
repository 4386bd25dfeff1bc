"""How the standard library and servers come to our chain, whatever the service sets up before or after.

Records are taken where loggers hand them to handlers, not by a handler of ours: `dictConfig`, `basicConfig` and servers
throw handlers away, and loggers that do not propagate would never reach one on the root.
"""

import logging
import sys
from collections.abc import Callable, Mapping
from typing import Any

from shopscope._errors import ConfigError
from shopscope._metrics._selfmetrics import internal_error
from shopscope._redaction._privacy import scrub_whole

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}
DEFAULT_LEVEL = "info"
# Requests that our middleware has a line for already.
ACCESS_LOGGERS = frozenset({"uvicorn.access", "gunicorn.access", "hypercorn.access"})
_SERVER_LOGGERS = frozenset(
    {"uvicorn", "uvicorn.error", "uvicorn.access", "uvicorn.asgi", "gunicorn.error", "hypercorn.error"}
)
_STANDARD_FILES = ("/dev/std", "/dev/fd/", "/proc/")
_STANDARD_STREAMS = ("stdout", "stderr", "__stdout__", "__stderr__")

Take = Callable[[logging.Logger, logging.LogRecord], None]


def parse_levels(text: str, where: str = "log level") -> tuple[str, dict[str, str]]:
    """The common level and those of loggers by name, from ``info,sqlalchemy=warning``.

    Raises:
        ConfigError: lists every part that is no level.
    """
    common, by_logger, problems = DEFAULT_LEVEL, {}, []
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, separator, level = (piece.strip() for piece in part.rpartition("="))
        if level.lower() not in LEVELS or (separator and not name):
            problems.append(f"{where} must be one of {', '.join(LEVELS)}: {part!r}; write for example 'info,lib=error'")
        elif name:
            by_logger[name] = level.lower()
        else:
            common = level.lower()
    if problems:
        raise ConfigError(problems)
    return common, by_logger


class StandardLibrary:
    """What is changed in ``logging`` while telemetry runs, and put back after it."""

    def __init__(self, take: Take) -> None:
        self._take = take
        self._removed: list[tuple[logging.Logger, logging.Handler, bool]] = []
        self._levels: dict[str, int] = {}

    def install(self, level: str, by_logger: Mapping[str, str]) -> None:
        """Take records from now on, and set levels; the root's stays if the service has set or printed it itself."""
        self._call_handlers, self._format = logging.Logger.callHandlers, logging.Handler.format
        call_handlers, format_record, take = self._call_handlers, self._format, self._take

        def call_all(logger: logging.Logger, record: logging.LogRecord) -> None:
            try:
                if record.name in _SERVER_LOGGERS:
                    self.adopt_server_loggers()
                take(logger, record)
            except Exception:  # noqa: BLE001 (telemetry never raises into the service)
                internal_error("log record")
            # With no handler at all the standard library would print it to standard error, a second time.
            if logger.hasHandlers():
                call_handlers(logger, record)

        def format_cleanly(handler: logging.Handler, record: logging.LogRecord) -> str:
            return scrub_whole(format_record(handler, record))

        self._ours = call_all, format_cleanly
        logging.Logger.callHandlers = call_all  # type: ignore[assignment,method-assign]
        logging.Handler.format = format_cleanly  # type: ignore[assignment,method-assign]
        root = logging.getLogger()
        if level != DEFAULT_LEVEL or (root.level == logging.WARNING and not is_printed_by_service(root)):
            self.set_level("", level)
        for name, its_level in by_logger.items():
            self.set_level(name, its_level)
        self.adopt_server_loggers()

    def set_level(self, name: str, level: str) -> None:
        """Set a logger's level until ``uninstall``."""
        logger = logging.getLogger(name)
        self._levels.setdefault(name, logger.level)
        logger.setLevel(LEVELS[level])

    def adopt_server_loggers(self) -> None:
        """Drop the handlers that servers make themselves, so that their lines have our form; others are the service's.

        Servers may configure their loggers after ``init``, so this is called again with each of their lines.
        """
        for name in _SERVER_LOGGERS:
            logger = logging.getLogger(name)
            for handler in logger.handlers[:]:
                if _is_servers_own(handler):
                    logger.removeHandler(handler)
                    self._removed.append((logger, handler, logger.propagate))
                    # To handlers of the service's own on the root, if there are any.
                    logger.propagate = name not in ACCESS_LOGGERS
        self._leave_celery_to_us()

    def _leave_celery_to_us(self) -> None:
        """A Celery worker throws away the root's handlers and takes standard output, unless someone sets up logging."""
        signals = sys.modules.get("celery.signals")
        if signals is not None:
            signals.setup_logging.connect(self._on_celery_setup, weak=False, dispatch_uid="shopscope")

    def _on_celery_setup(self, loglevel: int | None = None, **_: Any) -> None:
        if loglevel:
            self._levels.setdefault("celery", logging.getLogger("celery").level)
            logging.getLogger("celery").setLevel(loglevel)

    def uninstall(self) -> None:
        """Put all back, except what someone else has wrapped meanwhile."""
        call_all, format_cleanly = self._ours
        if logging.Logger.callHandlers is call_all:
            logging.Logger.callHandlers = self._call_handlers  # type: ignore[method-assign]
        if logging.Handler.format is format_cleanly:
            logging.Handler.format = self._format  # type: ignore[method-assign]
        for logger, handler, propagate in reversed(self._removed):
            logger.addHandler(handler)
            logger.propagate = propagate
        self._removed.clear()
        if "celery.signals" in sys.modules:
            sys.modules["celery.signals"].setup_logging.disconnect(dispatch_uid="shopscope")
        for name, level in self._levels.items():
            logging.getLogger(name).setLevel(level)
        self._levels.clear()


def _is_servers_own(handler: logging.Handler) -> bool:
    """Whether a server has made the handler by default: to a stream, in uvicorn's or gunicorn's plain form."""
    if type(handler) is not logging.StreamHandler:
        return False
    form = handler.formatter
    return form is None or type(form).__module__.startswith("uvicorn.") or hasattr(handler, "_gunicorn")


def is_printed_by_service(logger: logging.Logger | None) -> bool:
    """Whether a handler of the service's own shows the logger's records where we would print them."""
    while logger is not None:
        if any(_prints(handler) for handler in logger.handlers):
            return True
        logger = logger.parent if logger.propagate else None
    return False


def _prints(handler: logging.Handler) -> bool:
    if isinstance(handler, logging.FileHandler):
        return handler.baseFilename.startswith(_STANDARD_FILES)
    if isinstance(handler, logging.StreamHandler):
        is_plain = type(handler) is logging.StreamHandler
        return is_plain or any(handler.stream is getattr(sys, name) for name in _STANDARD_STREAMS)
    # Rich's handler has a console; a queue's listener prints elsewhere.
    return hasattr(handler, "console") or hasattr(handler, "queue")
