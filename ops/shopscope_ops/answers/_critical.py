"""The critical path: which spans a request waited for, and how long for each of them alone.

Walking back from a span's end, the child that finished last is what the span waited for; before that child started, the
child that had finished last by then; and so on. What no child covers is the span's own, *exclusive* time. Within one
request the exclusive times on the path add up to its duration exactly, in integer nanoseconds.

The walk is done for one depth of all requests at a time: the predecessor of a child (the sibling that had finished when
it started) does not depend on the walk, so it is found for all children by one sorted search, and the chains from the
last child backwards are marked by pointer doubling. See Uber's CRISP (USENIX ATC 2022) for the method on one trace.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shopscope_ops.answers._forest import KINDS, Forest, Ints

__all__ = ["OUTLIVES_SHARE", "Paths", "critical_paths"]

OUTLIVES_SHARE = 100
"""A child of the same process that ends after its parent by more than one part in so many of its own length was not
waited for. Less is the jitter of two ``end()`` calls, and is cut off."""

_SERVER, _CLIENT, _PRODUCER, _CONSUMER = (KINDS.index(kind) for kind in ("server", "client", "producer", "consumer"))


@dataclass(frozen=True, slots=True)
class Paths:
    """The spans on the critical paths of some requests, outermost first.

    Attributes:
        row: the span's row in the forest.
        request: position of the request (in the entries asked for) whose path the span is on.
        parent: position of the parent in these arrays, -1 for an entry.
        start: start on the entry's clock, cut to the parent's interval, unix nanoseconds.
        end: end on the entry's clock, cut to the parent's interval.
        exclusive: nanoseconds of the path that belong to the span alone.
        levels: positions of the first span of each depth, and the end.
        shifted_spans: spans moved because their clock disagreed with their caller's.
        largest_shift: the largest such move in nanoseconds.
        asynchronous_spans: children that were seen next to the paths and not waited for.
    """

    row: Ints
    request: Ints
    parent: Ints
    start: Ints
    end: Ints
    exclusive: Ints
    levels: tuple[int, ...]
    shifted_spans: int
    largest_shift: int
    asynchronous_spans: int


@dataclass(slots=True)
class _Level:
    """Spans of one depth that are on a path: ``delta`` is what was added to their clock."""

    row: Ints
    request: Ints
    parent: Ints
    start: Ints
    end: Ints
    delta: Ints


def critical_paths(forest: Forest, entries: Ints) -> Paths:
    """Critical paths of the requests that begin with the spans in rows ``entries``, none an ancestor of another."""
    start = forest.start[entries]
    level = _Level(
        row=entries,
        request=np.arange(len(entries), dtype=np.int64),
        parent=np.full(len(entries), -1, dtype=np.int64),
        start=start,
        end=start + forest.duration[entries],
        delta=np.zeros(len(entries), dtype=np.int64),
    )
    levels: list[_Level] = []
    bounds, shifted, largest, asynchronous = [0], 0, 0, 0
    while len(level.row):
        levels.append(level)
        base = bounds[-1]
        bounds.append(base + len(level.row))
        below, moved, skipped = _children(forest, level)
        shifted += int((moved != 0).sum())
        largest = max(largest, int(np.abs(moved).max(initial=0)))
        asynchronous += skipped
        kept = _chain(below.parent, below.start, below.end)
        level = _Level(
            row=below.row[kept],
            request=below.request[kept],
            parent=below.parent[kept] + base,
            start=below.start[kept],
            end=below.end[kept],
            delta=below.delta[kept],
        )
    return _join(levels, tuple(bounds), shifted, largest, asynchronous)


def _join(levels: list[_Level], bounds: tuple[int, ...], shifted: int, largest: int, asynchronous: int) -> Paths:
    def column(name: str) -> Ints:
        parts = [getattr(level, name) for level in levels]
        return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)

    start, end, parent = column("start"), column("end"), column("parent")
    exclusive = end - start
    inner = parent >= 0
    np.subtract.at(exclusive, parent[inner], (end - start)[inner])
    return Paths(
        column("row"), column("request"), parent, start, end, exclusive, bounds, shifted, largest, asynchronous
    )


def _children(forest: Forest, level: _Level) -> tuple[_Level, Ints, int]:
    """Children that the spans of a level waited for, on their parents' clock; how far each was moved; others' count."""
    row, parent = forest.children(level.row)
    duration = forest.duration[row]
    parent_start, parent_end = level.start[parent], level.end[parent]
    parent_row = level.row[parent]
    is_local = forest.process[row] == forest.process[parent_row]
    moved = np.where(is_local, 0, _clock_shift(forest.start[row], duration, parent_start, parent_end))
    delta = np.where(is_local, level.delta[parent], moved)
    start = forest.start[row] + delta
    end = start + duration
    kind, parent_kind = forest.kind[row], forest.kind[parent_row]
    outlives = np.where(
        is_local,
        (end - parent_end) * OUTLIVES_SHARE > duration,
        # A callee that runs on after its client gave up was waited for until then.
        (duration > parent_end - parent_start) & (parent_kind != _CLIENT) & (parent_kind != 0),
    )
    is_waited_for = ~outlives & (start < parent_end) & (kind != _CONSUMER) & (is_local | (parent_kind != _PRODUCER))
    # An instant child at the very end has no time to wait for, and none to give.
    is_waited_for |= ~outlives & (start == parent_end) & (duration == 0) & is_local & (kind != _CONSUMER)
    below = _Level(
        row=row[is_waited_for],
        request=level.request[parent[is_waited_for]],
        parent=parent[is_waited_for],
        start=np.maximum(start, parent_start)[is_waited_for],
        end=np.minimum(end, parent_end)[is_waited_for],
        delta=delta[is_waited_for],
    )
    np.maximum(below.end, below.start, out=below.end)
    return below, moved[is_waited_for], int((~is_waited_for).sum())


def _clock_shift(start: Ints, duration: Ints, parent_start: Ints, parent_end: Ints) -> Ints:
    """What to add to a callee's clock so that its span lies within its caller's; 0 where it does already.

    As Jaeger does: with no better knowledge the way there and the way back took equally long. A callee that took longer
    than its caller waited began when the caller did.
    """
    is_outside = (start < parent_start) | (start + duration > parent_end)
    slack = parent_end - parent_start - duration
    return np.where(is_outside, parent_start + np.maximum(slack, 0) // 2 - start, 0)


def _chain(parent: Ints, start: Ints, end: Ints) -> NDArray[np.int64]:
    """Positions of the children on the walk back from their parents' ends, in (parent, time) order.

    Of children that end together the longest comes first on the walk.
    """
    count = len(parent)
    order = np.lexsort((-start, end, parent))
    parent, start, end = parent[order], start[order], end[order]
    # One number for (parent, time): times are replaced by their rank so that the product fits 64 bits.
    times, ranks = np.unique(np.concatenate((start, end)), return_inverse=True)
    scale = len(times)
    by_end = parent * scale + ranks[count:]
    finished = np.searchsorted(by_end, parent * scale + ranks[:count], side="right") - 1
    # An instant child ends when it starts: its predecessor is the one before it, never itself.
    previous = np.minimum(finished, np.arange(count) - 1)
    is_first_of_parent = (previous < 0) | (parent[previous] != parent)
    pointer = np.append(np.where(is_first_of_parent, count, previous), count)
    is_marked = np.zeros(count + 1, dtype=np.bool_)
    is_marked[:count] = np.append(parent[1:] != parent[:-1], np.ones(min(count, 1), dtype=np.bool_))
    while (pointer[:count] < count).any():
        is_marked[pointer[is_marked]] = True
        pointer = pointer[pointer]
    return order[is_marked[:count]]
