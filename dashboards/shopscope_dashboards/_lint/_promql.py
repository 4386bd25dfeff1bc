"""PromQL as a tree: the selectors in a query, and what stands around each."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

import promql_parser as promql

from shopscope_dashboards._lint._grafana import replaced

#: Durations that no board writes: so the rules see which variable a window was.
WINDOWS: Mapping[str, int] = {"__rate_interval": 61, "__interval": 67, "__range": 86_411}
_NUMBERS = {"__range_s": "86411", "__range_ms": "86411000", "__interval_ms": "67000", "__from": "1", "__to": "2"}
_PLACEHOLDERS = {name: f"{seconds}s" for name, seconds in WINDOWS.items()} | _NUMBERS
_NAME = "__name__"


@dataclass(frozen=True, slots=True)
class Matcher:
    """One condition on a label: ``=``, ``!=``, ``=~`` or ``!~``."""

    label: str
    operator: str
    value: str


@dataclass(frozen=True, slots=True)
class Selector:
    """One selection of series.

    Attributes:
        names: metrics that it may select; empty when its name is a pattern that is no list.
        matchers: conditions on labels.
        window_seconds: length of its range; None for the newest sample.
        inside: functions and aggregations around it, the innermost first.
    """

    names: tuple[str, ...]
    matchers: tuple[Matcher, ...]
    window_seconds: float | None
    inside: tuple[str, ...]


@lru_cache(maxsize=4096)
def _parsed(text: str) -> promql.Expr:
    tree: promql.Expr = promql.parse(text)
    return tree


def parse(text: str, values: Mapping[str, str]) -> promql.Expr:
    """The tree of a query of a board.

    Args:
        text: PromQL with Grafana's variables.
        values: what stands for the board's own variables.

    Raises:
        ValueError: it is no PromQL.
    """
    return _parsed(replaced(text, {**values, **_PLACEHOLDERS}))


def children(tree: promql.Expr) -> tuple[promql.Expr, ...]:
    """The expressions directly below one."""
    if isinstance(tree, promql.BinaryExpr):
        return tree.lhs, tree.rhs
    if isinstance(tree, promql.Call):
        return tuple(tree.args)
    if isinstance(tree, promql.AggregateExpr):
        return (tree.expr,) if tree.param is None else (tree.expr, tree.param)
    if isinstance(tree, promql.ParenExpr | promql.UnaryExpr | promql.SubqueryExpr):
        return (tree.expr,)
    if isinstance(tree, promql.MatrixSelector):
        return (tree.vector_selector,)
    return ()


def walk(tree: promql.Expr) -> Iterator[promql.Expr]:
    """A tree's expressions, each before those below it."""
    yield tree
    for child in children(tree):
        yield from walk(child)


def bare(tree: promql.Expr) -> promql.Expr:
    """The expression within parentheses."""
    while isinstance(tree, promql.ParenExpr):
        tree = tree.expr
    return tree


def operator(tree: promql.BinaryExpr | promql.AggregateExpr) -> str:
    """``+``, ``unless``, ``sum`` and so on."""
    return str(tree.op).partition(" ")[0]


def selectors(tree: promql.Expr) -> list[Selector]:
    """Every selection of series in a tree."""
    return list(_selectors(tree, (), None))


def selected(tree: promql.VectorSelector) -> tuple[tuple[str, ...], tuple[Matcher, ...]]:
    """Names and conditions of one selector."""
    pairs = tuple(
        Matcher(matcher.name, _OPERATORS[str(matcher.op).rpartition(".")[2]], matcher.value)
        for matcher in tree.matchers.matchers
    )
    names = (tree.name,) if tree.name else next((_listed(pair) for pair in pairs if pair.label == _NAME), ())
    return names, tuple(pair for pair in pairs if pair.label != _NAME)


_OPERATORS = {"Equal": "=", "NotEqual": "!=", "Re": "=~", "NotRe": "!~"}


def _listed(matcher: Matcher) -> tuple[str, ...]:
    """The names that a condition on the name lists: ``a|b`` does, ``a.+`` does not."""
    if matcher.operator == "=" or (matcher.operator == "=~" and re.fullmatch(r"[\w:]+(\|[\w:]+)*", matcher.value)):
        return tuple(matcher.value.split("|"))
    return ()


def _selectors(tree: promql.Expr, inside: tuple[str, ...], window: float | None) -> Iterator[Selector]:
    if isinstance(tree, promql.VectorSelector):
        names, matchers = selected(tree)
        yield Selector(names, matchers, window, inside)
        return
    if isinstance(tree, promql.MatrixSelector):
        window = tree.range.total_seconds()
    elif isinstance(tree, promql.Call):
        inside = (tree.func.name, *inside)
    elif isinstance(tree, promql.AggregateExpr):
        inside = (operator(tree), *inside)
    for child in children(tree):
        yield from _selectors(child, inside, window)
