"""A board: places its panels, numbers them, and writes itself as Grafana's JSON."""

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Final, NamedTuple

from shopscope_dashboards._annotations import ALERTS, Annotation, default_annotations
from shopscope_dashboards._base import LETTERS, DataPanel, Panel, Row
from shopscope_dashboards._errors import BoardError
from shopscope_dashboards._frame import COLUMNS, Encoder, Frame, frame_dashboard
from shopscope_dashboards._links import Link
from shopscope_dashboards._sources import SOURCES, Json
from shopscope_dashboards._variables import ENVIRONMENT, Variable, source_variables

_UID: Final = re.compile(r"[A-Za-z0-9_-]{1,40}")
_VARIABLE: Final = re.compile(r"\$\{?([a-zA-Z_]\w*)")
_BOARDS_MENU: Final = {
    "asDropdown": True,
    "icon": "dashboard",
    "includeVars": True,
    "keepTime": True,
    "tags": ["shopscope"],
    "targetBlank": False,
    "title": "Boards",
    "tooltip": "All boards of shopscope, with this time range",
    "type": "dashboards",
    "url": "",
}


class Placed(NamedTuple):
    """A panel or row of a board, with its place."""

    item: Panel | Row
    row: str
    id: int
    x: int
    y: int


@dataclass(frozen=True, slots=True)
class Board:
    """A Grafana dashboard.

    Attributes:
        uid: name in addresses, of at most 40 letters, digits, - and _.
        title: title.
        description: what it answers.
        panels: panels flow from left to right by their width; a row begins a new line.
        variables: what is chosen at its top, besides the data sources.
        links: in its head, besides the menu of all boards.
        tags: tags.
        annotations: marks besides deployments, drills and alerts.
        alerts: which alerts are marks.
        refresh: how often it asks again.
        time_from: time range at first.
    """

    uid: str
    title: str
    description: str
    panels: Sequence[Panel | Row]
    _: KW_ONLY
    variables: Sequence[Variable] = field(default=(ENVIRONMENT,))
    links: Sequence[Link] = ()
    tags: Sequence[str] = ("shopscope",)
    annotations: Sequence[Annotation] = ()
    alerts: Annotation = ALERTS
    refresh: str = "30s"
    time_from: str = "now-1h"

    def __post_init__(self) -> None:
        if not _UID.fullmatch(self.uid):
            raise BoardError(
                f"a board's uid must have 1 to 40 characters, letters, digits, - and _: {self.uid!r}; rename it"
            )
        if not self.title or not self.description:
            raise BoardError(f"a board must have a title and a description: {self.uid}; write what it answers")
        seen: dict[int, Placed] = {}
        for placed in self.placed():
            _check(self, placed)
            if seen.setdefault(placed.id, placed) is not placed:
                raise BoardError(
                    f"{self.uid}: titles within a row must differ: {placed.item.title!r} in {placed.row!r}; rename one"
                )

    def placed(self) -> Iterator[Placed]:
        """Rows and panels with their ids and places, in order."""
        x = y = line = 0
        row, after_collapsed = "", -1
        for item in self.panels:
            if isinstance(item, Row):
                # What is inside a collapsed row takes no room.
                x, y, line = 0, after_collapsed if after_collapsed >= 0 else y + line, 0
                row, after_collapsed = item.title, y + 1 if item.collapsed else -1
                yield Placed(item, row, self._id_of(row), x, y)
                y += 1
                continue
            if x + item.width > COLUMNS:
                x, y, line = 0, y + line, 0
            yield Placed(item, row, self._id_of(row, item.title), x, y)
            x, line = x + item.width, max(line, item.height)

    def _id_of(self, *names: str) -> int:
        """Always the same for a panel of this name, whatever is inserted before it."""
        digest = hashlib.sha256("/".join((self.uid, *names)).encode()).digest()
        return int.from_bytes(digest[:4]) >> 1 or 1

    def to_json(self) -> str:
        """The board as Grafana reads it; the same text on every run."""
        dashboard = frame_dashboard(
            uid=self.uid,
            title=self.title,
            description=self.description,
            tags=list(self.tags),
            links=[_BOARDS_MENU, *(link.as_head_link() for link in self.links)],
            variables=[*source_variables(), *(variable.to_json_data() for variable in self.variables)],
            annotations=[*default_annotations(self.alerts), *(entry.to_json_data() for entry in self.annotations)],
            panels=self._frames(),
            refresh=self.refresh,
            time_from=self.time_from,
        )
        return json.dumps(dashboard, cls=Encoder, sort_keys=True, indent=2, ensure_ascii=False) + "\n"

    def _frames(self) -> list[Frame]:
        """Panels of a collapsed row are inside it."""
        frames: list[Frame] = []
        inside = frames
        for item, _, panel_id, x, y in self.placed():
            if isinstance(item, Row):
                inside = [] if item.collapsed else frames
                body = _row_json(item, inside if item.collapsed else [])
                frames.append(Frame(body, panel_id, width=COLUMNS, height=1, x=x, y=y))
            else:
                inside.append(Frame(item.to_json_data(), panel_id, width=item.width, height=item.height, x=x, y=y))
        return frames


def _row_json(row: Row, panels: list[Frame]) -> Json:
    body: Json = {"type": "row", "title": row.title, "collapsed": row.collapsed, "panels": panels}
    return body | ({"repeat": row.repeat} if row.repeat else {})


def _check(board: Board, placed: Placed) -> None:
    """Refuse what Grafana would draw wrongly without a word."""
    item = placed.item
    where = f"{board.uid}: {item.title!r}"
    texts = [f"${item.repeat}"] if item.repeat else []
    if not isinstance(item, Row):
        _check_panel(where, item)
        texts += [query.text for query in item.all_queries]
    known = {variable.name for variable in board.variables} | SOURCES.keys()
    used = {name for text in texts for name in _VARIABLE.findall(text) if not name.startswith("__")}
    if unknown := sorted(used - known):
        raise BoardError(f"{where} must use variables of its board: ${unknown[0]}; add it to variables")


def _check_panel(where: str, panel: Panel) -> None:
    if not 0 < panel.width <= COLUMNS or panel.height <= 0:
        raise BoardError(
            f"{where} must be 1 to {COLUMNS} columns wide and at least 1 high: {panel.width} by {panel.height}; "
            "correct width or height"
        )
    if len(panel.all_queries) > len(LETTERS):
        raise BoardError(
            f"{where} must have at most {len(LETTERS)} queries: {len(panel.all_queries)}; make two panels of it"
        )
    if not isinstance(panel, DataPanel):
        return
    if not panel.title or not panel.description:
        raise BoardError(f"{where} must have a description and a title: it is seen at night; say what it means")
    if not panel.all_queries:
        raise BoardError(f"{where} must ask for something: no queries; give it one, or make it a Text")
