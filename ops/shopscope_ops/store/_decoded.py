"""What a decoder hands on: tables of the accepted rows, and what was rejected and why."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from shopscope_ops.store.schema import TABLES

__all__ = ["Decoded", "Rejections", "table_of"]


@dataclass(frozen=True, slots=True)
class Decoded:
    """The accepted rows of one OTLP request.

    Attributes:
        tables: tables by name, with the schemas of ``store.schema``.
        accepted: spans, points or records taken.
        rejected: spans, points or records refused, as OTLP's partial success counts them.
        message: why some were refused; "" when none was.
    """

    tables: Mapping[str, pa.Table]
    accepted: int
    rejected: int = 0
    message: str = ""


@dataclass(slots=True)
class Rejections:
    """Counts what is refused, and keeps the first reason: the sender has one fault, many times."""

    count: int = 0
    first: str = field(default="")

    def add(self, reason: str) -> None:
        """Count one refusal."""
        self.count += 1
        self.first = self.first or reason

    @property
    def message(self) -> str:
        """One sentence for the sender, or ""."""
        return f"{self.count} rejected; the first: {self.first}" if self.count else ""


def table_of(name: str, rows: Sequence[tuple[Any, ...]]) -> pa.Table:
    """Rows, each a tuple in the order of the table's columns, as Arrow."""
    schema = TABLES[name]
    if not rows:
        return schema.empty_table()
    columns = zip(*rows, strict=True)
    arrays = [pa.array(column, kind) for column, kind in zip(columns, schema.types, strict=True)]
    return pa.Table.from_arrays(arrays, schema=schema)
