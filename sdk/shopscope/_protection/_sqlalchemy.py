"""SQLAlchemy: writes that were refused because another had changed the same rows.

Versions of the ORM that do not match, and what PostgreSQL's serializable transactions and deadlock detection refuse:
https://www.postgresql.org/docs/current/errcodes-appendix.html
"""

import functools
import re
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Engine
from sqlalchemy.orm import Session
from sqlalchemy.orm.exc import StaleDataError

from shopscope._commerce import write_conflict
from shopscope._selfmetrics import never_raises

_SERIALIZATION_FAILURE, _DEADLOCK = "40001", "40P01"
_TABLE_OF_MESSAGE = re.compile(r"on table '([^']+)'")
_TABLE = re.compile(r"\b(?:FROM|INTO|UPDATE)\s+(?:ONLY\s+)?([\w.\"]+)", re.IGNORECASE)
_UNKNOWN = "unknown"


def instrument() -> None:
    """Listen to every engine, and wrap what sends the ORM's changes."""
    if not event.contains(Engine, "handle_error", _on_error):
        event.listen(Engine, "handle_error", _on_error)
        # There is no event for a failing flush.
        Session.flush = _wrap_flush(Session.flush)  # type: ignore[method-assign] # as meant


def _on_error(context: Any) -> None:
    # psycopg and asyncpg call it sqlstate, psycopg2 pgcode.
    error = context.original_exception
    code = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
    if code in {_SERIALIZATION_FAILURE, _DEADLOCK}:
        _count(_TABLE, context.statement or "")


def _wrap_flush(original: Any) -> Any:
    @functools.wraps(original)
    def flush(self: Any, *args: Any, **kwargs: Any) -> None:
        try:
            original(self, *args, **kwargs)
        except StaleDataError as error:
            _count(_TABLE_OF_MESSAGE, str(error))
            raise

    return flush


@never_raises
def _count(pattern: re.Pattern[str], text: str) -> None:
    table = pattern.search(text)
    write_conflict(table[1].replace('"', "") if table else _UNKNOWN)
