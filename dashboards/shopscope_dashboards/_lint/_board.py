"""What is wrong with a board's frame: names, ids, places, data sources, variables, links to other boards."""

import json
import re
from collections.abc import Container, Iterator

from shopscope_dashboards._frame import COLUMNS, SCHEMA_VERSION
from shopscope_dashboards._lint._finding import Finding
from shopscope_dashboards._lint._grafana import BUILT_IN, links_of, panels_of, used_variables, variables_of
from shopscope_dashboards._sources import Json

_UID = re.compile(r"[a-z0-9_-]{1,40}")
_LARGEST_ID = 2**31 - 1
_OWN_SOURCES = frozenset({"-- Grafana --", "-- Mixed --", "-- Dashboard --"})
_BOARD_LINK = re.compile(r"^/d/([^?/]+)")
_KEEPS_TIME = ("${__url_time_range}", "time=${__value.time}", "from=${__from}", "$__url_time_range")
_KEEPS_ENVIRONMENT = ("${environment:queryparam}", "${__all_variables}", "$__all_variables")


def board_findings(board: Json, boards: Container[str]) -> Iterator[Finding]:
    """Faults of a board's frame.

    Args:
        board: the board.
        boards: uids of all boards that a link may lead to.
    """
    uid = str(board.get("uid", ""))
    for rule, place, message in (
        *_head(board),
        *_ids(board),
        *_places(board),
        *_sources(board),
        *_variables(board),
        *_board_links(board, boards),
    ):
        yield Finding(uid, place, rule, message)


_Fault = tuple[str, str, str]


def _head(board: Json) -> Iterator[_Fault]:
    if not _UID.fullmatch(str(board.get("uid", ""))):
        yield "uid", "", f"a uid must be 1 to 40 of a-z, 0-9, - and _: {board.get('uid')!r}"
    for name in ("title", "description"):
        if not str(board.get(name, "")).strip():
            yield name, "", f"a board must have a {name}"
    if board.get("schemaVersion") != SCHEMA_VERSION:
        yield "schema", "", f"schemaVersion must be {SCHEMA_VERSION}: {board.get('schemaVersion')}"


def _all(board: Json) -> list[Json]:
    """Rows too."""
    rows = [panel for panel in board.get("panels", []) if panel.get("type") == "row"]
    return [*rows, *panels_of(board)]


def _ids(board: Json) -> Iterator[_Fault]:
    """Ids that stay when a panel is inserted: addresses of panels and alerts hold them."""
    panels = _all(board)
    ids = [panel.get("id") for panel in panels]
    for panel in panels:
        number = panel.get("id")
        if not isinstance(number, int) or not 0 < number <= _LARGEST_ID:
            yield "ids", str(panel.get("title")), f"an id must be from 1 to 2^31 - 1: {number!r}"
        elif ids.count(number) > 1:
            yield "ids", str(panel.get("title")), f"an id must be a panel's own: {number}"
    if len(ids) > 1 and set(ids) == set(range(1, len(ids) + 1)):
        yield "ids", "", "ids must not count panels: inserting one would give all behind it other ids"


def _places(board: Json) -> Iterator[_Fault]:
    for line in (board.get("panels", []), *(panel.get("panels") or [] for panel in board.get("panels", []))):
        taken: dict[tuple[int, int], str] = {}
        for panel in line:
            title, place = str(panel.get("title")), panel.get("gridPos", {})
            x, y, width, height = (place.get(key, -1) for key in ("x", "y", "w", "h"))
            if x < 0 or y < 0 or width < 1 or height < 1 or x + width > COLUMNS:
                yield "grid", title, f"a panel must fit into {COLUMNS} columns: x {x}, y {y}, {width} by {height}"
                continue
            cells = [(column, row) for column in range(x, x + width) for row in range(y, y + height)]
            if covered := {taken[cell] for cell in cells if cell in taken}:
                yield "grid", title, f"panels must not cover each other: it lies over {', '.join(sorted(covered))}"
            taken.update(dict.fromkeys(cells, title))


def _sources(board: Json) -> Iterator[_Fault]:
    """Nobody else's Prometheus has our uid."""
    declared = {
        f"${{{variable['name']}}}": variable.get("query")
        for variable in variables_of(board)
        if variable.get("type") == "datasource"
    }
    for place, source in _named_sources(board):
        uid, kind = source.get("uid"), source.get("type")
        if uid in _OWN_SOURCES:
            continue
        if uid not in declared:
            yield "data-source", place, f"a data source must be a variable of the board: {uid!r}; use ${{{kind}}}"
        elif declared[uid] != kind:
            yield "data-source", place, f"{uid} is of the type {declared[uid]}, not {kind}"


def _named_sources(board: Json) -> Iterator[tuple[str, Json]]:
    for panel in panels_of(board):
        place = str(panel.get("title"))
        if panel.get("type") == "text":
            continue
        yield place, panel.get("datasource") or {}
        yield from ((place, target.get("datasource") or {}) for target in panel.get("targets", []))
    for variable in variables_of(board):
        if variable.get("type") == "query":
            yield f"variable {variable['name']}", variable.get("datasource") or {}
    for note in board.get("annotations", {}).get("list", []):
        yield f"annotation {note.get('name')}", note.get("datasource") or {}


def _variables(board: Json) -> Iterator[_Fault]:
    """Each that is used is declared, each that is declared is used."""
    declared = {variable["name"]: variable for variable in variables_of(board)}
    text = json.dumps([board.get("panels"), board.get("annotations"), list(declared.values())], ensure_ascii=False)
    used = used_variables(text)
    for name in sorted(used - declared.keys() - BUILT_IN):
        if not name.startswith("__") and not name.isdigit():
            yield "variables", f"${name}", "a variable that is used must be declared"
    for name, variable in declared.items():
        if variable.get("type") != "datasource" and name not in used:
            yield "variables", f"${name}", "a variable that is chosen must change something: no query has it"


def _board_links(board: Json, boards: Container[str]) -> Iterator[_Fault]:
    """A link to a board finds it, and takes time range and environment along."""
    links = [(str(panel.get("title")), link) for panel in panels_of(board) for link in links_of(panel)]
    links += [("links of the board", link) for link in board.get("links", []) if link.get("type") == "link"]
    for place, link in links:
        url = str(link.get("url", ""))
        found = _BOARD_LINK.match(url)
        if found is None:
            continue
        if "$" not in found[1] and found[1] not in boards:
            yield "links", place, f"there is no board {found[1]!r}, which a link leads to"
        if not (link.get("keepTime") or any(part in url for part in _KEEPS_TIME)):
            yield "links", place, f"a link to a board must keep the time range: add ${{__url_time_range}}: {url}"
        if not (link.get("includeVars") or any(part in url for part in _KEEPS_ENVIRONMENT)):
            yield "links", place, f"a link to a board must keep the environment: add ${{environment:queryparam}}: {url}"
