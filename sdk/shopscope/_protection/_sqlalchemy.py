"""SQLAlchemy: writes that were refused because another had changed the same rows.

Versions of the ORM that do not match, and what PostgreSQL's serializable transactions and deadlock detection refuse.
"""

import functools
import re
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Engine
from sqlalchemy.orm import Session
from sqlalchemy.orm.exc import StaleDataError

from shopscope._commerce import UNKNOWN_ENTITY, note_database_error, write_conflict

_TABLE_OF_MESSAGE = re.compile(r"on table '([^']+)'")


def instrument() -> None:
    """Listen to every engine, and wrap what sends the ORM's changes."""
    if not event.contains(Engine, "handle_error", _on_error):
        event.listen(Engine, "handle_error", _on_error)
        # There is no event for a failing flush.
        Session.flush = _wrap_flush(Session.flush)  # type: ignore[method-assign] # as meant


def _on_error(context: Any) -> None:
    note_database_error(context.original_exception, context.statement or "")


def _wrap_flush(original: Any) -> Any:
    @functools.wraps(original)
    def flush(self: Any, *args: Any, **kwargs: Any) -> None:
        try:
            original(self, *args, **kwargs)
        except StaleDataError as error:
            table = _TABLE_OF_MESSAGE.search(str(error))
            write_conflict(table[1] if table else UNKNOWN_ENTITY)
            raise

    return flush
