"""What a SQL statement says of itself without its text, which may hold values: operation, first table, access.

Source: https://opentelemetry.io/docs/specs/semconv/database/database-spans/
"""

import re
from typing import Any

from shopscope._metrics._dependencies import Dependency, access_of, peer_name
from shopscope._pipeline import Pipeline

_OPERATION = re.compile(r"\s*(?:/\*.*?\*/\s*|--[^\n]*\n\s*)*(\w+)", re.DOTALL)
_TABLE = re.compile(r"\b(?:FROM|INTO|UPDATE|JOIN|TABLE)\s+(?:ONLY\s+)?([\w.\"`\[\]]+)", re.IGNORECASE)
_LOCKING = re.compile(r"\bFOR\s+(?:NO\s+KEY\s+)?UPDATE\b", re.IGNORECASE)


def describe_statement(
    pipeline: Pipeline,
    system: str,
    host: str | None,
    port: int | None,
    database: str | None,
    statement: str,
    access: str = "",
) -> tuple[str, Dependency, dict[str, Any]]:
    """Name, dependency and attributes of the calls that run ``statement``; ``access`` where its text does not tell."""
    match = _OPERATION.match(statement)
    operation = match[1].upper() if match else ""
    table = _TABLE.search(statement)
    summary = f"{operation} {table[1]}" if table else operation
    # A locking read waits like a write and blocks like one.
    access = access or ("write" if _LOCKING.search(statement) else access_of(operation))
    attributes: dict[str, Any] = {"db.system.name": system, "db.operation.name": operation, "db.query.summary": summary}
    if database:
        attributes["db.namespace"] = database
    if host:
        attributes["server.address"] = host
    if port:
        attributes["server.port"] = port
    dependency = Dependency(peer_name(host or "", port, pipeline.settings.peers, system), "db", access)
    return summary or system, dependency, attributes
