"""Which spans are requests of which journey."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shopscope.config import Journey, Shop
from shopscope_ops.answers._forest import KINDS, Codes, Forest, Ints

__all__ = ["Requests", "find_requests"]

_DEEPEST = 4096
"""Ancestors looked at before a span counts as part of a cycle."""


@dataclass(frozen=True, slots=True)
class Requests:
    """The requests of a journey: rows of the spans that answer the customer."""

    journey: str
    rows: Ints
    is_declared: bool


def find_requests(forest: Forest, shop: Shop) -> tuple[Requests, ...]:
    """Requests by journey: those of ``shopscope.toml`` first, in its order, then others by number of requests.

    A journey's request is its outermost span that is no client's: of the service that the file names, where it does. A
    span without a journey gets it from the file's routes. A trace without any journey is named by its root's
    "service: name", if a root that answers somebody is there.
    """
    label = _labels(forest, shop)
    found = {name: _entries(forest, label, name, shop.journeys.get(name)) for name in label.names if name}
    taken = np.zeros(len(forest.trace.names), dtype=np.bool_)
    for rows in found.values():
        taken[forest.trace.codes[rows]] = True
    found |= _unnamed(forest, taken)
    declared = [
        Requests(name, found.pop(name, np.zeros(0, dtype=np.int64)), is_declared=True) for name in shop.journeys
    ]
    others = [Requests(name, rows, is_declared=False) for name, rows in found.items() if len(rows)]
    return (*declared, *sorted(others, key=lambda other: (-len(other.rows), other.journey)))


def _labels(forest: Forest, shop: Shop) -> Codes:
    """Journey of every span: its own, else the one whose route it answers."""
    names = list(dict.fromkeys((*forest.journey.names, "", *shop.journeys)))
    code_of = {name: code for code, name in enumerate(names)}
    codes = forest.journey.codes.copy()
    is_server = (forest.kind == KINDS.index("server")) | (forest.kind == 0)
    is_open = is_server & (codes == code_of[""])
    for journey in shop.journeys.values():
        routes = [code for route in journey.routes if (code := forest.name.code(route)) >= 0]
        is_route = np.isin(forest.name.codes, routes) & (forest.service.codes == forest.service.code(journey.service))
        codes[is_open & is_route] = code_of[journey.name]
    return Codes(codes, tuple(names))


def _entries(forest: Forest, label: Codes, name: str, journey: Journey | None) -> Ints:
    code = label.code(name)
    is_callers = np.isin(forest.kind, (KINDS.index("client"), KINDS.index("producer")))
    rows = np.flatnonzero((label.codes == code) & ~is_callers)
    is_orphan = (forest.parent[rows] < 0) & ~forest.is_root[rows]
    at_home = np.zeros(len(rows), dtype=np.bool_)
    if journey is not None:
        at_home = forest.service.codes[rows] == forest.service.code(journey.service)
    # Where the service that answers the customer is known, a missing parent is just a caller outside the shop.
    rows = rows[at_home] if at_home.any() else rows[~is_orphan]
    return rows[_is_outermost(forest.parent, label.codes, rows, code)]


def _is_outermost(parent: Ints, labels: Ints, rows: Ints, code: int) -> NDArray[np.bool_]:
    """Whether no ancestor of a row has the same journey; rows whose ancestors form a cycle are not."""
    ancestor = parent[rows]
    is_candidate = np.ones(len(rows), dtype=np.bool_)
    for _ in range(_DEEPEST):
        open_rows = np.flatnonzero(is_candidate & (ancestor >= 0))
        if not len(open_rows):
            return is_candidate
        is_candidate[open_rows] = labels[ancestor[open_rows]] != code
        ancestor[open_rows] = parent[ancestor[open_rows]]
    return is_candidate & (ancestor < 0)


def _unnamed(forest: Forest, taken: NDArray[np.bool_]) -> Mapping[str, Ints]:
    """Roots of traces that no journey claims, by "service: name"."""
    answers_somebody = np.isin(forest.kind, (0, KINDS.index("server"), KINDS.index("consumer")))
    rows = np.flatnonzero(forest.is_root & answers_somebody & ~taken[forest.trace.codes])
    keys = forest.service.codes[rows] * max(1, len(forest.name.names)) + forest.name.codes[rows]
    _, first, group = np.unique(keys, return_index=True, return_inverse=True)
    order = np.argsort(group, kind="stable")
    parts = np.split(rows[order], np.cumsum(np.bincount(group, minlength=len(first)))[:-1]) if len(first) else []
    named: dict[str, Ints] = {}
    for row, part in zip(rows[first].tolist(), parts, strict=True):
        named[f"{forest.service.text(row)}: {forest.name.text(row)}"] = part
    return named
