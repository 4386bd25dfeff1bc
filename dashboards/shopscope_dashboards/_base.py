"""What all panels have in common, rows, and text.

Data classes, each of which says how Grafana 13 spells it; a board adds ids and places.
"""

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, ClassVar, Final

from shopscope_dashboards._fields import Override, Threshold, ValueMapping, mappings_json, thresholds_json
from shopscope_dashboards._links import Link
from shopscope_dashboards._queries import Query
from shopscope_dashboards._sources import Json, source

#: The version whose options are written: Grafana migrates panels of older ones, and guesses where there is none.
GRAFANA_VERSION: Final = "13.2.0"

#: The first query is A.
LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


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
    def all_queries(self) -> Sequence[Query]:
        """Everything it asks for, A first."""
        return self.queries

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
            "targets": [query.to_json_data(ref_id) for ref_id, query in zip(LETTERS, self.all_queries, strict=False)],
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
        names = {query.source for query in self.all_queries}
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
        return [*self._own_overrides(), *(entry.to_json_data() for entry in (*fixed, *self.overrides))]

    def _own_overrides(self) -> list[Json]:
        return []

    def _colour_mode(self) -> str:
        return "thresholds"

    def _custom(self) -> Json | None:
        return None

    def _options(self) -> Json:
        return {}

    def _transformations(self) -> list[Json]:
        return []


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


def shown() -> Json:
    """That series are hidden nowhere."""
    return {"legend": False, "tooltip": False, "viz": False}
