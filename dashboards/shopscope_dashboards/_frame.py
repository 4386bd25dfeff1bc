"""grafanalib's dashboard, grid and encoder around our panels; the one module that touches it.

grafanalib's own panels write shapes that are years old, and thresholds that stay green. Its dashboard has keys that
Grafana no longer knows: these are left out.
"""

from collections.abc import Sequence
from typing import Final

from grafanalib import core
from grafanalib._gen import DashboardEncoder

from shopscope_dashboards._sources import Json

#: Width of a board.
COLUMNS: Final = 24
#: The newest schema; older ones are migrated by Grafana, which guesses.
SCHEMA_VERSION: Final = 42

_OBSOLETE: Final = frozenset(
    {"__inputs", "gnetId", "hideControls", "id", "rows", "sharedCrosshair", "style", "version"}
)
_SHARED_TOOLTIP: Final = 1

Encoder: type[DashboardEncoder] = DashboardEncoder


class Frame(core.Panel):  # type: ignore[misc]  # grafanalib has no types
    """One of our panels, with its id and place."""

    def __init__(self, body: Json, panel_id: int, *, width: int, height: int, x: int, y: int) -> None:
        super().__init__(title=body["title"], id=panel_id, gridPos=core.GridPos(height, width, x, y))
        self.body = body

    def to_json_data(self) -> Json:
        """The panel as Grafana reads it."""
        return {**self.body, "id": self.id, "gridPos": self.gridPos}


def frame_dashboard(
    *,
    uid: str,
    title: str,
    description: str,
    tags: Sequence[str],
    links: Sequence[Json],
    variables: Sequence[Json],
    annotations: Sequence[Json],
    panels: Sequence[Frame],
    refresh: str,
    time_from: str,
) -> Json:
    """The dashboard around ``panels`` as grafanalib has it, without what Grafana no longer knows."""
    dashboard = core.Dashboard(
        uid=uid,
        title=title,
        description=description,
        tags=list(tags),
        links=list(links),
        templating=core.Templating(list=list(variables)),
        annotations=core.Annotations(list=list(annotations)),
        panels=list(panels),
        graphTooltip=_SHARED_TOOLTIP,
        refresh=refresh,
        schemaVersion=SCHEMA_VERSION,
        time=core.Time(time_from, "now"),
        timezone="browser",
    )
    found: Json = {name: value for name, value in dashboard.to_json_data().items() if name not in _OBSOLETE}
    found["timepicker"] = {"refresh_intervals": ["10s", "30s", "1m", "5m", "15m"]}
    return found
