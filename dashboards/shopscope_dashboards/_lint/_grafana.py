"""Reads a board's JSON as Grafana does: panels, their queries, and what stands for variables."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from shopscope_dashboards._sources import SOURCES, Json

_VARIABLE = re.compile(r"\$\{(\w+)(?:\.\w+)?(?::\w+)?\}|\$(\w+)|\[\[(\w+)(?::\w+)?\]\]")
_LABEL_VALUES = re.compile(r"label_values\(\s*(?:(.*),)?\s*([a-zA-Z_]\w*)\s*\)", re.DOTALL)
_QUERY_RESULT = re.compile(r"query_result\((.*)\)", re.DOTALL)

_ANY_SERIES = '{__name__!=""}'

#: Variables that Grafana itself has, wherever a query may stand.
BUILT_IN = frozenset(
    {
        *("__rate_interval", "__interval", "__interval_ms", "__range", "__range_s", "__range_ms"),
        *("__from", "__to", "__dashboard", "__name", "__org", "__user", "timeFilter", "__timezone"),
    }
)


@dataclass(frozen=True, slots=True)
class Target:
    """One query of a board.

    Attributes:
        board: the board's uid.
        place: title of the panel, name of the variable, or name of the annotation.
        source: kind of the data source: ``prometheus``, ``tempo``, ``loki``; empty for one that Grafana has itself.
        text: the query.
        is_instant: asks for one value at the end, not for a line.
        kind: ``serviceMap``, ``labels`` (values of a label), else empty.
        data: the target as the board has it.
        panel: the panel as the board has it; empty for what is no panel's.
    """

    board: str
    place: str
    source: str
    text: str
    is_instant: bool = False
    kind: str = ""
    data: Json = field(default_factory=dict)
    panel: Json = field(default_factory=dict)


def used_variables(text: str) -> frozenset[str]:
    """Names of the variables in a text."""
    return frozenset(next(filter(None, match.groups())) for match in _VARIABLE.finditer(text))


def replaced(text: str, values: Mapping[str, str]) -> str:
    """The text with values for variables; a variable that has none stays."""
    return _VARIABLE.sub(lambda match: values.get(next(filter(None, match.groups())), match[0]), text)


def variables_of(board: Json) -> list[Json]:
    """The board's variables."""
    found: list[Json] = board.get("templating", {}).get("list", [])
    return found


def variable_values(board: Json) -> dict[str, str]:
    """A value for each variable: all of them where the user may choose several, else what is chosen first."""
    values = {}
    for variable in variables_of(board):
        chosen = (variable.get("current") or {}).get("value")
        if variable.get("type") in {"query", "datasource"} or variable.get("includeAll"):
            values[variable["name"]] = variable.get("allValue") or ".*"
        else:
            values[variable["name"]] = str(chosen if chosen is not None else variable.get("query", ""))
    return values


def panels_of(board: Json) -> Iterator[Json]:
    """Every panel but rows, those in collapsed rows too."""
    for panel in board.get("panels", []):
        if panel.get("type") == "row":
            yield from panel.get("panels", [])
        else:
            yield panel


def targets_of(board: Json) -> Iterator[Target]:
    """Every query: of panels, of variables, of annotations, and of links that open Explore."""
    for panel in panels_of(board):
        yield from panel_targets(board, panel)
        yield from explored_targets(board, panel)
    yield from (target for variable in variables_of(board) for target in _asked_by_variable(board, variable))
    for note in board.get("annotations", {}).get("list", []):
        text = str(
            note.get("expr") or (note.get("target") or {}).get("expr") or (note.get("target") or {}).get("query") or ""
        )
        kind = _source_of(note)
        if kind:
            yield Target(board["uid"], f"annotation {note.get('name')}", kind, text, data=note)


def panel_targets(board: Json, panel: Json) -> Iterator[Target]:
    """The queries of one panel."""
    for target in panel.get("targets", []):
        kind = _source_of(target) or _source_of(panel)
        is_map = target.get("queryType") == "serviceMap"
        text = target.get("serviceMapQuery", "") if is_map else target.get("expr") or target.get("query") or ""
        yield Target(
            board=board["uid"],
            place=str(panel.get("title", "")),
            source=kind,
            text=str(text),
            is_instant=bool(target.get("instant")) or target.get("queryType") == "instant",
            kind="serviceMap" if is_map else "",
            data=target,
            panel=panel,
        )


def explored_targets(board: Json, panel: Json) -> Iterator[Target]:
    """The queries of a panel's links that open Explore."""
    for link in links_of(panel):
        yield from _explored(board, panel, str(link.get("url", "")))


def links_of(panel: Json) -> list[Json]:
    """Links of a panel and of its values."""
    config = panel.get("fieldConfig", {})
    found = [*panel.get("links", []), *config.get("defaults", {}).get("links", [])]
    for override in config.get("overrides", []):
        for prop in override.get("properties", []):
            if prop.get("id") == "links":
                found += prop.get("value") or []
    return found


def _source_of(owner: Mapping[str, Any]) -> str:
    """Kind of the data source that a target, panel, variable or annotation names."""
    source = owner.get("datasource") or {}
    kind = str(source.get("type", "")) if isinstance(source, Mapping) else ""
    return kind if kind in SOURCES.values() else ""


def _asked_by_variable(board: Json, variable: Json) -> Iterator[Target]:
    if variable.get("type") != "query":
        return
    query = variable.get("query") or variable.get("definition") or ""
    text = str(query.get("query") or query.get("expr") or "") if isinstance(query, Mapping) else str(query)
    place, kind = f"variable {variable['name']}", ""
    if found := _LABEL_VALUES.fullmatch(text.strip()):
        kind, text = "labels", f"count by ({found[2]}) ({found[1] or _ANY_SERIES})"
    elif found := _QUERY_RESULT.fullmatch(text.strip()):
        text = found[1]
    yield Target(board["uid"], place, _source_of(variable), text, is_instant=True, kind=kind, data=variable)


def _explored(board: Json, panel: Json, url: str) -> Iterator[Target]:
    """Queries of a link that opens Explore."""
    parts = urlsplit(url)
    if not parts.path.endswith("/explore"):
        return
    asked = parse_qs(parts.query)
    for text in (*asked.get("panes", ()), *asked.get("left", ())):
        panes = _json(text) or _json(unquote(text))
        for pane in (panes or {}).values() if isinstance(panes, dict) else ():
            for query in pane.get("queries", ()) if isinstance(pane, dict) else ():
                kind = _source_of(query)
                asked_text = str(query.get("query") or query.get("expr") or "")
                place = f"{panel.get('title')} → Explore"
                yield Target(board["uid"], place, kind, asked_text, kind="link", data=query, panel=panel)


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None
