"""Panels of numbers over time: time series, stat, gauge, bar gauge, state timeline."""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import ClassVar, Final, Literal

from shopscope_dashboards._base import DataPanel, legend_json, reduce_json, shown
from shopscope_dashboards._sources import Json

_SOFT_MAXIMA: Final = {"percentunit": 0.01, "reqps": 0.1, "cps": 0.1, "ops": 0.1}


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
        soft_maximum: where the axis ends at the least; None: at 1 % or 0.1 per second where it begins at 0.
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
            "hideFrom": shown(),
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
        if (soft_maximum := self._soft_maximum()) is not None:
            custom["axisSoftMax"] = soft_maximum
        return custom

    def _soft_maximum(self) -> float | None:
        """Grafana ends the axis of a line that is 0 all the time at 100, which reads 10,000 % as a share."""
        if self.soft_maximum is not None or self.minimum != 0 or self.maximum is not None or self.log:
            return self.soft_maximum
        return _SOFT_MAXIMA.get(self.unit)

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

    def _colour_mode(self) -> str:
        # By thresholds, Grafana writes their ranges ("-∞+") in place of the texts of mappings.
        return "palette-classic" if self.mappings else "thresholds"

    def _custom(self) -> Json:
        return {
            "fillOpacity": 80,
            "hideFrom": shown(),
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
