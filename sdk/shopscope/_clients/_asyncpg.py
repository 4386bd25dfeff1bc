"""asyncpg: one CLIENT span for each statement, copy and batch of a cursor; none where SQLAlchemy has one already."""

import functools
import weakref
from typing import Any

import asyncpg
from asyncpg.cursor import BaseCursor
from asyncpg.prepared_stmt import PreparedStatement

from shopscope._clients._calls import Calls, Started, end_call, start_call
from shopscope._clients._sql import describe_statement
from shopscope._commerce import note_database_error
from shopscope._metrics._dependencies import Dependency
from shopscope._metrics._selfmetrics import internal_error
from shopscope._pipeline import Pipeline, active

_STATEMENT_METHODS = ("execute", "executemany", "fetch", "fetchmany", "fetchrow", "fetchval")
_COPY_METHODS = ("copy_from_query", "copy_from_table", "copy_records_to_table", "copy_to_table")
_CURSOR_METHODS = ("_bind_exec", "_exec")
_MARK = "_shopscope_wrapped"

# Connections whose statements somebody else observes, by their ids: a WeakSet's question costs ten times as much.
_left_out: dict[int, "weakref.ref[Any]"] = {}


def leave_out(connection: Any) -> None:
    """Leave out the statements of a connection."""
    key = id(connection)
    _left_out[key] = weakref.ref(connection, lambda _: _left_out.pop(key, None))


def instrument() -> None:
    """Wrap connections (a pool's call them), prepared statements and cursors."""
    for owner, names, explain in (
        (asyncpg.Connection, _STATEMENT_METHODS, _of_connection),
        (asyncpg.Connection, _COPY_METHODS, _of_copy),
        (PreparedStatement, _STATEMENT_METHODS[1:], _of_prepared),
        (BaseCursor, _CURSOR_METHODS, _of_prepared),
    ):
        for name in names:
            original = getattr(owner, name)
            if not hasattr(original, _MARK):
                setattr(owner, name, _wrap(original, name, explain))


def _wrap(original: Any, name: str, explain: Any) -> Any:
    is_connection = explain is not _of_prepared

    async def observed(self: Any, args: Any, kwargs: Any) -> Any:
        span = _begin(explain, name, self, args, kwargs)
        if span is None:
            return await original(self, *args, **kwargs)
        try:
            result = await original(self, *args, **kwargs)
        except BaseException as error:
            end_call(span, error)
            note_database_error(error, getattr(span, "name", ""))
            raise
        end_call(span)
        return result

    # Told apart before a coroutine is made: below SQLAlchemy all calls come through here for nothing.
    @functools.wraps(original)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        if id(self if is_connection else self._connection) in _left_out or active() is None:
            return original(self, *args, **kwargs)
        return observed(self, args, kwargs)

    # A mark of our own: asyncpg wraps some of them itself.
    vars(call)[_MARK] = True
    return call


def _begin(explain: Any, name: str, caller: Any, args: Any, kwargs: Any) -> Started | None:
    pipeline = active()
    if pipeline is None:
        return None
    try:
        connection, statement, access = explain(name, caller, args, kwargs)
        address = connection._addr  # noqa: SLF001 (the public API does not tell who is called)
        host, port = address if isinstance(address, tuple) else (address, None)
        database = connection._params.database  # noqa: SLF001 (same)
        return start_call(pipeline, _calls.at(pipeline, host, port, database)[statement, access])
    except Exception:  # noqa: BLE001 (telemetry never raises into the service)
        internal_error("asyncpg statement")
        return None


def _of_connection(_name: str, connection: Any, args: Any, kwargs: Any) -> tuple[Any, str, str]:
    return connection, args[0] if args else kwargs.get("query") or kwargs["command"], ""


def _of_copy(name: str, connection: Any, args: Any, kwargs: Any) -> tuple[Any, str, str]:
    if name == "copy_from_query":
        return connection, "COPY", "read"
    table = args[0] if args else kwargs["table_name"]
    return (connection, f"COPY FROM {table}", "read") if "from" in name else (connection, f"COPY INTO {table}", "write")


def _of_prepared(_name: str, owner: Any, _args: Any, _kwargs: Any) -> tuple[Any, str, str]:
    return owner._connection, owner._query, ""  # noqa: SLF001 (the public API does not tell)


def _describe(
    pipeline: Pipeline, host: str, port: int | None, database: str, operation: tuple[str, str]
) -> tuple[str, Dependency, dict[str, Any]]:
    return describe_statement(pipeline, "postgresql", host, port, database, *operation)


_calls = Calls(_describe)
