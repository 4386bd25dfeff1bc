"""The span table as a forest: ids become row numbers, text becomes codes, and every doubt about the data is counted.

Everything here is columnar: a million spans cost a few sorts, never a Python loop.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

__all__ = ["KINDS", "Codes", "Forest", "Ints", "Quality", "encode", "plant"]

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

KINDS: Final = ("", "server", "client", "internal", "producer", "consumer")
"""Span kinds; the position is the code that ``Forest.kind`` holds. "" is unknown."""


@dataclass(frozen=True, slots=True)
class Codes:
    """A text column as numbers: ``names[codes[row]]`` is the text of a row."""

    codes: Ints
    names: tuple[str, ...]

    def text(self, row: int) -> str:
        """Text of one row."""
        return self.names[int(self.codes[row])]

    def code(self, name: str) -> int:
        """Code of a text, or -1 when no row has it."""
        return self.names.index(name) if name in self.names else -1


@dataclass(frozen=True, slots=True)
class Quality:
    """What the span table itself leaves in doubt; all are counts.

    Attributes:
        spans: spans left once every span is counted once.
        traces: distinct trace ids.
        duplicate_spans: rows whose trace and span id were seen before; ignored.
        orphan_spans: spans that name a parent which is not in the data.
        rootless_traces: traces in which no span is without a parent id.
        cyclic_spans: spans that are their own ancestor, or below such a span; ignored.
        negative_durations: spans that end before they start; counted as zero long.
    """

    spans: int
    traces: int
    duplicate_spans: int
    orphan_spans: int
    rootless_traces: int
    cyclic_spans: int
    negative_durations: int

    def to_dict(self) -> dict[str, int]:
        """The counts by name."""
        return {name: int(getattr(self, name)) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Forest:
    """Spans in columns, each knowing the row of its parent and of its children.

    Attributes:
        table: the span table without duplicates; row numbers below are its rows.
        parent: row of the parent, -1 when there is none in the data.
        start: start of the span in unix nanoseconds.
        duration: length in nanoseconds, never negative.
        is_root: the span names no parent (an orphan names one that is missing).
        process: code of (service, instance); spans of one process share a clock.
        first_child: ``child_rows[first_child[row]:first_child[row + 1]]`` are the children of a row.
        child_rows: rows of children, grouped by parent.
    """

    table: pa.Table
    trace: Codes
    parent: Ints
    start: Ints
    duration: Ints
    is_root: Flags
    kind: Ints
    service: Codes
    process: Ints
    name: Codes
    journey: Codes
    peer: Codes
    status: Codes
    first_child: Ints
    child_rows: Ints
    quality: Quality

    def children(self, rows: Ints) -> tuple[Ints, Ints]:
        """Children of ``rows``, and for each child the position of its parent in ``rows``."""
        counts = self.first_child[rows + 1] - self.first_child[rows]
        positions = np.repeat(np.arange(len(rows)), counts)
        before = np.cumsum(counts) - counts
        offsets = np.arange(len(positions)) - before[positions]
        return self.child_rows[self.first_child[rows][positions] + offsets], positions

    def trace_ids(self, rows: Ints) -> list[str]:
        """Trace ids of rows, in their order."""
        return [self.trace.text(row) for row in rows.tolist()]


def encode(column: Any) -> Codes:
    """A text column as codes; null counts as ""."""
    encoded = pc.fill_null(column.combine_chunks(), "").dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    codes = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    return Codes(codes, tuple(encoded.dictionary.to_pylist()))


def plant(spans: pa.Table) -> Forest:
    """The forest of a span table with the columns of ``store.schema.SPANS``."""
    spans, trace, keys, parent_keys, duplicates = _identify(spans)
    parent, is_root = _parents(keys, parent_keys)
    service = encode(spans["service"])
    instance = encode(spans["instance"])
    duration = spans["duration_nano"].to_numpy().astype(np.int64)
    kind_codes = encode(spans["kind"])
    kind_of = np.array([KINDS.index(name) if name in KINDS else 0 for name in kind_codes.names], dtype=np.int64)
    first_child, child_rows = _group_children(parent)
    orphans = ~is_root & (parent < 0)
    rooted = np.zeros(len(trace.names), dtype=np.bool_)
    rooted[trace.codes[is_root]] = True
    return Forest(
        table=spans,
        trace=trace,
        parent=parent,
        start=spans["start_unix_nano"].to_numpy().astype(np.int64),
        duration=np.maximum(duration, 0),
        is_root=is_root,
        kind=kind_of[kind_codes.codes] if len(kind_codes.codes) else np.zeros(0, dtype=np.int64),
        service=service,
        process=service.codes * max(1, len(instance.names)) + instance.codes,
        name=encode(spans["name"]),
        journey=encode(spans["journey"]),
        peer=encode(spans["peer"]),
        status=encode(spans["status"]),
        first_child=first_child,
        child_rows=child_rows,
        quality=Quality(
            spans=len(spans),
            traces=len(trace.names),
            duplicate_spans=duplicates,
            orphan_spans=int(orphans.sum()),
            rootless_traces=int((~rooted).sum()),
            cyclic_spans=len(spans) - _reachable(parent, first_child, child_rows),
            negative_durations=int((duration < 0).sum()),
        ),
    )


def _identify(spans: pa.Table) -> tuple[pa.Table, Codes, Ints, Ints, int]:
    """The table without duplicates, its trace codes, and one number for each (trace, span) and (trace, parent)."""
    trace = encode(spans["trace_id"])
    ids = encode(pa.chunked_array([*spans["span_id"].chunks, *spans["parent_span_id"].chunks], pa.string()))
    span_codes, parent_codes = ids.codes[: len(spans)], ids.codes[len(spans) :]
    base = trace.codes * max(1, len(ids.names))
    keys = base + span_codes
    parent_keys = np.where(parent_codes == ids.code(""), -1, base + parent_codes)
    _, first = np.unique(keys, return_index=True)
    duplicates = len(keys) - len(first)
    if duplicates:
        kept = np.sort(first)
        spans, keys, parent_keys = spans.take(pa.array(kept)), keys[kept], parent_keys[kept]
        trace = Codes(trace.codes[kept], trace.names)
    return spans, trace, keys, parent_keys, duplicates


def _parents(keys: Ints, parent_keys: Ints) -> tuple[Ints, Flags]:
    """Row of each span's parent (-1: none in the data), and whether it names no parent at all."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    found = np.searchsorted(ordered, parent_keys)
    found[found == len(keys)] = 0
    is_found = ordered[found] == parent_keys if len(keys) else np.zeros(0, dtype=np.bool_)
    return np.where(is_found, order[found] if len(keys) else -1, -1).astype(np.int64), parent_keys < 0


def _group_children(parent: Ints) -> tuple[Ints, Ints]:
    order = np.argsort(parent, kind="stable")
    child_rows = order[np.searchsorted(parent[order], 0) :]
    first_child = np.searchsorted(parent[child_rows], np.arange(len(parent) + 1))
    return first_child.astype(np.int64), child_rows.astype(np.int64)


def _reachable(parent: Ints, first_child: Ints, child_rows: Ints) -> int:
    """Number of spans that a walk from the tops reaches; the others sit on or below a cycle."""
    frontier = np.flatnonzero(parent < 0)
    reached = 0
    while len(frontier):
        reached += len(frontier)
        counts = first_child[frontier + 1] - first_child[frontier]
        positions = np.repeat(np.arange(len(frontier)), counts)
        offsets = np.arange(len(positions)) - (np.cumsum(counts) - counts)[positions]
        frontier = child_rows[first_child[frontier][positions] + offsets]
    return reached
