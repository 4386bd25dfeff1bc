"""SQLAlchemy: one CLIENT span for each statement of any engine, sync or async.

The statement's text is not recorded: it may hold values. Its operation and first table are.
Source: https://opentelemetry.io/docs/specs/semconv/database/database-spans/
"""

import functools
import sys
from collections.abc import Callable
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Engine
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.pool import Pool

from shopscope._clients._calls import Calls, Peer, end_call, start_call
from shopscope._clients._sql import describe_statement
from shopscope._commerce import note_database_error
from shopscope._metrics._selfmetrics import internal_error
from shopscope._pipeline import active

# https://opentelemetry.io/docs/specs/semconv/registry/attributes/db/#db-system-name
_SYSTEMS = {"mssql": "microsoft.sql_server", "oracle": "oracle.db", "mariadb": "mariadb"}
_OBSERVED = "_shopscope_observed"
_STATEMENTS = ("do_execute", "do_executemany", "do_execute_no_params")
_ENDS = ("do_commit", "do_commit_twophase")


def instrument() -> None:
    """Observe every engine of the process, made before or after, from its next connection on.

    Not by SQLAlchemy's events: a single listener sends every statement of every engine through all of their dispatch.
    """
    original = Engine.raw_connection
    if hasattr(original, _OBSERVED):
        return

    @functools.wraps(original)
    def raw_connection(engine: Engine) -> Any:
        if _OBSERVED in vars(engine.dialect):
            return original(engine)
        _observe(engine, _observe_connecting)
        connection = original(engine)
        # Not before, because the first connection is asked what the library wants to know of the database.
        _observe(engine, _observe_statements)
        return connection

    setattr(raw_connection, _OBSERVED, True)
    Engine.raw_connection = raw_connection  # type: ignore[assignment,method-assign]
    event.listen(Pool, "connect", _silence_driver)


def _observe(engine: Engine, how: Callable[[Engine, Any], None]) -> None:
    """Wrap what an engine's dialect, which is no other engine's, does with a driver."""
    try:
        how(engine, engine.dialect)
    except Exception:  # noqa: BLE001 (telemetry never raises into the service)
        internal_error("sqlalchemy engine")


def _observe_connecting(_engine: Engine, dialect: Any) -> None:
    if type(dialect).connect is DefaultDialect.connect and "connect" not in vars(dialect):
        dialect.connect = functools.partial(_connect, dialect, dialect.connect)


def _observe_statements(engine: Engine, dialect: Any) -> None:
    if _OBSERVED not in vars(dialect):
        setattr(dialect, _OBSERVED, True)
        for name in _STATEMENTS:
            setattr(dialect, name, _wrap_statement(getattr(dialect, name), engine))
        for name in _ENDS:
            setattr(dialect, name, _wrap_end(getattr(dialect, name)))


def _wrap_statement(original: Any, engine: Engine) -> Any:
    url, system = engine.url, _SYSTEMS.get(engine.dialect.name, engine.dialect.name)
    key = (system, url.host, url.port, url.database)
    known: Peer | None = None

    @functools.wraps(original)
    def execute(cursor: Any, statement: str, *arguments: Any, **options: Any) -> Any:
        nonlocal known
        pipeline = active()
        if pipeline is None:
            return original(cursor, statement, *arguments, **options)
        try:
            peer = known
            if peer is None or peer.pipeline is not pipeline:
                peer = known = _calls.at(pipeline, *key)
            started = start_call(pipeline, peer[statement])
        except Exception:  # noqa: BLE001 (telemetry never raises into the service)
            internal_error("sqlalchemy statement")
            return original(cursor, statement, *arguments, **options)
        try:
            result = original(cursor, statement, *arguments, **options)
        except BaseException as error:
            end_call(started, error)
            note_database_error(error, statement)
            raise
        end_call(started)
        return result

    return execute


def _wrap_end(original: Any) -> Any:
    """A serializable transaction may be refused as late as here."""

    @functools.wraps(original)
    def commit(*arguments: Any, **options: Any) -> Any:
        try:
            return original(*arguments, **options)
        except Exception as error:
            note_database_error(error, "")
            raise

    return commit


def _connect(dialect: Any, original: Any, *arguments: Any, **options: Any) -> Any:
    """Leave out a driver's instrumentation: below an engine its statements would be there twice."""
    connect: Any = getattr(dialect.loaded_dbapi, "connect", None)
    wrapper = getattr(connect, "_self_wrapper", None)  # of wrapt's, which all of OpenTelemetry's are made with
    if getattr(wrapper, "__module__", "").startswith("opentelemetry."):
        return connect.__wrapped__(*arguments, **options)
    return original(*arguments, **options)


def _silence_driver(connection: Any, _record: Any) -> None:
    """Leave out statements of drivers that are observed by themselves: below an engine they would be there twice."""
    driver = getattr(connection, "driver_connection", connection)
    asyncpg = sys.modules.get("shopscope._clients._asyncpg")
    if asyncpg is not None and driver is not connection:
        asyncpg.leave_out(driver)
    # psycopg, whose asynchronous connections are not made by `connect` of its module.
    factory = getattr(driver, "cursor_factory", None)
    if isinstance(factory, type) and factory.__module__.startswith("opentelemetry."):
        driver.cursor_factory = factory.__base__


_calls = Calls(describe_statement)
