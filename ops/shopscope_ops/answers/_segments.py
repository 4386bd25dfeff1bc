"""Exclusive time on the critical path by what it was spent on: own work, the way to a callee, an outside callee."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from shopscope_ops.answers._cohorts import Chosen
from shopscope_ops.answers._critical import Paths
from shopscope_ops.answers._forest import KINDS, Forest, Ints
from shopscope_ops.answers._operations import METHODS, request_paths

__all__ = ["Calls", "Segment", "Spent", "calls_of", "segments_of"]

_EVIDENCE: Final = 3
_KINDS: Final = ("work", "network", "outside")
_NETWORK, _OUTSIDE = 1, 2


@dataclass(frozen=True, slots=True)
class Spent:
    """What a cohort spent on one thing.

    Attributes:
        share: of all the cohort's time, between 0 and 1.
        seconds: exclusive seconds per request of the cohort.
        before_callee_seconds: the part of ``seconds`` before the callee's span began, for segments of kind
            "network"; with unequal clocks it is half by construction. 0 for other kinds.
        calls_per_request: spans of it on the critical path per request of the cohort.
        requests: requests of the cohort that have it on their path.
        trace_ids: those that spent most on it.
    """

    share: float
    seconds: float
    before_callee_seconds: float
    calls_per_request: float
    requests: int
    trace_ids: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """The fields by name."""
        return {name: getattr(self, name) for name in self.__slots__} | {"trace_ids": list(self.trace_ids)}


@dataclass(frozen=True, slots=True)
class Segment:
    """One thing that requests spend exclusive time on.

    Attributes:
        kind: "work" inside a service; "network" between a caller's span and its callee's, which includes queueing
            before the callee begins; "outside", the whole call of a callee that sends no spans.
        service: who works, or who calls.
        callee: who is called, "" for work.
        operation: name of the span, or of the call.
        median: what the median requests spend on it.
        slowest: what the slowest requests spend on it.
    """

    kind: str
    service: str
    callee: str
    operation: str
    median: Spent
    slowest: Spent

    @property
    def label(self) -> str:
        """One line for people."""
        if self.kind == "work":
            return f"{self.service} {self.operation}"
        return f"{self.service} → {self.callee} {self.operation}"

    def to_dict(self) -> dict[str, Any]:
        """The fields by name."""
        own = {name: getattr(self, name) for name in ("kind", "service", "callee", "operation", "label")}
        return own | {"median": self.median.to_dict(), "slowest": self.slowest.to_dict()}


@dataclass(frozen=True, slots=True)
class Calls:
    """What each span on the paths is.

    Attributes:
        is_call: the span is a caller's view of a call.
        callee: position of the callee's span on the path, -1 when it has none there.
        is_remote: the span belongs to another process than its parent.
        code: what its exclusive time is spent on, a position in ``keys``.
        keys: (kind, service, callee, operation).
    """

    is_call: NDArray[np.bool_]
    callee: Ints
    is_remote: NDArray[np.bool_]
    code: Ints
    keys: tuple[tuple[str, str, str, str], ...]


def calls_of(forest: Forest, paths: Paths) -> Calls:
    """Name what every span on the paths spends its exclusive time on."""
    count = len(paths.row)
    process = forest.process[paths.row]
    inner = np.flatnonzero(paths.parent >= 0)
    is_remote = np.zeros(count, dtype=np.bool_)
    is_remote[inner] = process[inner] != process[paths.parent[inner]]
    callee = np.full(count, -1, dtype=np.int64)
    remote = np.flatnonzero(is_remote)
    # The earliest of several callees (a redirect, a second try) names the call: written last.
    remote = remote[np.argsort(-paths.start[remote], kind="stable")]
    callee[paths.parent[remote]] = remote
    kind = forest.kind[paths.row]
    is_call = np.isin(kind, (KINDS.index("client"), KINDS.index("producer")))
    is_call |= (kind == 0) & _calls_only_others(forest, paths.row)
    code, keys = _keys(forest, paths, is_call, callee)
    return Calls(is_call, callee, is_remote, code, keys)


def _calls_only_others(forest: Forest, rows: Ints) -> NDArray[np.bool_]:
    """Whether a span has children and all belong to other processes: without a kind, that is what a call looks like."""
    children, parent = forest.children(rows)
    is_other = forest.process[children] != forest.process[rows[parent]]
    total = np.bincount(parent, minlength=len(rows))
    others = np.bincount(parent[is_other], minlength=len(rows))
    is_call: NDArray[np.bool_] = (total > 0) & (total == others)
    return is_call


def _keys(
    forest: Forest, paths: Paths, is_call: NDArray[np.bool_], callee: Ints
) -> tuple[Ints, tuple[tuple[str, str, str, str], ...]]:
    rows = paths.row
    answered = is_call & (callee >= 0)
    callee_row = np.where(answered, rows[callee], rows)
    is_outside = is_call & ~answered
    url_paths = request_paths(forest, rows, is_outside)
    kind = np.where(answered, _NETWORK, np.where(is_outside, _OUTSIDE, 0))
    columns = (
        kind,
        forest.service.codes[rows],
        np.where(answered, forest.service.codes[callee_row], np.where(is_outside, forest.peer.codes[rows], 0)),
        forest.name.codes[rows],
        np.where(answered, forest.name.codes[callee_row], 0),
        url_paths.codes,
    )
    combined = np.zeros(len(rows), dtype=np.int64)
    for column in columns:
        _, combined = np.unique(combined * (int(column.max(initial=0)) + 1) + column, return_inverse=True)
    _, first, inverse = np.unique(combined, return_index=True, return_inverse=True)
    codes: dict[tuple[str, str, str, str], int] = {}
    code_of = np.zeros(len(first), dtype=np.int64)
    for position, at in enumerate(first.tolist()):
        row, name = rows[at], forest.name.text(rows[at])
        other, operation = "", name
        if kind[at] == _NETWORK:
            other, callee_name = forest.service.text(callee_row[at]), forest.name.text(callee_row[at])
            operation = callee_name if name in METHODS and callee_name not in METHODS else name
        elif kind[at] == _OUTSIDE:
            other = forest.peer.text(row) or "unknown"
            operation = f"{name} {url_paths.text(at)}".strip()
        key = (_KINDS[kind[at]], forest.service.text(row), other, operation)
        code_of[position] = codes.setdefault(key, len(codes))
    return code_of[inverse], tuple(codes)


def segments_of(forest: Forest, paths: Paths, chosen: Chosen, calls: Calls) -> tuple[Segment, ...]:
    """Segments of both cohorts, the largest share of the slowest first."""
    before = np.zeros(len(paths.row), dtype=np.int64)
    answered = np.flatnonzero(calls.is_call & (calls.callee >= 0))
    before[answered] = np.minimum(
        paths.start[calls.callee[answered]] - paths.start[answered], paths.exclusive[answered]
    )
    median = _spent(forest, paths, chosen, calls, before, chosen.in_median)
    slowest = _spent(forest, paths, chosen, calls, before, chosen.in_slowest)
    segments = [Segment(*key, one, other) for key, one, other in zip(calls.keys, median, slowest, strict=True)]
    return tuple(sorted(segments, key=lambda segment: (-segment.slowest.share, -segment.median.share, segment.label)))


def _spent(
    forest: Forest, paths: Paths, chosen: Chosen, calls: Calls, before: Ints, in_cohort: NDArray[np.bool_]
) -> list[Spent]:
    here = np.flatnonzero(in_cohort[paths.request])
    code, exclusive = calls.code[here], paths.exclusive[here]
    size, requests = len(calls.keys), int(in_cohort.sum())
    whole = max(1, int(forest.duration[chosen.rows[in_cohort]].sum()))
    nanos = np.bincount(code, weights=exclusive, minlength=size)
    ahead = np.bincount(code, weights=before[here], minlength=size)
    spans = np.bincount(code, minlength=size)
    pairs, group = np.unique(code * len(chosen.rows) + paths.request[here], return_inverse=True)
    per_request = np.bincount(group, weights=exclusive, minlength=len(pairs))
    pair_code, pair_request = np.divmod(pairs, len(chosen.rows))
    order = np.lexsort((-per_request, pair_code))
    first = np.searchsorted(pair_code[order], np.arange(size + 1))
    return [
        Spent(
            share=float(nanos[at] / whole),
            seconds=float(nanos[at] / 1e9 / requests),
            before_callee_seconds=float(ahead[at] / 1e9 / requests),
            calls_per_request=float(spans[at] / requests),
            requests=int(first[at + 1] - first[at]),
            trace_ids=tuple(
                forest.trace_ids(
                    chosen.rows[pair_request[order[first[at] : min(first[at] + _EVIDENCE, first[at + 1])]]]
                )
            ),
        )
        for at in range(size)
    ]
