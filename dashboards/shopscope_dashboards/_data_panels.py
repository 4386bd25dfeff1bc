"""Panels for what is more than a number over time: tables, heatmaps, graphs of nodes, traces, logs."""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import ClassVar, Final, Literal

from shopscope_dashboards._base import LETTERS, DataPanel, shown
from shopscope_dashboards._fields import Column, override
from shopscope_dashboards._queries import PromQuery, Query
from shopscope_dashboards._sources import Json

# Grafana's own least width of 150 pixels cuts the last columns off in a third of a board.
_CELL: Final[Json] = {"align": "auto", "cellOptions": {"type": "auto"}, "inspect": False, "minWidth": 60}


@dataclass(frozen=True, slots=True)
class Table(DataPanel):
    """Rows by label, a column for each query; queries are instant and have the format ``table``.

    Attributes:
        columns: which ones, in this order; none: all as they come.
        sort: head of the column that rows are sorted by.
        descending: whether the largest is first.
    """

    _: KW_ONLY
    columns: Sequence[Column] = ()
    sort: str = ""
    descending: bool = True

    type: ClassVar[str] = "table"
    has_value_links: ClassVar[bool] = False

    def _custom(self) -> Json:
        return dict(_CELL)

    def _options(self) -> Json:
        by = [{"displayName": self.sort, "desc": self.descending}] if self.sort else []
        return {"cellHeight": "sm", "showHeader": True, "sortBy": by}

    def _own_overrides(self) -> list[Json]:
        return [column.to_json_data() for column in self.columns]

    def _transformations(self) -> list[Json]:
        if not self.columns:
            return []
        fields = {self._field(column): column for column in self.columns}
        steps: list[Json] = [{"id": "merge", "options": {}}] if len(self.queries) > 1 else []
        return [
            *steps,
            {"id": "filterFieldsByName", "options": {"include": {"names": list(fields)}}},
            {
                "id": "organize",
                "options": {
                    "excludeByName": {},
                    "indexByName": {name: index for index, name in enumerate(fields)},
                    "renameByName": {name: column.head for name, column in fields.items() if column.head != name},
                },
            },
        ]

    def _field(self, column: Column) -> str:
        """What Grafana calls it: the value of the only query is ``Value``, of several ``Value #A``."""
        if len(column.name) == 1 and column.name.isupper():
            return f"Value #{column.name}" if len(self.queries) > 1 else "Value"
        return column.name


@dataclass(frozen=True, slots=True)
class Heatmap(DataPanel):
    """How values are distributed, over time.

    The query of a classic histogram is ``sum by (le) (increase(….._bucket[$__rate_interval]))`` with the format
    ``heatmap`` and the legend ``{{le}}``; of a native one ``sum(increase(…[$__rate_interval]))`` as time series.

    Attributes:
        unit: of the axis.
        scheme: colours from few to many.
        cell_unit: unit of a cell's value.
        log: base of the axis of a native histogram; None: as the buckets are.
    """

    _: KW_ONLY
    scheme: str = "Oranges"
    cell_unit: str = "short"
    log: Literal[2, 10] | None = None

    type: ClassVar[str] = "heatmap"

    def _custom(self) -> Json:
        scale = {"type": "linear"} if self.log is None else {"type": "log", "log": self.log}
        return {"hideFrom": shown(), "scaleDistribution": scale}

    def _options(self) -> Json:
        axis: Json = {"axisPlacement": "left", "reverse": False, "unit": self.unit}
        ends = {"min": self.minimum, "max": self.maximum, "decimals": self.decimals}
        return {
            "calculate": False,
            "cellGap": 1,
            "cellValues": {"unit": self.cell_unit},
            "color": {
                "exponent": 0.5,
                "fill": "dark-orange",
                "mode": "scheme",
                "reverse": False,
                "scale": "exponential",
                "scheme": self.scheme,
                "steps": 64,
            },
            "exemplars": {"color": "rgba(255,0,255,0.7)"},
            "filterValues": {"le": 1e-9},
            "legend": {"show": True},
            "rowsFrame": {"layout": "auto"},
            "showValue": "never",
            "tooltip": {"mode": "single", "showColorScale": True, "yHistogram": True},
            "yAxis": axis | {name: end for name, end in ends.items() if end is not None},
        }


@dataclass(frozen=True, slots=True)
class NodeGraph(DataPanel):
    """Who calls whom: Tempo's service map, or edges from Prometheus.

    Queries of Prometheus are instant and have the format ``table``. One for edges has the labels ``id``, ``source`` and
    ``target``; the value of the first is the first figure on an edge, that of the second the second.

    Attributes:
        unit: of the first figure, written behind it as it is, but for ``reqps``.
        second_unit: of the second.
        nodes: queries for nodes, with the labels ``id`` and ``title``: first figure, second figure, and the share, from
            0 to 1, of the circle that is red. None: nodes are what edges name, with the sum of the edges to them.
    """

    _: KW_ONLY
    second_unit: str = ""
    nodes: Sequence[PromQuery] = ()

    type: ClassVar[str] = "nodeGraph"
    has_value_links: ClassVar[bool] = False

    @property
    def all_queries(self) -> Sequence[Query]:
        """Those for edges, then those for nodes."""
        return (*self.queries, *self.nodes)

    def _options(self) -> Json:
        named = {"mainStatUnit": self.unit, "secondaryStatUnit": self.second_unit}
        # The graph writes what stands here behind the figure as it is; overrides it does not heed at all.
        units = {name: _WRITTEN.get(unit, unit) for name, unit in named.items() if unit}
        arcs = [{"field": "arc__failed", "color": "red"}, {"field": "arc__rest", "color": "green"}]
        has_arcs = len(self.nodes) == len(_NODE_FIELDS)
        return {
            "edges": units,
            "nodes": units | ({"arcs": arcs} if has_arcs else {}),
            "zoomMode": "cooperative",
        }

    def _transformations(self) -> list[Json]:
        if any(query.source != "prometheus" for query in self.queries):
            return []
        edges, nodes = LETTERS[: len(self.queries)], LETTERS[len(self.queries) : len(self.all_queries)]
        alone = len(self.all_queries) == 1
        return [*_fields(edges, _NODE_FIELDS[:2], alone=alone), *_fields(nodes, _NODE_FIELDS, alone=False)]


_WRITTEN: Final = {"reqps": "req/s"}
_NODE_FIELDS = ("mainstat", "secondarystat", "arc__failed")


def _fields(letters: str, names: Sequence[str], *, alone: bool) -> list[Json]:
    """One table from the queries ``letters``, with their values under the names that the graph looks for.

    A field that is renamed keeps its old name inside, which is what the graph reads: each is computed anew.
    """
    if not letters:
        return []
    steps: list[Json] = []
    if len(letters) > 1:
        steps.append({"id": "merge", "filter": _queries_matching("|".join(letters)), "options": {}})
    merged = _queries_matching(f"(?:merge-)?{letters[0]}(?:-.+)?")
    for letter, name in zip(letters, names, strict=False):
        values = "Value" if alone else f"Value #{letter}"
        options: Json = {"alias": name, "mode": "reduceRow", "timeSeries": False}
        options["reduce"] = {"include": [values], "reducer": "lastNotNull"}
        steps.append({"id": "calculateField", "filter": merged, "options": options})
    if names[-1] == "arc__failed" and len(letters) == len(names):
        rest: Json = {"alias": "arc__rest", "mode": "binary", "timeSeries": False}
        rest["binary"] = {"left": "1", "operator": "-", "right": "arc__failed"}
        steps.append({"id": "calculateField", "filter": merged, "options": rest})
    return steps


def _queries_matching(pattern: str) -> Json:
    return {"id": "byRefId", "options": f"/^(?:{pattern})$/"}


@dataclass(frozen=True, slots=True)
class Traces(DataPanel):
    """Traces that a TraceQL query finds, each with a link to it; or one trace by its id.

    Attributes:
        single: whether the query is the id of a trace.
    """

    _: KW_ONLY
    single: bool = False

    has_value_links: ClassVar[bool] = False

    def to_json_data(self) -> Json:
        """The panel without id and place."""
        panel = DataPanel.to_json_data(self)
        return panel | {"type": "traces" if self.single else "table"}

    def _custom(self) -> Json | None:
        return None if self.single else dict(_CELL)

    def _options(self) -> Json:
        return {} if self.single else {"cellHeight": "sm", "showHeader": True}

    def _own_overrides(self) -> list[Json]:
        """Narrow columns for what is long and says little: the id is there to be clicked."""
        if self.single:
            return []
        return [
            override("Trace ID", {"custom.width": 90}),
            override("Start time", {"custom.width": 85, "unit": "time:HH:mm:ss"}),
            override("Duration", {"custom.width": 85}),
            # Of tables of spans: Tempo hides it in the way of older Grafanas, which newer ones do not heed.
            override("traceIdHidden", {"custom.hidden": True, "custom.hideFrom": {"viz": True}}),
            override("Span ID", {"custom.width": 90}),
        ]


@dataclass(frozen=True, slots=True)
class Logs(DataPanel):
    """Lines of logs, the newest first."""

    type: ClassVar[str] = "logs"
    has_value_links: ClassVar[bool] = False

    def _options(self) -> Json:
        return {
            "dedupStrategy": "none",
            "enableLogDetails": True,
            "prettifyLogMessage": False,
            "showCommonLabels": False,
            "showLabels": False,
            "showTime": True,
            "sortOrder": "Descending",
            "wrapLogMessage": True,
        }
