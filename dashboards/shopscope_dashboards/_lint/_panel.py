"""What is wrong with a panel."""

import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from string import ascii_uppercase
from typing import Any

from shopscope_dashboards._lint._finding import Finding
from shopscope_dashboards._lint._grafana import Target, explored_targets, links_of, panel_targets
from shopscope_dashboards._lint._languages import logql_fields, traceql_fields
from shopscope_dashboards._lint._promql import parse
from shopscope_dashboards._lint._query import quantiles_asked, quantiles_named, query_findings
from shopscope_dashboards._lint._units import fits, fitting_units, is_known_unit, quantity_of
from shopscope_dashboards._sources import Json

_WITHOUT_QUERIES = frozenset({"text", "row"})
_WITH_UNITS = frozenset({"timeseries", "stat", "gauge", "bargauge", "heatmap"})


def panel_findings(board: Json, panel: Json, values: Mapping[str, str]) -> Iterator[Finding]:
    """Faults of one panel, and of its queries.

    Args:
        board: the board.
        panel: no row.
        values: what stands for the board's variables.
    """
    if panel.get("type") in _WITHOUT_QUERIES:
        return
    uid, title = str(board.get("uid", "")), str(panel.get("title", ""))
    targets = list(panel_targets(board, panel))
    for rule, message in (
        *_texts(panel),
        *_links(panel),
        *_thresholds(panel),
        *_letters(panel),
        *_promises(panel, targets, values),
        *_exemplars(panel, targets),
        *_units(panel, targets, values),
    ):
        yield Finding(uid, title or f"panel {panel.get('id')}", rule, message)
    for target in (*targets, *_explored(board, panel)):
        if not target.text.strip() and target.kind != "serviceMap":
            yield Finding(uid, title, "parse", "a query must not be empty")
        elif target.source == "prometheus":
            yield from query_findings(target, values)
        elif (read := _READERS.get(target.source)) and target.kind != "serviceMap":
            try:
                read(target.text)
            except ValueError as error:
                yield Finding(uid, title, "parse", f"{error}: {target.text!r}")


def _explored(board: Json, panel: Json) -> list[Target]:
    """Searches for traces and lines in the links of a panel; a rule of panels does not hold for PromQL there."""
    return [target for target in explored_targets(board, panel) if target.source in _READERS]


_READERS = {"tempo": traceql_fields, "loki": logql_fields}
_Fault = tuple[str, str]


def _texts(panel: Json) -> Iterator[_Fault]:
    if not str(panel.get("title", "")).strip():
        yield "title", "a panel must have a title"
    if not str(panel.get("description", "")).strip():
        yield "description", "a panel must have a description: what it means, and what to do"


def _links(panel: Json) -> Iterator[_Fault]:
    links = links_of(panel)
    if not links:
        yield "links", "a panel must lead on: to traces, a runbook or another board"
    for link in links:
        if not link.get("title") or not link.get("url"):
            yield "links", f"a link must have a title and an address: {link}"


def _thresholds(panel: Json) -> Iterator[_Fault]:
    defaults = panel.get("fieldConfig", {}).get("defaults", {})
    overridden = [
        prop["value"]
        for override in panel.get("fieldConfig", {}).get("overrides", [])
        for prop in override.get("properties", [])
        if prop.get("id") == "thresholds"
    ]
    for thresholds in filter(None, (defaults.get("thresholds"), *overridden)):
        steps = [step.get("value") for step in thresholds.get("steps", [])]
        if steps and steps[0] is not None:
            yield (
                "thresholds",
                f'the first threshold must be null, the base: {steps[0]!r}; with "null" nothing turns red',
            )
        if not all(isinstance(step, int | float) for step in steps[1:]):
            yield "thresholds", f"thresholds above the base must be numbers: {steps[1:]}"
        elif any(lower >= higher for lower, higher in pairwise(steps[1:])):
            yield "thresholds", f"thresholds must ascend: {steps[1:]}"


def _letters(panel: Json) -> Iterator[_Fault]:
    letters = [target.get("refId", "") for target in panel.get("targets", [])]
    if not letters:
        yield "queries", "a panel must ask for something"
    if letters != list(ascii_uppercase[: len(letters)]):
        yield "ref-ids", f"queries must be A, B, C and so on: {letters}; an empty refId loses all but one answer"


def _promises(panel: Json, targets: list[Target], values: Mapping[str, str]) -> Iterator[_Fault]:
    """Each quantile in the title is asked for by some query."""
    asked: set[float] = set()
    for target in targets:
        if target.source == "prometheus":
            try:
                asked |= quantiles_asked(parse(target.text, values))
            except ValueError:
                return
    for quantile in sorted(quantiles_named(str(panel.get("title", ""))) - asked):
        if any(target.source == "prometheus" for target in targets):
            yield "quantile", f"the title says p{quantile * 100:g}, and no query asks for the quantile {quantile:g}"


def _exemplars(panel: Json, targets: list[Target]) -> Iterator[_Fault]:
    """A latency over time shows dots that open a trace."""
    if panel.get("type") != "timeseries":
        return
    quantiles = [target for target in targets if re.search(r"\bhistogram_quantile\b.*_bucket", target.text, re.DOTALL)]
    sampled = [target for target in quantiles if _EXEMPLARY.search(target.text)]
    if sampled and not any(target.data.get("exemplar") for target in sampled):
        yield "exemplars", "a quantile over time must ask for exemplars: they open the trace of a slow request"


_EXEMPLARY = re.compile(r"http_server_request_duration|shopscope_journey_duration|shopscope_dependency_duration")


def _units(panel: Json, targets: list[Target], values: Mapping[str, str]) -> Iterator[_Fault]:
    for target in targets:
        if target.source != "prometheus":
            continue
        unit = _unit_of(panel, target)
        if not unit:
            if panel.get("type") in _WITH_UNITS:
                yield "unit", f"query {target.data.get('refId')} must have a unit; a bare count has the unit short"
            continue
        if not is_known_unit(unit) and panel.get("type") != "nodeGraph":  # which writes any text behind the figure
            yield "unit", f"Grafana has no unit {unit!r}; write suffix:{unit} if it is to stand behind the number"
            continue
        try:
            quantity = quantity_of(parse(target.text, values))
        except ValueError:
            continue
        if panel.get("type") in {"heatmap", "nodeGraph"}:
            quantity = None  # an axis of buckets' bounds, not of the query's counts; any text
        if any(_PER_SECOND.search(name) for name in _names_of(panel, target)) and unit in {"short", "none"}:
            quantity = None  # the head says it
        if quantity is not None and not fits(unit, quantity):
            yield "unit", f"the unit of {target.text!r} must be {fitting_units(quantity)}: {unit!r}"


def _unit_of(panel: Json, target: Target) -> str:
    """The unit that Grafana shows a query's values in."""
    config = panel.get("fieldConfig", {})
    unit = str(config.get("defaults", {}).get("unit", ""))
    options = panel.get("options", {})
    if panel.get("type") == "heatmap":
        return str(options.get("yAxis", {}).get("unit", "") or unit)
    if panel.get("type") == "nodeGraph":
        return str(options.get("edges", {}).get(f"{_STATS.get(str(target.data.get('refId')), '')}Unit", ""))
    names = _names_of(panel, target)
    for override in config.get("overrides", []):
        if _matches(override.get("matcher", {}), names, target):
            unit = next((str(prop["value"]) for prop in override["properties"] if prop.get("id") == "unit"), unit)
    return unit


_PER_SECOND = re.compile(r"/\s?s\b|per second")
_STATS = {"A": "mainStat", "B": "secondaryStat"}


def _names_of(panel: Json, target: Target) -> list[str]:
    """What the field of a query's values is called, before and after it is renamed."""
    several = len(panel.get("targets", [])) > 1
    name = f"Value #{target.data.get('refId')}" if several else "Value"
    names = [name] if target.data.get("format") == "table" else [str(target.data.get("legendFormat", ""))]
    for step in panel.get("transformations", []):
        renamed = step.get("options", {}).get("renameByName", {})
        names += [renamed[known] for known in names if known in renamed]
    return names


def _matches(matcher: Mapping[str, Any], names: list[str], target: Target) -> bool:
    options = matcher.get("options", "")
    match matcher.get("id"):
        case "byFrameRefID":
            return bool(options == target.data.get("refId"))
        case "byName":
            return options in names
        case "byRegexp":
            return any(re.search(str(options).strip("/"), name) for name in names)
    return False
