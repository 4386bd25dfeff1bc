"""SQLAlchemy's ORM: writes that were refused because another had changed the same rows, as versions tell.

What the database itself refuses is seen where statements are observed.
"""

import functools
import re
from typing import Any

from sqlalchemy.orm import Session
from sqlalchemy.orm.exc import StaleDataError

from shopscope._commerce import UNKNOWN_ENTITY, write_conflict

_TABLE_OF_MESSAGE = re.compile(r"on table '([^']+)'")


def instrument() -> None:
    """Wrap what sends the ORM's changes: there is no event for a failing flush."""
    if not hasattr(Session.flush, "__wrapped__"):
        Session.flush = _wrap_flush(Session.flush)  # type: ignore[method-assign] # as meant


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
