"""What all panels have in common; time series, stat, gauge, bar gauge, state timeline, text and rows.

Data classes, each of which says how Grafana 13 spells it; a board adds ids and places.
"""

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, ClassVar, Final, Literal

from shopscope_dashboards._fields import Override, Threshold, ValueMapping, mappings_json, thresholds_json
from shopscope_dashboards._links import Link
from shopscope_dashboards._queries import Query
from shopscope_dashboards._sources import Json, source

#: The version whose options are written: Grafana migrates panels of older ones, and guesses where there is none.
GRAFANA_VERSION: Final = "13.2.0"

_LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True, slots=True)
class Row:
    """A head above the panels that follow it, up to the next one.

    Attributes:
        title: what these panels answer.
        collapsed: whether they are shown, and asked for, at a click only.
        repeat: name of a variable: the row is there once for each of its values.
    """

    title: str
    _: KW_ONLY
    collapsed: bool = False
    repeat: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """Base of all panels.

    Attributes:
        title: what it shows.
        description: what it means, and what to do about it.
        queries: what it asks for; the first is A.
        width: columns, of 24.
        height: rows of 30 pixels.
        links: where it leads: traces, a runbook, another board.
        repeat: name of a variable: the panel is there once for each of its values.
    """

    title: str
    _: KW_ONLY
    description: str = ""
    queries: Sequence[Query] = ()
    width: int = 8
    height: int = 8
    links: Sequence[Link] = ()
    repeat: str = ""

    def to_json_data(self) -> Json:
        """The panel without id and place."""
        raise NotImplementedError

    @property
    def unit_name(self) -> str:
        """Grafana's name for the unit of its values; empty: they have none."""
        return ""


@dataclass(frozen=True, slots=True)
class DataPanel(Panel):
    """Base of panels that show data.

    Attributes:
        unit: Grafana's name for the unit: ``s``, ``reqps``, ``percentunit``, ``short``, ``bytes``, ``currencyEUR``.
        thresholds: from which value on which colour; the first has the value None.
        minimum: where the axis or gauge begins.
        maximum: where it ends.
        decimals: digits behind the point.
        mappings: texts in place of values.
        overrides: what differs for some series.
        colours: name of a series, or ``/regular expression/`` → its colour, always the same.
        transformations: Grafana's own, before the panel's.
        no_value: text where there is no data.
        interval: shortest step of its queries.
        time_from: time range of its own, such as ``30d``.
    """

    description: str
    queries: Sequence[Query]
    _: KW_ONLY
    unit: str = ""
    thresholds: Sequence[Threshold] = ()
    minimum: float | None = None
    maximum: float | None = None
    decimals: int | None = None
    mappings: Sequence[ValueMapping] = ()
    overrides: Sequence[Override] = ()
    colours: Mapping[str, str] = field(default_factory=dict)
    transformations: Sequence[Json] = ()
    no_value: str = ""
    interval: str = ""
    time_from: str = ""

    type: ClassVar[str] = ""
    #: Whether a click on a value shows the links too.
    has_value_links: ClassVar[bool] = True

    @property
    def unit_name(self) -> str:
        """Grafana's name for the unit of its values; empty: they have none."""
        return self.unit

    def to_json_data(self) -> Json:
        """The panel without id and place."""
        panel: Json = {
            "type": self.type,
            "title": self.title,
            "description": self.description,
            "datasource": self._source(),
            "targets": [query.to_json_data(ref_id) for ref_id, query in zip(_LETTERS, self.queries, strict=False)],
            "fieldConfig": {"defaults": self._defaults(), "overrides": self._overrides()},
            "options": self._options(),
            "links": [link.as_head_link() for link in self.links if not link.is_of_a_value],
            "transformations": [*self.transformations, *self._transformations()],
            "pluginVersion": GRAFANA_VERSION,
        }
        optional = {"interval": self.interval, "timeFrom": self.time_from, "repeat": self.repeat}
        panel |= {name: value for name, value in optional.items() if value}
        if self.repeat:
            panel["repeatDirection"] = "h"
        return panel

    def _source(self) -> Json:
        names = {query.source for query in self.queries}
        return source(names.pop()) if len(names) == 1 else {"type": "datasource", "uid": "-- Mixed --"}

    def _defaults(self) -> Json:
        defaults: dict[str, Any] = {
            "color": {"mode": self._colour_mode()},
            "custom": self._custom(),
            "decimals": self.decimals,
            "links": self._value_links(),
            "mappings": mappings_json(self.mappings),
            "max": self.maximum,
            "min": self.minimum,
            "noValue": self.no_value or None,
            "thresholds": thresholds_json(self.thresholds, self.title),
            "unit": self.unit or None,
        }
        return {name: value for name, value in defaults.items() if value is not None}

    def _value_links(self) -> list[Json]:
        return [link.as_data_link() for link in self.links] if self.has_value_links else []

    def _overrides(self) -> list[Json]:
        fixed = [Override(name, colour=colour) for name, colour in self.colours.items()]
        return [entry.to_json_data() for entry in (*fixed, *self.overrides)]

    def _colour_mode(self) -> str:
        return "thresholds"

    def _custom(self) -> Json | None:
        return None

    def _options(self) -> Json:
        return {}

    def _transformations(self) -> list[Json]:
        return []


@dataclass(frozen=True, slots=True)
class TimeSeries(DataPanel):
    """Lines, bars or points over time.

    Attributes:
        stack: areas on one another; ``percent`` as shares.
        draw: how values are drawn.
        fill: opacity below a line, per cent; None: 10, or 60 if stacked.
        legend: a list or a table of names, or nothing; None: a list where there is more than one name.
        legend_values: what the legend says of each series: ``lastNotNull``, ``max``, ``mean``, ``sum``.
        threshold_style: how thresholds are drawn.
        log: whether the axis is logarithmic.
        axis: text beside the axis.
        soft_maximum: where the axis ends at the least.
    """

    _: KW_ONLY
    stack: bool | Literal["normal", "percent"] = False
    draw: Literal["line", "bars", "points", "steps"] = "line"
    fill: int | None = None
    legend: Literal["list", "table", "right", "hidden"] | None = None
    legend_values: Sequence[str] = ()
    threshold_style: Literal["off", "line", "dashed", "area", "dashed+area"] = "dashed"
    log: bool = False
    axis: str = ""
    soft_maximum: float | None = None

    type: ClassVar[str] = "timeseries"

    def _colour_mode(self) -> str:
        return "palette-classic"

    def _custom(self) -> Json:
        mode = self.stack if isinstance(self.stack, str) else "normal" if self.stack else "none"
        fill = self.fill if self.fill is not None else 60 if self.stack else 10
        custom: Json = {
            "axisBorderShow": False,
            "axisPlacement": "auto",
            "drawStyle": "line" if self.draw == "steps" else self.draw,
            "fillOpacity": 80 if self.draw == "bars" and self.fill is None else fill,
            "gradientMode": "none",
            "hideFrom": {"legend": False, "tooltip": False, "viz": False},
            "insertNulls": False,
            "lineInterpolation": "stepAfter" if self.draw == "steps" else "linear",
            "lineWidth": 1,
            "pointSize": 5,
            "scaleDistribution": {"type": "log", "log": 10} if self.log else {"type": "linear"},
            "showPoints": "auto",
            # A push or scrape that came late is no gap.
            "spanNulls": 60_000,
            "stacking": {"group": "A", "mode": mode},
            "thresholdsStyle": {"mode": self.threshold_style if self.thresholds else "off"},
        }
        if self.axis:
            custom["axisLabel"] = self.axis
        if self.soft_maximum is not None:
            custom["axisSoftMax"] = self.soft_maximum
        return custom

    def _options(self) -> Json:
        return {
            "legend": legend_json(self.legend or self._fitting_legend(), self.legend_values),
            "tooltip": {"mode": "multi", "sort": "desc", "hideZeros": False},
        }

    def _fitting_legend(self) -> str:
        many = len(self.queries) > 1 or any("{{" in getattr(query, "legend", "") for query in self.queries)
        return "list" if many else "hidden"


@dataclass(frozen=True, slots=True)
class Stat(DataPanel):
    """One value, large, with its course behind it.

    Attributes:
        reduce: which value of a series: ``lastNotNull``, ``mean``, ``max``, ``sum``.
        graph: whether its course is drawn.
        colour: what has the threshold's colour.
        text: what is written.
        fields: name of the field, or ``/regular expression/``, of results that are tables; empty: those with numbers.
        orientation: how several values are placed.
    """

    _: KW_ONLY
    reduce: str = "lastNotNull"
    graph: bool = True
    colour: Literal["value", "background", "none"] = "value"
    text: Literal["auto", "value", "value_and_name", "name"] = "auto"
    fields: str = ""
    orientation: Literal["auto", "horizontal", "vertical"] = "auto"

    type: ClassVar[str] = "stat"

    def _options(self) -> Json:
        return {
            "colorMode": self.colour,
            "graphMode": "area" if self.graph else "none",
            "justifyMode": "auto",
            "orientation": self.orientation,
            "percentChangeColorMode": "standard",
            "reduceOptions": reduce_json(self.reduce, self.fields),
            "showPercentChange": False,
            "textMode": self.text,
            "wideLayout": True,
        }


@dataclass(frozen=True, slots=True)
class Gauge(DataPanel):
    """A value between two ends.

    Attributes:
        reduce: which value of a series.
        fields: name of the field of results that are tables.
    """

    _: KW_ONLY
    reduce: str = "lastNotNull"
    fields: str = ""

    type: ClassVar[str] = "gauge"

    def _options(self) -> Json:
        return {
            "minVizHeight": 75,
            "minVizWidth": 75,
            "orientation": "auto",
            "reduceOptions": reduce_json(self.reduce, self.fields),
            "showThresholdLabels": False,
            "showThresholdMarkers": True,
            "sizing": "auto",
        }


@dataclass(frozen=True, slots=True)
class BarGauge(DataPanel):
    """Values beside each other as bars.

    Attributes:
        reduce: which value of a series.
        fields: name of the field of results that are tables.
        orientation: of the bars.
        display: how a bar is coloured.
    """

    _: KW_ONLY
    reduce: str = "lastNotNull"
    fields: str = ""
    orientation: Literal["horizontal", "vertical"] = "horizontal"
    display: Literal["basic", "gradient", "lcd"] = "basic"

    type: ClassVar[str] = "bargauge"

    def _options(self) -> Json:
        return {
            "displayMode": self.display,
            "legend": legend_json("hidden", ()),
            "maxVizHeight": 300,
            "minVizHeight": 16,
            "minVizWidth": 8,
            "namePlacement": "auto",
            "orientation": self.orientation,
            "reduceOptions": reduce_json(self.reduce, self.fields),
            "showUnfilled": True,
            "sizing": "auto",
            "valueMode": "color",
        }


@dataclass(frozen=True, slots=True)
class StateTimeline(DataPanel):
    """States over time, a line for each series; mappings or thresholds give them names and colours.

    Attributes:
        show_value: whether a state is written into its bar.
        legend: names of states below.
    """

    _: KW_ONLY
    show_value: Literal["auto", "always", "never"] = "auto"
    legend: bool = True

    type: ClassVar[str] = "state-timeline"

    def _custom(self) -> Json:
        return {
            "fillOpacity": 80,
            "hideFrom": {"legend": False, "tooltip": False, "viz": False},
            "insertNulls": False,
            "lineWidth": 0,
            "spanNulls": 60_000,
        }

    def _options(self) -> Json:
        return {
            "alignValue": "left",
            "legend": legend_json("list" if self.legend else "hidden", ()),
            "mergeValues": True,
            "rowHeight": 0.9,
            "showValue": self.show_value,
            "tooltip": {"mode": "single", "sort": "none", "hideZeros": False},
        }


@dataclass(frozen=True, slots=True)
class Text(Panel):
    """Markdown.

    Attributes:
        markdown: the text.
    """

    markdown: str
    _: KW_ONLY

    type: ClassVar[str] = "text"

    def to_json_data(self) -> Json:
        """The panel without id and place."""
        return {
            "type": self.type,
            "title": self.title,
            "description": self.description,
            "fieldConfig": {"defaults": {}, "overrides": []},
            "links": [link.as_head_link() for link in self.links],
            "options": {
                "code": {"language": "plaintext", "showLineNumbers": False, "showMiniMap": False},
                "content": self.markdown,
                "mode": "markdown",
            },
            "pluginVersion": GRAFANA_VERSION,
            "transparent": not self.title,
        }


def legend_json(kind: str, values: Sequence[str]) -> Json:
    """Options of a legend: ``list``, ``table``, ``right`` (a table beside) or ``hidden``."""
    return {
        "calcs": list(values),
        "displayMode": {"list": "list", "hidden": "hidden"}.get(kind, "table"),
        "placement": "right" if kind == "right" else "bottom",
        "showLegend": kind != "hidden",
    }


def reduce_json(calculation: str, fields: str) -> Json:
    """How a series becomes one value."""
    return {"calcs": [calculation], "fields": fields, "values": False}
