"""Finds what is wrong with boards before Grafana shows it: a panel without data, a unit that lies, a p95 that is none.

Works on the JSON that Grafana reads, so that it judges boards by whoever made them. It needs ``promql-parser``, which a
service that draws no boards does not: nothing else of this package imports it.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from shopscope._metrics._names import METRICS
from shopscope_dashboards._lint._board import board_findings
from shopscope_dashboards._lint._finding import Finding
from shopscope_dashboards._lint._grafana import panels_of, targets_of, variable_values
from shopscope_dashboards._lint._panel import panel_findings
from shopscope_dashboards._lint._query import metrics_in
from shopscope_dashboards._sources import Json

__all__ = ["UNSHOWN", "Finding", "lint", "metrics_of"]

UNSHOWN: Mapping[str, str] = MappingProxyType({})
"""Families of the SDK that are on no board, and why."""


def lint(boards: Iterable[Json], unshown: Mapping[str, str] = UNSHOWN, *, is_whole: bool = True) -> list[Finding]:
    """Every fault of some boards.

    Args:
        boards: as Grafana reads them.
        unshown: metrics that are on no board, and why.
        is_whole: whether these are all boards: then each metric of the SDK is to be on one.
    """
    found: list[Finding] = []
    boards = list(boards)
    uids = [str(board.get("uid")) for board in boards]
    found += [
        Finding(uid, "", "uid", "a uid must be a board's own") for uid in sorted(set(uids)) if uids.count(uid) > 1
    ]
    for board in boards:
        values = variable_values(board)
        found += board_findings(board, uids)
        for panel in panels_of(board):
            found += panel_findings(board, panel, values)
    return [*found, *(_orphans(boards, unshown) if is_whole else [])]


def metrics_of(board: Json) -> frozenset[str]:
    """The metrics that a board's panels ask for."""
    values = variable_values(board)
    asked = [target for target in targets_of(board) if target.source == "prometheus" and target.panel]
    return frozenset(name for target in asked for name in metrics_in(target.text, values))


def _orphans(boards: list[Json], unshown: Mapping[str, str]) -> list[Finding]:
    """Metrics that cost every service something and that nobody sees."""
    shown = frozenset[str]().union(*(metrics_of(board) for board in boards))
    suffixes = ("", "_total", "_bucket", "_count", "_sum")
    found = []
    for row in METRICS:
        is_shown = any(f"{row.family}{suffix}" in shown for suffix in suffixes)
        if not is_shown and row.family not in unshown:
            found.append(
                Finding("", row.family, "orphan", "a metric of the SDK must be on a board, or its absence explained")
            )
        if is_shown and row.family in unshown:
            found.append(Finding("", row.family, "orphan", "it is on a board: take it off the list of what is on none"))
    return found
