"""Queries of panels: PromQL, TraceQL and LogQL."""

from dataclasses import KW_ONLY, dataclass
from typing import ClassVar, Literal

from shopscope_dashboards._sources import Json, source

PromFormat = Literal["time_series", "table", "heatmap"]


@dataclass(frozen=True, slots=True)
class PromQuery:
    """A PromQL query.

    Attributes:
        expr: the query; rates over ``$__rate_interval``.
        legend: ``{{label}}`` and text.
        instant: one value at the end of the time range, rather than a line.
        exemplars: ask for exemplars too, the dots that open a trace; None: of buckets over time.
        format: ``table`` gives labels as columns; ``heatmap`` takes the buckets of a classic histogram.
        interval: shortest step, such as ``1m``; empty: the data source's.
    """

    expr: str
    legend: str = ""
    _: KW_ONLY
    instant: bool = False
    exemplars: bool | None = None
    format: PromFormat = "time_series"
    interval: str = ""

    source: ClassVar[str] = "prometheus"

    @property
    def text(self) -> str:
        """The query as its engine reads it."""
        return self.expr

    @property
    def has_exemplars(self) -> bool:
        """Whether exemplars are asked for too."""
        if self.exemplars is None:
            return "_bucket" in self.expr and not self.instant and self.format != "table"
        return self.exemplars

    def to_json_data(self, ref_id: str) -> Json:
        """The target of a panel."""
        target: Json = {
            "datasource": source("prometheus"),
            "editorMode": "code",
            "exemplar": self.has_exemplars,
            "expr": self.expr,
            "format": self.format,
            "instant": self.instant,
            "range": not self.instant,
            "refId": ref_id,
        }
        if self.legend:
            target["legendFormat"] = self.legend
        if self.interval:
            target["interval"] = self.interval
        return target


@dataclass(frozen=True, slots=True)
class TraceQuery:
    """A TraceQL query, or Tempo's service map.

    Attributes:
        traceql: the query; of a service map a PromQL selector such as ``{client="checkout"}``, or empty.
        limit: most traces.
        kind: ``traceql``, or ``serviceMap`` for a node graph.
        table: a row for each trace, or for each span that matches.
    """

    traceql: str
    _: KW_ONLY
    limit: int = 20
    kind: Literal["traceql", "serviceMap"] = "traceql"
    table: Literal["traces", "spans"] = "traces"

    source: ClassVar[str] = "tempo"

    @property
    def text(self) -> str:
        """The query as its engine reads it."""
        return self.traceql

    def to_json_data(self, ref_id: str) -> Json:
        """The target of a panel."""
        target: Json = {"datasource": source("tempo"), "filters": [], "queryType": self.kind, "refId": ref_id}
        if self.kind == "serviceMap":
            return target | {"serviceMapQuery": self.traceql}
        return target | {"limit": self.limit, "query": self.traceql, "tableType": self.table}


@dataclass(frozen=True, slots=True)
class LogQuery:
    """A LogQL query.

    Attributes:
        logql: the query.
        limit: most lines.
        legend: ``{{label}}`` and text, of a query that counts.
        instant: one value at the end of the time range, of a query that counts.
    """

    logql: str
    _: KW_ONLY
    limit: int = 100
    legend: str = ""
    instant: bool = False

    source: ClassVar[str] = "loki"

    @property
    def text(self) -> str:
        """The query as its engine reads it."""
        return self.logql

    def to_json_data(self, ref_id: str) -> Json:
        """The target of a panel."""
        target: Json = {
            "datasource": source("loki"),
            "direction": "backward",
            "editorMode": "code",
            "expr": self.logql,
            "maxLines": self.limit,
            "queryType": "instant" if self.instant else "range",
            "refId": ref_id,
        }
        if self.legend:
            target["legendFormat"] = self.legend
        return target


Query = PromQuery | TraceQuery | LogQuery
