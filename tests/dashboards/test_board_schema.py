"""Every board is what Grafana's own schema says: no key that it would drop, no value of another type."""

import copy
import json
import sys
from pathlib import Path

import pytest

from shopscope.config import load_shop
from shopscope_dashboards.boards import all_boards

sys.path.insert(0, str(Path(__file__).parent))
from every_panel import sample
from grafana_schema import faults

SHOP = load_shop(Path(__file__).parents[2] / "shopscope.toml")
BOARDS = (sample(), *all_boards(SHOP))


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.uid)
def test_grafana_keeps_every_key(board):
    """A round trip through the classes that Grafana Labs generates from its schema loses and changes nothing."""
    assert [] == faults(json.loads(board.to_json()))


def _spoilt(path, value):
    """The sample board with one thing changed; where it is says a path of keys and indices."""
    board = copy.deepcopy(SAMPLE)
    *way, last = path
    found = board
    for step in way:
        found = found[step]
    found[last] = value
    return board


SAMPLE = json.loads(sample().to_json())
TITLES = {panel["title"]: index for index, panel in enumerate(SAMPLE["panels"])}
SERIES = ("panels", TITLES["Wait, p95"])
STAT = ("panels", TITLES["Good"])
CUSTOM_WIDTH = {"id": "custom.width", "value": 80}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("rows",), []),
        (("schemaVersion",), "42"),
        (("refresh",), 30),
        (("graphTooltip",), 7),
        (("templating", "list", 0, "hide"), 9),
        (("templating", "list", 3, "type"), "querry"),
        (("annotations", "list", 0, "colour"), "red"),
        (("annotations", "list", 0, "target", "exprs"), "up"),
        ((*SERIES, "type"), "graph"),
        ((*SERIES, "span"), 4),
        ((*SERIES, "gridPos", "w"), 8.5),
        ((*SERIES, "options", "legend", "displayMode"), "row"),
        ((*SERIES, "options", "legends"), {}),
        ((*SERIES, "fieldConfig", "defaults", "unit"), "seconds"),
        ((*SERIES, "fieldConfig", "defaults", "min"), "0"),
        ((*SERIES, "fieldConfig", "defaults", "thresholds", "steps", 0, "value"), "null"),
        ((*SERIES, "fieldConfig", "defaults", "thresholds", "mode"), "relative"),
        ((*SERIES, "fieldConfig", "defaults", "custom", "lineWidths"), 1),
        ((*SERIES, "fieldConfig", "defaults", "custom", "showPoints"), "sometimes"),
        ((*SERIES, "fieldConfig", "defaults", "links", 0, "href"), "/"),
        ((*SERIES, "fieldConfig", "overrides", 0, "properties", 0), {"id": "custom.colour", "value": "red"}),
        ((*SERIES, "fieldConfig", "overrides", 0, "properties", 0), {"id": "colour", "value": "red"}),
        ((*SERIES, "fieldConfig", "overrides", 0, "properties", 0), {"id": "custom.lineWidth", "value": "2"}),
        (
            (*STAT, "fieldConfig", "overrides"),
            [{"matcher": {"id": "byName"}, "properties": [{"id": "custom.x", "value": 1}]}],
        ),
        ((*SERIES, "targets", 0, "intervalFactors"), 2),
        ((*SERIES, "targets", 0, "exemplar"), "yes"),
        ((*SERIES, "links", 0, "type"), "absolute"),
        ((*STAT, "fieldConfig", "defaults", "mappings", 0, "type"), "special"),
        ((*STAT, "options", "colorMode"), "foreground"),
    ],
    ids=lambda part: ".".join(map(str, part)) if isinstance(part, tuple) else str(part),
)
def test_a_fault_is_found(path, value):
    """What the check is worth: each of these is drawn wrongly, or silently not at all."""
    assert [] != faults(_spoilt(path, value))
