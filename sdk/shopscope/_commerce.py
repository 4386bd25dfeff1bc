"""What no library announces: orders, reads of caches, conflicts of writers, reads that were out of date."""

import math
import re
from decimal import Decimal
from typing import Literal

from shopscope._metrics._instruments import OVERFLOW
from shopscope._metrics._selfmetrics import never_raises
from shopscope._pipeline import active

_CURRENCY_LETTERS = 3
_RESULTS = ("hit", "miss", "stale")
# Serialization failure and deadlock: https://www.postgresql.org/docs/current/errcodes-appendix.html
_CONFLICTS = frozenset({"40001", "40P01"})
_TABLE = r"\b(?:FROM|INTO|UPDATE)\s+(?:ONLY\s+)?([\w.\"]+)"
UNKNOWN_ENTITY = "unknown"


@never_raises
def order_placed(total: float | Decimal, *, currency: str = "EUR") -> None:
    """Count an order and its value.

    Args:
        total: the order's value, in ``currency``, not in cents.
        currency: ISO 4217 code.
    """
    pipeline = active()
    if pipeline is not None:
        value = float(total)
        if not 0 <= value < math.inf:
            raise ValueError(f"order_placed: total must be a number of at least 0: {total!r}; pass the order's value")
        is_code = len(currency) == _CURRENCY_LETTERS and currency.isascii() and currency.isalpha()
        label = currency.upper() if is_code else OVERFLOW
        pipeline.instruments.orders.labels(label).inc()
        pipeline.instruments.order_value.labels(label).inc(value)


@never_raises
def cache_read(cache: str, result: Literal["hit", "miss", "stale"], *, age_seconds: float | None = None) -> None:
    """Count a read of a cache, and how old the entry was.

    Args:
        cache: a stable name such as ``catalogue``, not a key.
        result: ``hit``, ``miss``, or ``stale`` for an entry that was served although it was out of date.
        age_seconds: seconds since the entry was written, where it is known.
    """
    pipeline = active()
    if pipeline is not None:
        if result not in _RESULTS:
            raise ValueError(f"cache_read: result must be one of {', '.join(_RESULTS)}: {result!r}; pass one of these")
        if age_seconds is not None and not 0 <= age_seconds < math.inf:
            raise ValueError(
                f"cache_read: age_seconds must be a number of at least 0: {age_seconds!r}; pass seconds or leave it out"
            )
        name = _name("cache_read", "cache", cache)
        pipeline.instruments.cache_requests.labels(name, result).inc()
        if age_seconds is not None:
            pipeline.instruments.cache_ages.labels(name, result).observe(age_seconds)


@never_raises
def write_conflict(entity: str) -> None:
    """Count a write that was refused because another one had changed the same data.

    SQLAlchemy's ``StaleDataError`` and PostgreSQL's serialization failures and deadlocks are counted without it.

    Args:
        entity: a stable name such as ``stock``, not an id.
    """
    pipeline = active()
    if pipeline is not None:
        pipeline.instruments.write_conflicts.labels(_name("write_conflict", "entity", entity)).inc()


@never_raises
def stale_read(entity: str) -> None:
    """Count a read that turned out to be out of date: of a replica, a cache, a search index.

    Args:
        entity: a stable name such as ``price``, not an id.
    """
    pipeline = active()
    if pipeline is not None:
        pipeline.instruments.stale_reads.labels(_name("stale_read", "entity", entity)).inc()


@never_raises
def note_database_error(error: BaseException, statement: str) -> None:
    """Count a write conflict if PostgreSQL says that it was one.

    Args:
        error: the driver's.
        statement: its text, or verb and table.
    """
    # psycopg and asyncpg call it sqlstate, psycopg2 pgcode.
    if (getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)) in _CONFLICTS:
        table = re.search(_TABLE, statement, re.IGNORECASE)
        write_conflict(table[1].replace('"', "") if table else UNKNOWN_ENTITY)


def _name(function: str, argument: str, value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"{function}: {argument} must be a text that is not empty: {value!r}; pass a stable name")
    return value
