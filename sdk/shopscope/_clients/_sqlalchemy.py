"""SQLAlchemy: one CLIENT span for each statement of any engine, sync or async.

The statement's text is not recorded: it may hold values. Its operation and first table are.
Source: https://opentelemetry.io/docs/specs/semconv/database/database-spans/
"""

import sys
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Engine
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.pool import Pool

from shopscope._clients._calls import Calls, end_call, start_call
from shopscope._clients._sql import describe_statement
from shopscope._metrics._dependencies import Dependency
from shopscope._metrics._selfmetrics import internal_error
from shopscope._pipeline import Pipeline, active

# https://opentelemetry.io/docs/specs/semconv/registry/attributes/db/#db-system-name
_SYSTEMS = {"mssql": "microsoft.sql_server", "oracle": "oracle.db", "mariadb": "mariadb"}
_SPANS = "_shopscope_spans"


def instrument() -> None:
    """Listen to every engine of the process, made before or after."""
    if not event.contains(Engine, "before_cursor_execute", _before):
        event.listen(Engine, "before_cursor_execute", _before)
        event.listen(Engine, "after_cursor_execute", _after)
        event.listen(Engine, "handle_error", _on_error)
        event.listen(Engine, "do_connect", _connect)
        event.listen(Pool, "connect", _silence_driver)


def _before(conn: Any, _cursor: Any, statement: str, _parameters: Any, _context: Any, _executemany: Any) -> None:
    pipeline = active()
    if pipeline is None:
        return
    try:
        url = conn.engine.url
        call = _calls.find(pipeline, conn.dialect.name, url.host, url.port, url.database, statement)
        # A stack, because a statement may run another (a server-side default, an event of the user's).
        conn.info.setdefault(_SPANS, []).append(start_call(pipeline, call))
    except Exception:  # noqa: BLE001 (telemetry never raises into the service)
        internal_error("sqlalchemy statement")


def _after(conn: Any, *_: Any) -> None:
    spans = conn.info.get(_SPANS)
    if spans:
        end_call(spans.pop())


def _on_error(context: Any) -> None:
    conn = context.connection
    spans = conn.info.get(_SPANS) if conn is not None and not conn.closed and not conn.invalidated else None
    if spans:
        end_call(spans.pop(), context.original_exception)


def _connect(dialect: Any, _record: Any, arguments: Any, options: Any) -> Any:
    """Leave out a driver's instrumentation: below an engine its statements would be there twice."""
    connect: Any = getattr(dialect.loaded_dbapi, "connect", None)
    wrapper = getattr(connect, "_self_wrapper", None)  # of wrapt's, which all of OpenTelemetry's are made with
    if (
        not getattr(wrapper, "__module__", "").startswith("opentelemetry.")
        or type(dialect).connect is not DefaultDialect.connect
    ):
        return None
    return connect.__wrapped__(*arguments, **options)


def _silence_driver(connection: Any, _record: Any) -> None:
    """Leave out statements of drivers that are observed by themselves: below an engine they would be there twice."""
    driver = getattr(connection, "driver_connection", connection)
    asyncpg = sys.modules.get("shopscope._clients._asyncpg")
    if asyncpg is not None and driver is not connection:
        asyncpg.observed_elsewhere.add(driver)
    # psycopg, whose asynchronous connections are not made by `connect` of its module.
    factory = getattr(driver, "cursor_factory", None)
    if isinstance(factory, type) and factory.__module__.startswith("opentelemetry."):
        driver.cursor_factory = factory.__base__


def _describe(
    pipeline: Pipeline, dialect: str, host: str | None, port: int | None, database: str | None, statement: str
) -> tuple[str, Dependency, dict[str, Any]]:
    return describe_statement(pipeline, _SYSTEMS.get(dialect, dialect), host, port, database, statement)


_calls = Calls(_describe)
