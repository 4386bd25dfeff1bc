"""What is wrong with a PromQL query of a panel."""

import re
from collections.abc import Iterator, Mapping

import promql_parser as promql

from shopscope._metrics._names import METRICS
from shopscope_dashboards._lint._finding import Finding
from shopscope_dashboards._lint._grafana import Target
from shopscope_dashboards._lint._labels import KNOWN_LABELS, NONE, labels_of, unknown_grouping
from shopscope_dashboards._lint._promql import WINDOWS, Selector, operator, parse, selected, selectors, walk
from shopscope_dashboards._sources import Json

#: First parts of the names that the stack's own components give their metrics.
FOREIGN = (
    *("otelcol_", "prometheus_", "alertmanager_", "tempo_", "tempodb_", "loki_", "grafana_", "go_", "process_", "net_"),
    *("traces_service_graph_", "http_client_"),
)
FOREIGN_NAMES = frozenset(
    {"up", "ALERTS", "ALERTS_FOR_STATE", "target_info", "scrape_duration_seconds", "scrape_samples_scraped"}
)

_ENVIRONMENT = "deployment_environment_name"
_COUNTER = re.compile(r"(_total|_bucket|_count|_sum)$")
_GAUGES = frozenset(row.family for row in METRICS if row.kind in {"gauge", "updowncounter"})
_RATES = frozenset({"rate", "irate", "increase"})
_LATEST_ONLY = frozenset({"delta", "idelta", "deriv", "predict_linear"})
# These look at whether a series is there, not at how high it has counted.
_PRESENCE = frozenset(
    {"absent", "absent_over_time", "present_over_time", "count", "group", "timestamp", "changes", "resets"}
)
_QUANTILE = re.compile(r"\bp(\d{1,2}(?:\.\d+|\d)?)\b|\b(median)\b", re.IGNORECASE)
_PLACEHOLDER = re.compile(r"\{\{\s*([\w.]+)\s*\}\}")


def query_findings(target: Target, values: Mapping[str, str]) -> Iterator[Finding]:
    """Faults of one query of a panel.

    Args:
        target: the query.
        values: what stands for the board's variables.
    """
    try:
        tree = parse(target.text, values)
    except ValueError as error:
        yield _finding(target, "parse", f"the query must be PromQL: {error}: {target.text!r}")
        return
    for selector in selectors(tree):
        yield from _known(target, selector)
        yield from _rated(target, selector)
        yield from _of_an_environment(target, selector)
    yield from _aggregated(target, tree)
    yield from _bucketed(target, tree)
    yield from _quantiles(target, tree)
    yield from _legend(target, tree)


def metrics_in(text: str, values: Mapping[str, str]) -> frozenset[str]:
    """The metrics that a query names; none if it is no PromQL."""
    try:
        return frozenset(name for selector in selectors(parse(text, values)) for name in selector.names)
    except ValueError:
        return frozenset()


def quantiles_named(text: str) -> frozenset[float]:
    """Quantiles that a title or legend promises: 0.95 for p95, 0.5 for median."""
    return frozenset(0.5 if median else round(float(digits) / 100, 5) for digits, median in _QUANTILE.findall(text))


def quantiles_asked(tree: promql.Expr) -> frozenset[float]:
    """Quantiles that a query computes, of histograms, of time and of series."""
    found = set()
    for node in walk(tree):
        if isinstance(node, promql.Call) and node.func.name in {"histogram_quantile", "quantile_over_time"}:
            argument = node.args[0]
        elif isinstance(node, promql.AggregateExpr) and operator(node) == "quantile":
            argument = node.param
        else:
            continue
        if isinstance(argument, promql.NumberLiteral):
            found.add(round(argument.val, 5))
    return frozenset(found)


def _of_histograms(tree: promql.Expr) -> frozenset[float]:
    """The same, of histograms alone: who compares with a usual value need not say which quantile is usual."""
    calls = (node for node in walk(tree) if isinstance(node, promql.Call) and node.func.name == "histogram_quantile")
    return frozenset(round(node.args[0].val, 5) for node in calls if isinstance(node.args[0], promql.NumberLiteral))


def _finding(target: Target, rule: str, message: str) -> Finding:
    return Finding(target.board, target.place, rule, message)


def _known(target: Target, selector: Selector) -> Iterator[Finding]:
    """Each metric is one that somebody emits."""
    for name in selector.names:
        if not (name in KNOWN_LABELS or name in FOREIGN_NAMES or name.startswith(FOREIGN)):
            yield _finding(
                target, "known-metric", f"a metric must be emitted by SDK, rules or stack: {name!r}; correct the name"
            )
        for matcher in selector.matchers:
            known = KNOWN_LABELS.get(name)
            if known is not None and matcher.label not in known:
                yield _finding(target, "known-label", f"{name} has no label {matcher.label!r}; it has {_listed(known)}")


def _rated(target: Target, selector: Selector) -> Iterator[Finding]:
    """Counters are rated over $__rate_interval, and gauges never."""
    function = selector.inside[0] if selector.inside else ""
    for name in selector.names:
        is_gauge = name in _GAUGES
        is_counter = bool(_COUNTER.search(name)) and not is_gauge
        if is_counter and function not in _RATES and not _PRESENCE.intersection(selector.inside):
            yield _finding(
                target, "rate", f"a counter must stand in rate() or increase(): {name}; it is reset by every restart"
            )
        if is_counter and function in _RATES and selector.window_seconds not in _allowed(function):
            yield _finding(
                target,
                "rate-window",
                f"the window of {function}({name}) must be $__rate_interval: others are empty at some zoom",
            )
        if is_gauge and function in _RATES:
            yield _finding(target, "rate", f"a gauge has no rate: {name}; use it as it is, or delta()")
        if is_counter and function in _LATEST_ONLY:
            yield _finding(target, "rate", f"{function}() does not know resets of the counter {name}; use increase()")


def _allowed(function: str) -> tuple[int, ...]:
    """Rates over the whole range are for totals."""
    whole = (WINDOWS["__range"],) if function in {"increase", "rate"} else ()
    return (WINDOWS["__rate_interval"], *whole)


def _of_an_environment(target: Target, selector: Selector) -> Iterator[Finding]:
    """Test and production do not share a line."""
    ours = [name for name in selector.names if _ENVIRONMENT in KNOWN_LABELS.get(name, ())]
    if ours and not any(matcher.label == _ENVIRONMENT for matcher in selector.matchers):
        yield _finding(
            target, "environment", f'{ours[0]} must be of the chosen environment: add {_ENVIRONMENT}=~"$environment"'
        )


def _aggregated(target: Target, tree: promql.Expr) -> Iterator[Finding]:
    """Ratios are not averaged, and labels that are grouped by exist."""
    for node in walk(tree):
        if isinstance(node, promql.AggregateExpr):
            if unknown := unknown_grouping(node):
                yield _finding(target, "known-label", f"no series below has the label {_listed(unknown)}: {node}")
            if operator(node) == "avg" and _is_ratio(node.expr):
                yield _finding(
                    target,
                    "average-of-ratios",
                    f"a ratio must be the sum above over the sum below: {node}; in an average a "
                    f"quiet instance counts as much as a busy one",
                )
        if isinstance(node, promql.Call) and node.func.name == "avg_over_time" and _is_ratio(node.args[0]):
            yield _finding(
                target,
                "average-of-ratios",
                f"a quiet minute counts as much as a busy one: {node}; divide the increases",
            )


def _is_ratio(tree: promql.Expr) -> bool:
    """Whether an expression is a quotient of its own, or a quantile."""
    for node in walk(tree):
        if isinstance(node, promql.BinaryExpr) and operator(node) == "/":
            if not any(isinstance(side, promql.NumberLiteral) for side in (node.lhs, node.rhs)):
                return True
        elif isinstance(node, promql.VectorSelector):
            if any(":ratio" in name for name in selected(node)[0]):
                return True
        elif isinstance(node, promql.Call) and node.func.name == "histogram_quantile":
            return True
    return False


def _bucketed(target: Target, tree: promql.Expr) -> Iterator[Finding]:
    """A quantile of classic buckets needs their label."""
    for node in walk(tree):
        if isinstance(node, promql.Call) and node.func.name == "histogram_quantile":
            inner = node.args[1]
            names = {name for selector in selectors(inner) for name in selector.names}
            if any(name.endswith("_bucket") for name in names) and not labels_of(inner).may_have("le"):
                yield _finding(
                    target, "buckets", f"the aggregation must keep the label le: {inner}; without it: no data"
                )


def _quantiles(target: Target, tree: promql.Expr) -> Iterator[Finding]:
    """Who reads p95 must see the 0.95 quantile."""
    asked = quantiles_asked(tree)
    legend = str(target.data.get("legendFormat", ""))
    named = quantiles_named(legend)
    if named and asked and named != asked:
        yield _finding(target, "quantile", f"the legend {legend!r} must name what is asked for: {_listed(asked)}")
    promised = named | quantiles_named(f"{target.place} {target.panel.get('description', '')} {_heads(target.panel)}")
    for quantile in sorted(_of_histograms(tree) - promised):
        yield _finding(
            target, "quantile", f"title, legend or head must name the quantile {quantile:g}: p{quantile * 100:g}"
        )


def _heads(panel: Json) -> str:
    """Heads of a table's columns."""
    steps = panel.get("transformations", [])
    return " ".join(head for step in steps for head in step.get("options", {}).get("renameByName", {}).values())


def _legend(target: Target, tree: promql.Expr) -> Iterator[Finding]:
    """A legend names labels that are there, and each that tells two lines apart."""
    kind = target.panel.get("type", "")
    legend = str(target.data.get("legendFormat", ""))
    labels = labels_of(tree)
    for label in _PLACEHOLDER.findall(legend):
        if not labels.may_have(label):
            yield _finding(
                target, "legend", f"the answer has no label {label!r}, which the legend names: {target.text!r}"
            )
    if _PLACEHOLDER.search(legend) and any(_adds_nameless(node) for node in walk(tree)):
        yield _finding(target, "legend", f"vector() has no labels, so that {legend!r} is empty for it: {target.text!r}")
    if kind not in {"timeseries", "bargauge", "state-timeline", "gauge"} or target.data.get("format") == "table":
        return
    if not legend:
        yield _finding(target, "legend", "each query must have a legend: the whole label set is no name")
    shown = set(_PLACEHOLDER.findall(legend))
    if legend != "__auto" and (missing := labels.telling - shown) and not labels.is_open:
        yield _finding(
            target, "legend", f"lines that differ by {_listed(missing)} have the same name {legend!r}; add it, or sum"
        )


def _adds_nameless(tree: promql.Expr) -> bool:
    """Whether it is something with labels, or else something without."""
    if not isinstance(tree, promql.BinaryExpr) or operator(tree) != "or":
        return False
    return bool(labels_of(tree.lhs).ever) and labels_of(tree.rhs) == NONE


def _listed(values: object) -> str:
    items = sorted(values) if isinstance(values, list | set | frozenset) else [values]
    return ", ".join(f"{item:g}" if isinstance(item, float) else str(item) for item in items)
