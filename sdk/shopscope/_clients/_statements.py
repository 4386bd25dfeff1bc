"""What a statement does, without its text, which may hold values: operation, first table, access.

Source: https://opentelemetry.io/docs/specs/semconv/database/database-spans/
"""

import re
from typing import NamedTuple

from shopscope._metrics._dependencies import access_of

_OPERATION = re.compile(r"\s*(?:/\*.*?\*/\s*|--[^\n]*\n\s*)*(\w+)", re.DOTALL)
_TABLE = re.compile(r"\b(?:FROM|INTO|UPDATE|JOIN|TABLE)\s+(?:ONLY\s+)?([\w.\"`\[\]]+)", re.IGNORECASE)
_LOCKING = re.compile(r"\bFOR\s+(?:NO\s+KEY\s+)?UPDATE\b", re.IGNORECASE)


class Statement(NamedTuple):
    """What a statement does."""

    operation: str
    summary: str
    access: str


def read_statement(text: str) -> Statement:
    """Operation in capitals, operation and first table, and whether it reads or writes."""
    match = _OPERATION.match(text)
    operation = match[1].upper() if match else ""
    table = _TABLE.search(text)
    summary = f"{operation} {table[1]}" if table else operation
    # A locking read waits like a write and blocks like one.
    return Statement(operation, summary, "write" if _LOCKING.search(text) else access_of(operation))
