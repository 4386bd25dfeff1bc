"""SQLAlchemy: one CLIENT span for each statement of any engine, sync or async.

The statement's text is not recorded: it may hold values. Its operation and first table are.
Source: https://opentelemetry.io/docs/specs/semconv/database/database-spans/
"""

import re
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Engine

from shopscope._clients._calls import Calls, end_call, start_call
from shopscope._dependencies import Dependency, access_of, peer_name
from shopscope._pipeline import Pipeline, active
from shopscope._selfmetrics import internal_error

_OPERATION = re.compile(r"\s*(?:/\*.*?\*/\s*|--[^\n]*\n\s*)*(\w+)", re.DOTALL)
_TABLE = re.compile(r"\b(?:FROM|INTO|UPDATE|JOIN|TABLE)\s+(?:ONLY\s+)?([\w.\"`\[\]]+)", re.IGNORECASE)
_LOCKING = re.compile(r"\bFOR\s+(?:NO\s+KEY\s+)?UPDATE\b", re.IGNORECASE)
# https://opentelemetry.io/docs/specs/semconv/registry/attributes/db/#db-system-name
_SYSTEMS = {"mssql": "microsoft.sql_server", "oracle": "oracle.db", "mariadb": "mariadb"}
_SPANS = "_shopscope_spans"


def instrument() -> None:
    """Listen to every engine of the process, made before or after."""
    if not event.contains(Engine, "before_cursor_execute", _before):
        event.listen(Engine, "before_cursor_execute", _before)
        event.listen(Engine, "after_cursor_execute", _after)
        event.listen(Engine, "handle_error", _on_error)


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


def _describe(
    pipeline: Pipeline, dialect: str, host: str | None, port: int | None, database: str | None, statement: str
) -> tuple[str, Dependency, dict[str, Any]]:
    system = _SYSTEMS.get(dialect, dialect)
    match = _OPERATION.match(statement)
    operation = match[1].upper() if match else ""
    table = _TABLE.search(statement)
    summary = f"{operation} {table[1]}" if table else operation
    # A locking read waits like a write and blocks like one.
    access = "write" if _LOCKING.search(statement) else access_of(operation)
    attributes: dict[str, Any] = {"db.system.name": system, "db.operation.name": operation, "db.query.summary": summary}
    if database:
        attributes["db.namespace"] = database
    if host:
        attributes["server.address"] = host
    if port:
        attributes["server.port"] = port
    return (
        summary or system,
        Dependency(peer_name(host or "", port, pipeline.settings.peers, system), "db", access),
        attributes,
    )


_calls = Calls(_describe)
