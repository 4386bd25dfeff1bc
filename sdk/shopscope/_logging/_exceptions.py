"""An exception as fields of a log line: type, message, stack trace, and those that caused it."""

import sys
import traceback
from typing import Any

from shopscope._export._wire import safe_str
from shopscope._redaction._privacy import scrub_end

_MAX_CAUSES = 8


def type_name(error: BaseException) -> str:
    """The qualified name of an exception's type; a built-in one has no module before it."""
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def exception_fields(exc_info: object) -> dict[str, Any]:
    """Fields for what ``exc_info`` stands for: an exception, a tuple, or true for the one being handled."""
    if isinstance(exc_info, tuple):
        error = exc_info[1] if len(exc_info) > 1 else None
    else:
        error = exc_info if isinstance(exc_info, BaseException) else sys.exc_info()[1]
    if not isinstance(error, BaseException):
        return {}
    fields: dict[str, Any] = {
        "exception.type": type_name(error),
        "exception.message": safe_str(error),
        "exception.stacktrace": _stack_of(error),
    }
    causes = _causes_of(error)
    if causes:
        fields["exception.causes"] = causes
    return fields


def _stack_of(error: BaseException) -> str:
    try:
        return scrub_end("".join(traceback.format_exception(error)))
    except Exception:  # noqa: BLE001 (user code: attributes of the exception may raise)
        return ""


def _causes_of(error: BaseException) -> list[dict[str, str]]:
    """Type and message of the exceptions below, nearest first, as a traceback would show them."""
    found: list[dict[str, str]] = []
    seen = {id(error)}
    below = _cause_of(error)
    while below is not None and id(below) not in seen and len(found) < _MAX_CAUSES:
        seen.add(id(below))
        found.append({"type": type_name(below), "message": safe_str(below)})
        below = _cause_of(below)
    return found


def _cause_of(error: BaseException) -> BaseException | None:
    if error.__cause__ is not None:
        return error.__cause__
    return None if error.__suppress_context__ else error.__context__
