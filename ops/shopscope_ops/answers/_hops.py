"""The chain of calls that a journey waits for: who calls whom, in which order, how deep."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from shopscope_ops.answers._cohorts import Chosen
from shopscope_ops.answers._critical import Paths
from shopscope_ops.answers._forest import Forest, Ints
from shopscope_ops.answers._segments import Calls

__all__ = ["LEAST_SHARE", "Hop", "HopTime", "hops_of"]

LEAST_SHARE: Final = 0.001
"""Hops that take less of either cohort's time are left out, and with them all hops below."""


@dataclass(frozen=True, slots=True)
class HopTime:
    """What a hop means for the requests of a cohort.

    Attributes:
        waited_share: share of the cohort's time spent waiting for the hop and all below it.
        waited_seconds: the same per request.
        own_seconds: exclusive seconds per request in the callee itself (for an outside callee, all of it).
        network_seconds: exclusive seconds per request between the caller's span and the callee's.
        calls_per_request: calls on the critical path per request.
    """

    waited_share: float
    waited_seconds: float
    own_seconds: float
    network_seconds: float
    calls_per_request: float

    def to_dict(self) -> dict[str, float]:
        """The fields by name."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Hop:
    """One call that requests wait for.

    Attributes:
        depth: 0 for the request itself, 1 for what it calls, and so on.
        kind: "entry", "call", or "outside" for a callee that sends no spans.
        caller: service that calls, "" for the entry.
        callee: service that is called.
        operation: what it is asked for.
        median: what it means for the median requests.
        slowest: what it means for the slowest requests.
    """

    depth: int
    kind: str
    caller: str
    callee: str
    operation: str
    median: HopTime
    slowest: HopTime

    def to_dict(self) -> dict[str, Any]:
        """The fields by name."""
        own = {name: getattr(self, name) for name in ("depth", "kind", "caller", "callee", "operation")}
        return own | {"median": self.median.to_dict(), "slowest": self.slowest.to_dict()}


@dataclass(frozen=True, slots=True)
class _Nodes:
    """Hops found: of every span, and for each hop its parent and a span that opens it."""

    of_span: Ints
    opens: NDArray[np.bool_]
    parent: Ints
    opener: Ints


def hops_of(forest: Forest, paths: Paths, chosen: Chosen, calls: Calls) -> tuple[Hop, ...]:
    """Hops in the order in which requests make them, each after its caller."""
    nodes = _find(paths, calls)
    median = _times(forest, paths, chosen, calls, nodes, chosen.in_median)
    slowest = _times(forest, paths, chosen, calls, nodes, chosen.in_slowest)
    opened = np.flatnonzero(nodes.opens)
    hop = nodes.of_span[opened]
    size = len(nodes.parent)
    offset = paths.start[opened] - forest.start[chosen.rows][paths.request[opened]]
    mean_offset = np.bincount(hop, weights=offset, minlength=size) / np.maximum(np.bincount(hop, minlength=size), 1)
    below: dict[int, list[int]] = {}
    for node in np.lexsort((np.arange(size), mean_offset)).tolist():
        if max(median[node].waited_share, slowest[node].waited_share) >= LEAST_SHARE:
            below.setdefault(int(nodes.parent[node]), []).append(node)
    hops: list[Hop] = []
    waiting = [(node, 0) for node in reversed(below.get(-1, []))]
    while waiting:
        node, depth = waiting.pop()
        hops.append(Hop(depth, *_who(forest, paths, calls, int(nodes.opener[node])), median[node], slowest[node]))
        waiting += [(child, depth + 1) for child in reversed(below.get(node, []))]
    return tuple(hops)


def _find(paths: Paths, calls: Calls) -> _Nodes:
    """Hop of every span: calls open one, and callees whose call nobody recorded; others are in their parent's."""
    is_in_call = np.zeros(len(paths.row), dtype=np.bool_)
    inner = paths.parent >= 0
    is_in_call[inner] = calls.is_call[paths.parent[inner]]
    opens = ~inner | calls.is_call | (calls.is_remote & ~is_in_call)
    of_span = np.zeros(len(paths.row), dtype=np.int64)
    parents, openers, known = [], [], 0
    for begin, end in zip(paths.levels[:-1], paths.levels[1:], strict=True):
        here = np.arange(begin, end)
        above = np.where(paths.parent[here] >= 0, of_span[paths.parent[here]], -1)
        opened = opens[here]
        of_span[here[~opened]] = above[~opened]
        keys = (above[opened] + 1) * len(calls.keys) + calls.code[here[opened]]
        _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
        of_span[here[opened]] = known + inverse
        parents.append(above[opened][first])
        openers.append(here[opened][first])
        known += len(first)
    return _Nodes(of_span, opens, np.concatenate(parents), np.concatenate(openers))


def _who(forest: Forest, paths: Paths, calls: Calls, opener: int) -> tuple[str, str, str, str]:
    """Kind, caller, callee and operation of the hop that a span opens."""
    kind, service, callee, operation = calls.keys[calls.code[opener]]
    if kind != "work":
        return ("outside" if kind == "outside" else "call"), service, callee, operation
    parent = int(paths.parent[opener])
    if parent < 0:
        return "entry", "", service, operation
    return "call", forest.service.text(paths.row[parent]), service, operation


def _times(
    forest: Forest, paths: Paths, chosen: Chosen, calls: Calls, nodes: _Nodes, in_cohort: NDArray[np.bool_]
) -> list[HopTime]:
    here = in_cohort[paths.request]
    requests, size = int(in_cohort.sum()), len(nodes.parent)
    whole = max(1, int(forest.duration[chosen.rows[in_cohort]].sum()))
    opened = here & nodes.opens
    on_the_way = here & calls.is_call & (calls.callee >= 0)

    def total(chosen_spans: NDArray[np.bool_], nanos: Ints) -> NDArray[np.float64]:
        weights = nanos[chosen_spans].astype(np.float64)
        return np.bincount(nodes.of_span[chosen_spans], weights=weights, minlength=size).astype(np.float64)

    waited = total(opened, paths.end - paths.start)
    network = total(on_the_way, paths.exclusive)
    own = total(here & ~on_the_way, paths.exclusive)
    count = np.bincount(nodes.of_span[opened], minlength=size)
    return [
        HopTime(
            waited_share=float(waited[at] / whole),
            waited_seconds=float(waited[at] / 1e9 / requests),
            own_seconds=float(own[at] / 1e9 / requests),
            network_seconds=float(network[at] / 1e9 / requests),
            calls_per_request=float(count[at] / requests),
        )
        for at in range(size)
    ]
