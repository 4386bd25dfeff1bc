"""What a query measures, and which of Grafana's units say so."""

import re
from collections.abc import Mapping
from typing import NamedTuple

import promql_parser as promql

from shopscope._metrics._names import METRICS
from shopscope_dashboards._lint._promql import bare, children, operator, selected, walk

Powers = frozenset[tuple[str, int]]


class Quantity(NamedTuple):
    """What numbers measure: base quantities with their exponents, and the factor that they were multiplied by."""

    powers: Powers
    factor: float = 1.0


_RATIO: Powers = frozenset()
_SECONDS: Powers = frozenset({("s", 1)})
_EVENTS: Powers = frozenset({("n", 1)})
_PER_SECOND: Powers = frozenset({("n", 1), ("s", -1)})
_BYTES: Powers = frozenset({("By", 1)})
_BYTES_PER_SECOND: Powers = frozenset({("By", 1), ("s", -1)})
_MONEY: Powers = frozenset({("money", 1)})
_MONEY_PER_SECOND: Powers = frozenset({("money", 1), ("s", -1)})
_DAYS = frozenset({("d", 1)})

_COUNTS = frozenset({"short", "none", "locale", "sishort"})
_MINUTELY = frozenset({"opm", "rpm", "cpm", "wpm", "mpm", "epm"})
_SECONDLY = frozenset({"ops", "reqps", "cps", "rps", "wps", "iops", "eps", "mps", "recps", "rowsps", "hertz"})
_FITTING: Mapping[tuple[Powers, float], frozenset[str]] = {
    (_RATIO, 1): frozenset({"percentunit", "none", "short"}),
    (_RATIO, 100): frozenset({"percent", "none", "short"}),  # or so many of a hundred
    (_SECONDS, 1): frozenset({"s", "dtdurations", "clocks"}),
    (_SECONDS, 1000): frozenset({"ms", "dtdurationms"}),
    (_DAYS, 1): frozenset({"d"}),
    (_BYTES, 1): frozenset({"bytes", "decbytes"}),
    (_BYTES_PER_SECOND, 1): frozenset({"Bps", "binBps"}),
    (_EVENTS, 1): _COUNTS,
    (_PER_SECOND, 1): _SECONDLY,
    (_PER_SECOND, 60): _MINUTELY,
}
# Shown as they stand, before or behind the number: who writes one knows what is measured.
_CUSTOM = re.compile(r"(suffix|prefix|count|si):\S.*")
_CURRENCY = re.compile(r"currency(?:[A-Z]{3}|:\S.*)|(?:prefix|suffix):.+")
_OTHERS = frozenset({"m", "h", "µs", "ns", "bool", "bool_yes_no", "bool_on_off", "string"}) | {
    "dateTimeAsIso", "dateTimeAsLocal", "dateTimeFromNow", "dateTimeAsSystem", "time: YYYY-MM-DD HH:mm:ss",
}  # fmt: skip

_SUFFIXES = ("_total", "_bucket", "_count", "_sum")
_BY_NAME = ((re.compile(r"_seconds$"), _SECONDS), (re.compile(r"_bytes$"), _BYTES), (re.compile(r"_ratio$"), _RATIO))
_RECORDED = (
    (re.compile(r":ratio(_rate)?\w*$"), _RATIO),
    (re.compile(r":rate\w+$"), _PER_SECOND),
    (re.compile(r":seconds$"), _SECONDS),
    (re.compile(r":days$"), _DAYS),
)
_PER_TIME = frozenset({"rate", "irate", "deriv"})
_COUNTING = frozenset({"count_over_time", "changes", "resets"})
_SAME = frozenset(
    {
        *("increase", "delta", "idelta", "abs", "ceil", "floor", "round", "clamp", "clamp_min", "clamp_max", "sort"),
        *("sort_desc", "label_replace", "label_join", "avg_over_time", "min_over_time", "max_over_time", "scalar"),
        *("sum_over_time", "last_over_time", "quantile_over_time", "stddev_over_time", "predict_linear", "vector"),
    }
)
_SAME_AGGREGATED = frozenset({"sum", "avg", "min", "max", "topk", "bottomk", "limitk", "quantile", "stddev"})


def is_known_unit(unit: str) -> bool:
    """Whether Grafana shows this unit as one, rather than as it stands."""
    known = _OTHERS.union(*_FITTING.values())
    return unit in known or bool(_CUSTOM.fullmatch(unit)) or bool(_CURRENCY.fullmatch(unit))


def fits(unit: str, quantity: Quantity) -> bool:
    """Whether a unit says what is measured; true for what nobody can know."""
    if dict(quantity.powers).get("money"):
        return bool(_CURRENCY.fullmatch(unit)) or quantity.powers not in (_MONEY, _MONEY_PER_SECOND)
    if _CUSTOM.fullmatch(unit):
        return quantity.powers not in (_SECONDS, _BYTES)
    fitting = _FITTING.get((quantity.powers, quantity.factor))
    return fitting is None or unit in fitting


def fitting_units(quantity: Quantity) -> str:
    """The units that fit, for a message."""
    if dict(quantity.powers).get("money"):
        return "a currency"
    return " or ".join(sorted(_FITTING.get((quantity.powers, quantity.factor), ())))


def quantity_of(tree: promql.Expr) -> Quantity | None:
    """What an expression's numbers measure; None when nobody can know."""
    tree = bare(tree)
    if isinstance(tree, promql.NumberLiteral):
        return Quantity(_RATIO, tree.val)
    if isinstance(tree, promql.VectorSelector):
        return _of_names(selected(tree)[0])
    if isinstance(tree, promql.Call):
        return _of_call(tree)
    if isinstance(tree, promql.BinaryExpr):
        return _of_operation(tree)
    if isinstance(tree, promql.AggregateExpr) and operator(tree) not in _SAME_AGGREGATED:
        return Quantity(_EVENTS) if operator(tree) == "count" else None
    below = children(tree)
    return quantity_of(below[0]) if below else None


def _of_call(tree: promql.Call) -> Quantity | None:
    name = tree.func.name
    if name in {"histogram_quantile", "histogram_avg"}:
        return _of_observations(tree)
    if name in _COUNTING:
        return Quantity(_EVENTS)
    if name == "histogram_fraction":
        return Quantity(_RATIO)
    vectors = [arg for arg in tree.args if not isinstance(bare(arg), promql.StringLiteral)]
    if name not in _SAME | _PER_TIME or not vectors:
        return None
    # The share of quantile_over_time() stands before what it is taken of.
    inner = quantity_of(vectors[1] if name == "quantile_over_time" else vectors[0])
    return _scaled(inner, "s", -1) if inner is not None and name in _PER_TIME else inner


def _of_observations(tree: promql.Call) -> Quantity | None:
    """What a histogram observes: the unit in the names of its buckets."""
    found = {
        _of_family(name.removesuffix("_bucket"))
        for node in walk(tree)
        if isinstance(node, promql.VectorSelector)
        for name in selected(node)[0]
    }
    return found.pop() if len(found) == 1 else None


def _of_operation(tree: promql.BinaryExpr) -> Quantity | None:
    left, right, sign = quantity_of(tree.lhs), quantity_of(tree.rhs), operator(tree)
    if sign in {"and", "unless"} or (sign in {"==", "!=", "<", ">", "<=", ">="} and not _is_bool(tree)):
        return left
    if sign == "or":
        return left if right is None or right.powers in (_RATIO, left and left.powers) else None
    if left is None or right is None or sign not in {"+", "-", "*", "/"}:
        return None
    if sign in {"*", "/"}:
        direction = 1 if sign == "*" else -1
        product = left
        for base, power in right.powers:
            product = _scaled(product, base, direction * power)
        return _plain(Quantity(product.powers, left.factor * (right.factor or 1.0) ** direction or 1.0))
    if left.powers == right.powers:
        return Quantity(left.powers, 1.0 if _literal(tree.lhs) or _literal(tree.rhs) else left.factor)
    return None


def _plain(quantity: Quantity) -> Quantity:
    """Seconds a call and euros an order are seconds and euros."""
    powers = dict(quantity.powers)
    if powers.get("n") == -1 and len(powers) > 1:
        del powers["n"]
    return Quantity(frozenset(powers.items()), quantity.factor)


def _scaled(quantity: Quantity, base: str, power: int) -> Quantity:
    powers = dict(quantity.powers)
    powers[base] = powers.get(base, 0) + power
    return Quantity(frozenset((name, value) for name, value in powers.items() if value), quantity.factor)


def _literal(tree: promql.Expr) -> bool:
    return isinstance(bare(tree), promql.NumberLiteral)


def _is_bool(tree: promql.BinaryExpr) -> bool:
    return tree.modifier is not None and tree.modifier.return_bool


def _of_names(names: tuple[str, ...]) -> Quantity | None:
    found = {_of_name(name) for name in names}
    return found.pop() if len(found) == 1 else None


def _of_name(name: str) -> Quantity | None:
    if ":" in name:
        return next((Quantity(powers) for pattern, powers in _RECORDED if pattern.search(name)), None)
    if name.endswith(("_bucket", "_count")) and name not in _SDK:  # db_client_connection_count is a gauge
        return Quantity(_EVENTS)
    return _of_family(name) or (Quantity(_EVENTS) if name.endswith("_total") else None)


def _of_family(name: str) -> Quantity | None:
    if name in _SDK:
        return _SDK[name]
    stem = next((name.removesuffix(suffix) for suffix in _SUFFIXES if name.endswith(suffix)), name)
    if stem in _SDK:
        return _SDK[stem]
    if re.search(r"time_seconds$|timestamp", stem):  # a moment, not a duration
        return None
    return next((Quantity(powers) for pattern, powers in _BY_NAME if pattern.search(stem)), None)


_UNITS = {"s": _SECONDS, "By": _BYTES, "{currency}": _MONEY, "": _RATIO}
# Every family by its name in Prometheus, without suffixes.
_SDK: Mapping[str, Quantity] = {row.family: Quantity(_UNITS.get(row.unit, _EVENTS)) for row in METRICS}
