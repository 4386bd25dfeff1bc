"""Links of panels and boards: other boards, traces, logs, runbooks; time range and variables go along."""

import json
from dataclasses import KW_ONLY, dataclass
from typing import Final
from urllib.parse import quote

from shopscope_dashboards._queries import LogQuery, PromQuery, Query, TraceQuery
from shopscope_dashboards._sources import Json, source

REPOSITORY: Final = "https://github.com/shopscope/shopscope/blob/main"

# What the click was on is known to links of values alone, not to those of a panel's head.
_OF_A_VALUE: Final = ("${__value", "${__field", "${__data", "${__series")


@dataclass(frozen=True, slots=True)
class Link:
    """A link.

    Attributes:
        title: what is behind it.
        url: address, with Grafana's variables; ``${__value.time}`` is the moment of the point that was clicked.
        new_tab: whether it leaves the board standing.
    """

    title: str
    url: str
    _: KW_ONLY
    new_tab: bool = False

    @property
    def is_of_a_value(self) -> bool:
        """Whether it needs the value that was clicked."""
        return any(reference in self.url for reference in _OF_A_VALUE)

    def as_data_link(self) -> Json:
        """As a link of each value."""
        return {"title": self.title, "url": self.url, "targetBlank": self.new_tab}

    def as_head_link(self) -> Json:
        """As a link in the head of a panel or board."""
        return {
            "asDropdown": False,
            "icon": "external link",
            "includeVars": False,
            "keepTime": False,
            "tags": [],
            "targetBlank": self.new_tab,
            "title": self.title,
            "tooltip": "",
            "type": "link",
            "url": self.url,
        }


def board_link(title: str, uid: str, *, minutes: float | None = None, **values: str) -> Link:
    """A link to another board, with its environment and its time range.

    Args:
        title: what is behind it.
        uid: of the board.
        minutes: instead of the time range: so many minutes around the point that was clicked.
        values: variables of that board; ``"${__field.labels.peer}"`` is a label of the series that was clicked.
    """
    around = "${__url_time_range}"
    if minutes is not None:
        around = f"time=${{__value.time}}&time.window={round(minutes * 60_000)}"
    chosen = "".join(f"&var-{name}={_quoted(value)}" for name, value in values.items())
    return Link(title, f"/d/{uid}?{around}&${{environment:queryparam}}{chosen}")


def traces_link(title: str, traceql: str, *, limit: int = 50) -> Link:
    """A link to the traces that a TraceQL query finds in the board's time range."""
    return _explore(title, "tempo", TraceQuery(traceql, limit=limit))


def logs_link(title: str, logql: str) -> Link:
    """A link to the lines that a LogQL query finds in the board's time range."""
    return _explore(title, "loki", LogQuery(logql))


def metrics_link(title: str, expr: str) -> Link:
    """A link to a PromQL query in Explore, over the board's time range."""
    return _explore(title, "prometheus", PromQuery(expr))


def runbook_link(runbook: str, title: str = "Runbook") -> Link:
    """A link to a runbook: an address, or a path in the repository."""
    url = runbook if runbook.startswith(("https://", "http://")) else f"{REPOSITORY}/{runbook.removeprefix('/')}"
    return Link(title, url, new_tab=True)


def _explore(title: str, name: str, query: Query) -> Link:
    pane = {
        "datasource": source(name)["uid"],
        "queries": [query.to_json_data("A")],
        "range": {"from": "${__from}", "to": "${__to}"},
    }
    panes = json.dumps({"shopscope": pane}, separators=(",", ":"), sort_keys=True)
    return Link(title, f"/explore?schemaVersion=1&orgId=${{__org.id}}&panes={_quoted(panes)}", new_tab=True)


def _quoted(text: str) -> str:
    """Percent-encoded, but for references to variables: Grafana has to find these."""
    return quote(text, safe="${}:._-").replace("%24%7B", "${")
