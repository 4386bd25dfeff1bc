"""Records of the standard library as events."""

import logging
from typing import Any

from shopscope._export._wire import safe_str
from shopscope._logging._setup import LEVELS

_RECORD_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message", "taskName"}


def level_of(number: int) -> str:
    """The level at or below a number of the standard library, which may be a level of the user's own."""
    return next((level for level, least in reversed(LEVELS.items()) if number >= least), "debug")


def event_of(record: logging.LogRecord, level: str) -> dict[str, Any]:
    """A record of the standard library as an event: message, logger, extras, exception."""
    event: dict[str, Any] = {"event": "", "level": level, "logger": record.name}
    try:
        event["event"] = record.getMessage()
    except Exception:  # noqa: BLE001 (wrong arguments must not cost the line)
        event["event"] = safe_str(record.msg)
        event["logging_error"] = "the arguments do not fit the message"
    event.update((key, value) for key, value in vars(record).items() if key not in _RECORD_FIELDS)
    if record.exc_info and record.exc_info[0] is not None:
        event["exc_info"] = record.exc_info
    if record.stack_info:
        event["stack"] = record.stack_info
    return event


def is_our_own(record: logging.LogRecord) -> bool:
    """Whether the record says how sending goes: to send that too would feed itself."""
    is_ours = record.name == "shopscope" or record.name.startswith("shopscope.")
    return is_ours or (record.threadName or "").startswith("shopscope-")
