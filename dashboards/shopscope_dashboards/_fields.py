"""How values look: thresholds, mappings, and what differs for one series or column."""

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, Literal

from shopscope_dashboards._errors import BoardError
from shopscope_dashboards._links import Link
from shopscope_dashboards._sources import Json

Colour = str
Cell = Literal["auto", "text", "background", "gauge"]
Align = Literal["auto", "left", "center", "right"]


@dataclass(frozen=True, slots=True)
class Threshold:
    """From which value on a colour holds; None is the base, from the very bottom."""

    value: float | None
    colour: Colour


@dataclass(frozen=True, slots=True)
class ValueMapping:
    """A text, and a colour, in place of a value.

    Attributes:
        value: the value; a pair is a range from and to, either may be None; None stands for no value.
        text: what is shown.
        colour: in which colour; empty: the panel's.
    """

    value: str | float | tuple[float | None, float | None] | None
    text: str
    colour: Colour = ""


@dataclass(frozen=True, slots=True)
class Override:
    """What is different for some series of a panel.

    Attributes:
        match: name of the series as the legend shows it, or ``/regular expression/``.
        colour: a fixed colour.
        unit: unit of its values.
        decimals: digits behind the point.
        right: its values are on the right axis.
        dashed: its line is dashed.
        bars: bars in place of a line.
        fill: opacity below the line, per cent.
        links: links of its values.
        properties: any others by Grafana's own name, such as ``{"custom.lineWidth": 2}``.
    """

    match: str
    _: KW_ONLY
    colour: Colour = ""
    unit: str = ""
    decimals: int | None = None
    right: bool = False
    dashed: bool = False
    bars: bool = False
    fill: int | None = None
    links: Sequence[Link] = ()
    properties: Mapping[str, Any] = field(default_factory=dict)

    def to_json_data(self) -> Json:
        """As an entry of ``fieldConfig.overrides``."""
        found: dict[str, Any] = {}
        if self.colour:
            found["color"] = {"mode": "fixed", "fixedColor": self.colour}
        if self.unit:
            found["unit"] = self.unit
        if self.decimals is not None:
            found["decimals"] = self.decimals
        if self.right:
            found["custom.axisPlacement"] = "right"
        if self.dashed:
            found["custom.lineStyle"] = {"fill": "dash", "dash": [8, 6]}
        if self.bars:
            found["custom.drawStyle"] = "bars"
        if self.fill is not None:
            found["custom.fillOpacity"] = self.fill
        if self.links:
            found["links"] = [link.as_data_link() for link in self.links]
        return override(self.match, found | dict(self.properties))


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    Attributes:
        name: a label; or for the value of a query its letter: ``A`` for the first.
        title: its head; empty: the name.
        unit: unit of its values.
        decimals: digits behind the point.
        width: pixels; None: as wide as there is room.
        cell: how a cell is drawn: ``text`` and ``background`` in the threshold's colour, ``gauge`` as a bar.
        thresholds: from which value on which colour.
        mappings: texts in place of values.
        minimum: where a gauge begins.
        maximum: where a gauge ends.
        links: where a click on a cell leads.
        align: of the text in the cell.
    """

    name: str
    title: str = ""
    _: KW_ONLY
    unit: str = ""
    decimals: int | None = None
    width: int | None = None
    cell: Cell = "auto"
    thresholds: Sequence[Threshold] = ()
    mappings: Sequence[ValueMapping] = ()
    minimum: float | None = None
    maximum: float | None = None
    links: Sequence[Link] = ()
    align: Align = "auto"

    @property
    def head(self) -> str:
        """What stands above it."""
        return self.title or self.name

    def to_json_data(self) -> Json:
        """As an entry of ``fieldConfig.overrides``."""
        found: dict[str, Any] = {
            "unit": self.unit or None,
            "decimals": self.decimals,
            "min": self.minimum,
            "max": self.maximum,
            "custom.width": self.width,
            "custom.align": None if self.align == "auto" else self.align,
            "custom.cellOptions": _CELLS[self.cell],
            "thresholds": thresholds_json(self.thresholds, self.head) if self.thresholds else None,
            "color": {"mode": "thresholds"} if self.thresholds else None,
            "mappings": mappings_json(self.mappings) or None,
            "links": [link.as_data_link() for link in self.links] or None,
        }
        return override(self.head, {name: value for name, value in found.items() if value is not None})


_CELLS: dict[Cell, Json | None] = {
    "auto": None,
    "text": {"type": "color-text"},
    "background": {"type": "color-background", "mode": "basic"},
    "gauge": {"type": "gauge", "mode": "basic", "valueDisplayMode": "text"},
}


def override(match: str, properties: Mapping[str, Any]) -> Json:
    """An entry of ``fieldConfig.overrides`` for the field, or ``/fields/``, of that name."""
    by = "byRegexp" if len(match) > 1 and match.startswith("/") and match.endswith("/") else "byName"
    return {
        "matcher": {"id": by, "options": match},
        "properties": [{"id": name, "value": value} for name, value in sorted(properties.items())],
    }


def thresholds_json(thresholds: Sequence[Threshold], where: str) -> Json:
    """As ``fieldConfig.defaults.thresholds``, with a real null as base: the text "null" would stay green for ever.

    Raises:
        BoardError: there is no base, or the values do not ascend.
    """
    steps = thresholds or (Threshold(None, "green"),)
    if steps[0].value is not None:
        raise BoardError(
            f"{where}: the first threshold must be the base: {steps[0].value}; put Threshold(None, colour) before it"
        )
    values = [step.value for step in steps[1:]]
    if None in values or values != sorted(set(values), key=lambda value: value or 0.0):
        raise BoardError(f"{where}: thresholds must ascend: {values}; put them in order")
    return {"mode": "absolute", "steps": [{"color": step.colour, "value": step.value} for step in steps]}


def mappings_json(mappings: Sequence[ValueMapping]) -> list[Json]:
    """As ``fieldConfig.defaults.mappings``."""
    return [_mapping_json(mapping, index) for index, mapping in enumerate(mappings)]


def _mapping_json(mapping: ValueMapping, index: int) -> Json:
    result: Json = {"index": index, "text": mapping.text}
    if mapping.colour:
        result["color"] = mapping.colour
    if mapping.value is None:
        return {"type": "special", "options": {"match": "null+nan", "result": result}}
    if isinstance(mapping.value, tuple):
        ends = {name: end for name, end in zip(("from", "to"), mapping.value, strict=True) if end is not None}
        return {"type": "range", "options": ends | {"result": result}}
    value = mapping.value
    text = value if isinstance(value, str) else f"{value:g}"
    return {"type": "value", "options": {text: result}}
