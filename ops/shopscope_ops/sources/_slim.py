"""Columns that no answer reads are emptied on the way in: they are most of a span's bytes."""

from collections.abc import Iterable
from typing import Final

import pyarrow as pa

from shopscope_ops.store.schema import SPANS

__all__ = ["slim_spans"]

_UNREAD: Final = frozenset({"status_message", "events", "links", "scope", "trace_state", "resource"})


def slim_spans(batches: Iterable[pa.RecordBatch]) -> pa.Table:
    """A span table of batches, with text columns that no answer reads set to ""."""
    slimmed = [
        pa.record_batch(
            [_empty(len(batch)) if name in _UNREAD else batch.column(name) for name in SPANS.names], schema=SPANS
        )
        for batch in batches
    ]
    return pa.Table.from_batches(slimmed, schema=SPANS)


def _empty(length: int) -> pa.Array:
    return pa.repeat(pa.scalar("", pa.string()), length)
