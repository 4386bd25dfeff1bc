"""Which labels the series of a query's answer have."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import promql_parser as promql

from shopscope._metrics._names import METRICS
from shopscope_dashboards._lint._promql import bare, children, operator, selected
from shopscope_dashboards._recorded import LABELS

#: On every series of the SDK: promoted attributes of the resource, and what Prometheus makes of them.
COMMON = frozenset({"service_name", "service_instance_id", "deployment_environment_name", "job", "instance"})
_NOTHING: Mapping[str, str] = MappingProxyType({})
_KEEPS_ALL = frozenset({"topk", "bottomk", "limitk", "limit_ratio"})
_WITHOUT_LABELS = frozenset({"scalar", "time", "vector", "pi"})
_SET_OPERATORS = frozenset({"and", "unless"})


def _of_sdk() -> dict[str, frozenset[str]]:
    labels: dict[str, frozenset[str]] = {}
    for row in METRICS:
        own = COMMON.union(row.labels)
        if row.kind == "histogram":
            labels |= {row.family: own, f"{row.family}_count": own, f"{row.family}_sum": own}
            labels[f"{row.family}_bucket"] = own | {"le"}
        else:
            labels[f"{row.family}_total" if row.kind == "counter" else row.family] = own
    return labels


SDK_LABELS: Mapping[str, frozenset[str]] = MappingProxyType(_of_sdk())
"""Each series of the SDK by its name in Prometheus → its labels."""

KNOWN_LABELS: Mapping[str, frozenset[str]] = MappingProxyType(
    {**SDK_LABELS, **{name: frozenset(labels) for name, labels in LABELS.items()}}
)
"""The same, and those that the recording rules make."""


class Labels(NamedTuple):
    """Labels of an answer's series.

    Attributes:
        always: those that each series has.
        ever: those that some series has.
        is_open: further ones may be there: nobody says which labels a foreign metric has.
        fixed: labels that have the one value that the query asks for.
        apart: labels that have one value on each side of an ``or``, and not the same one.
    """

    always: frozenset[str]
    ever: frozenset[str]
    is_open: bool = False
    fixed: Mapping[str, str] = _NOTHING
    apart: frozenset[str] = frozenset()

    def may_have(self, label: str) -> bool:
        """Whether some series may have the label."""
        return self.is_open or label in self.ever

    @property
    def telling(self) -> frozenset[str]:
        """Labels that tell the series apart, as far as is known."""
        return self.ever - self.fixed.keys() - self.apart


NONE = Labels(frozenset(), frozenset())


def labels_of(tree: promql.Expr) -> Labels:
    """The labels of what an expression answers."""
    tree = bare(tree)
    if isinstance(tree, promql.VectorSelector):
        return _of_selector(tree)
    if isinstance(tree, promql.AggregateExpr):
        return _of_aggregation(tree)
    if isinstance(tree, promql.BinaryExpr):
        return _of_operation(tree)
    if isinstance(tree, promql.Call):
        return _of_call(tree)
    below = children(tree)
    return labels_of(below[0]) if below else NONE


def unknown_grouping(tree: promql.AggregateExpr) -> list[str]:
    """Labels that an aggregation names and that no series below it has."""
    if tree.modifier is None:
        return []
    inner = labels_of(tree.expr)
    return [] if inner.is_open else sorted(set(tree.modifier.labels) - inner.ever)


def _of_selector(tree: promql.VectorSelector) -> Labels:
    names, matchers = selected(tree)
    fixed = {matcher.label: matcher.value for matcher in matchers if matcher.operator == "="}
    known = [KNOWN_LABELS.get(name) for name in names]
    if not known or None in known:
        return Labels(frozenset(fixed), frozenset(fixed), is_open=True, fixed=fixed)
    sets = [labels for labels in known if labels is not None]
    return Labels(frozenset.intersection(*sets), frozenset.union(*sets), fixed=fixed)


def _of_aggregation(tree: promql.AggregateExpr) -> Labels:
    inner = labels_of(tree.expr)
    if operator(tree) in _KEEPS_ALL:
        return inner
    added = frozenset({tree.param.val}) if operator(tree) == "count_values" and tree.param is not None else frozenset()
    if tree.modifier is None:
        return Labels(added, added)
    named = frozenset(tree.modifier.labels)
    if str(tree.modifier.type).endswith("By"):
        if inner.is_open:
            return Labels(named | added, named | added, fixed=_only(inner.fixed, named))
        return Labels((inner.always & named) | added, (inner.ever & named) | added, fixed=_only(inner.fixed, named))
    kept = inner.ever - named
    return Labels((inner.always - named) | added, kept | added, inner.is_open, _only(inner.fixed, kept))


def _of_operation(tree: promql.BinaryExpr) -> Labels:
    left, right = labels_of(tree.lhs), labels_of(tree.rhs)
    sign = operator(tree)
    if sign == "or":
        fixed = {label: value for label, value in left.fixed.items() if right.fixed.get(label) == value}
        either = {*left.fixed, *left.apart} & {*right.fixed, *right.apart}
        apart = frozenset(either) - fixed.keys()
        always, ever = left.always & right.always, left.ever | right.ever
        return Labels(always, ever, left.is_open or right.is_open, fixed, apart)
    if sign in _SET_OPERATORS or _is_number(tree.rhs):
        return left
    if _is_number(tree.lhs):
        return right
    return _matched(tree, left, right)


def _matched(tree: promql.BinaryExpr, left: Labels, right: Labels) -> Labels:
    modifier = tree.modifier
    if modifier is None:
        return left if not left.is_open else right if not right.is_open else left
    card = str(modifier.card).rpartition(".")[2]
    added = frozenset(modifier.group_labels or ())
    if card in {"ManyToOne", "OneToMany"}:
        many = left if card == "ManyToOne" else right
        return Labels(many.always | added, many.ever | added, many.is_open, many.fixed)
    if modifier.matching is None:
        return left if not left.is_open else right if not right.is_open else left
    named = frozenset(modifier.matching.labels)
    if str(modifier.matching.type).endswith("Include"):
        return Labels(named, named, fixed=_only(left.fixed, named))
    kept = left.ever - named
    return Labels(left.always - named, kept, left.is_open, _only(left.fixed, kept))


def _of_call(tree: promql.Call) -> Labels:
    name = tree.func.name
    if name in _WITHOUT_LABELS:
        return NONE
    vectors = [arg for arg in tree.args if not isinstance(bare(arg), promql.NumberLiteral | promql.StringLiteral)]
    inner = labels_of(vectors[0]) if vectors else NONE
    if name in {"histogram_quantile", "histogram_fraction"}:
        return Labels(inner.always - {"le"}, inner.ever - {"le"}, inner.is_open, inner.fixed)
    if name in {"label_replace", "label_join"}:
        label = tree.args[1].val
        fixed = {key: value for key, value in inner.fixed.items() if key != label}
        if name == "label_replace" and "$" not in tree.args[2].val and not tree.args[4].val:
            fixed[label] = tree.args[2].val
        return Labels(inner.always | {label}, inner.ever | {label}, inner.is_open, fixed)
    if name in {"absent", "absent_over_time"}:
        return Labels(frozenset(inner.fixed), frozenset(inner.fixed), fixed=inner.fixed)
    return inner


def _is_number(tree: promql.Expr) -> bool:
    tree = bare(tree)
    if isinstance(tree, promql.Call):
        return tree.func.name in {"scalar", "time", "pi"}
    if isinstance(tree, promql.BinaryExpr):
        return _is_number(tree.lhs) and _is_number(tree.rhs)
    return isinstance(tree, promql.NumberLiteral)


def _only(fixed: Mapping[str, str], labels: frozenset[str]) -> dict[str, str]:
    return {label: value for label, value in fixed.items() if label in labels}
