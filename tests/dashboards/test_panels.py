"""Panels as Grafana 13 spells them: what its own migrations would otherwise make of older shapes, or guess."""

import json
import sys
from pathlib import Path

import pytest

from shopscope_dashboards import (
    Board,
    Column,
    Heatmap,
    LogQuery,
    NodeGraph,
    Override,
    PromQuery,
    Stat,
    Table,
    Threshold,
    TimeSeries,
    TraceQuery,
    Traces,
    ValueMapping,
)

sys.path.insert(0, str(Path(__file__).parent))
from every_panel import sample

UP = [PromQuery("up")]


def written(panel):
    """A panel as it stands in its board."""
    return json.loads(Board("uid", "Title", "What it answers.", [panel]).to_json())["panels"][0]


def properties(panel, match):
    """Properties of the override for the series or column of that name."""
    found = [each for each in written(panel)["fieldConfig"]["overrides"] if each["matcher"]["options"] == match]
    return {each["id"]: each["value"] for each in found[0]["properties"]}


def test_every_kind_of_panel_has_its_type():
    """Grafana draws nothing for a type that it does not know."""
    board = json.loads(sample().to_json())
    panels = [each for panel in board["panels"] for each in (panel, *panel.get("panels", ()))]
    charts = {"bargauge", "gauge", "heatmap", "stat", "state-timeline", "timeseries"}
    others = {"logs", "nodeGraph", "row", "table", "text", "traces"}
    assert charts | others == {panel["type"] for panel in panels}


def test_thresholds_have_a_real_null_as_base():
    """With the text "null", which grafanalib writes, the panel stays green whatever happens."""
    panel = written(Stat("t", "d", UP, thresholds=[Threshold(None, "green"), Threshold(0.8, "red")]))
    expected = [{"color": "green", "value": None}, {"color": "red", "value": 0.8}]
    assert expected == panel["fieldConfig"]["defaults"]["thresholds"]["steps"]


@pytest.mark.parametrize(
    ("thresholds", "expected"), [((), "off"), ([Threshold(None, "green"), Threshold(1, "red")], "dashed")]
)
def test_thresholds_are_drawn_where_there_are_any(thresholds, expected):
    """A line at the objective; no line where the file says nothing."""
    panel = written(TimeSeries("t", "d", UP, thresholds=thresholds))
    assert expected == panel["fieldConfig"]["defaults"]["custom"]["thresholdsStyle"]["mode"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (PromQuery("histogram_quantile(0.9, sum by (le) (rate(x_bucket[1m])))"), True),
        (PromQuery("rate(x_count[1m])"), False),
        (PromQuery("rate(x_count[1m])", exemplars=True), True),
        (PromQuery("rate(x_bucket[1m])", exemplars=False), False),
        (PromQuery("rate(x_bucket[1m])", instant=True), False),
        (PromQuery("rate(x_bucket[1m])", format="table"), False),
    ],
)
def test_exemplars_are_on_where_there_can_be_any(query, expected):
    """Buckets over time have dots that open a trace; what has none is not asked for them."""
    assert expected == written(TimeSeries("t", "d", [query]))["targets"][0]["exemplar"]


def test_a_query_is_either_instant_or_over_time():
    """Both at once, which is what a missing ``range`` means to some versions, doubles the load."""
    targets = written(Table("t", "d", [PromQuery("a", instant=True), PromQuery("b")]))["targets"]
    assert [(True, False), (False, True)] == [(each["instant"], each["range"]) for each in targets]


@pytest.mark.parametrize(
    ("queries", "expected"),
    [
        (UP, "prometheus"),
        ([TraceQuery("{}")], "tempo"),
        ([LogQuery("{a='b'}")], "loki"),
        ([PromQuery("up"), LogQuery("{a='b'}")], "datasource"),
    ],
)
def test_a_panel_names_its_data_source(queries, expected):
    """That of its queries, or Mixed."""
    assert expected == written(Table("t", "d", queries))["datasource"]["type"]


def test_a_legend_is_shown_where_there_is_something_to_tell_apart():
    """One line without labels needs none."""
    panels = [
        TimeSeries("t", "d", UP),
        TimeSeries("t", "d", [PromQuery("up", "{{job}}")]),
        TimeSeries("t", "d", UP * 2),
    ]
    assert [False, True, True] == [written(panel)["options"]["legend"]["showLegend"] for panel in panels]


@pytest.mark.parametrize(("stack", "mode"), [(False, "none"), (True, "normal"), ("percent", "percent")])
def test_areas_are_stacked(stack, mode):
    """On one another, or as shares."""
    custom = written(TimeSeries("t", "d", UP, stack=stack))["fieldConfig"]["defaults"]["custom"]
    assert mode == custom["stacking"]["mode"]


def test_a_colour_belongs_to_a_series():
    """An error is red on every board; a name between slashes is a regular expression."""
    panel = TimeSeries("t", "d", UP, colours={"error": "red", "/^p.*/": "blue"}, overrides=[Override("x", right=True)])
    assert {"color": {"mode": "fixed", "fixedColor": "red"}} == properties(panel, "error")
    assert {"custom.axisPlacement": "right"} == properties(panel, "x")
    kinds = [each["matcher"]["id"] for each in written(panel)["fieldConfig"]["overrides"]]
    assert ["byName", "byRegexp", "byName"] == kinds


def test_mappings_give_values_names():
    """A value, a text, a range with one end, and no value at all."""
    mappings = [
        ValueMapping(0, "closed", "green"),
        ValueMapping("on", "On"),
        ValueMapping((1, None), "open"),
        ValueMapping(None, "unknown"),
    ]
    expected = [
        {"type": "value", "options": {"0": {"index": 0, "text": "closed", "color": "green"}}},
        {"type": "value", "options": {"on": {"index": 1, "text": "On"}}},
        {"type": "range", "options": {"from": 1, "result": {"index": 2, "text": "open"}}},
        {"type": "special", "options": {"match": "null+nan", "result": {"index": 3, "text": "unknown"}}},
    ]
    assert expected == written(Stat("t", "d", UP, mappings=mappings))["fieldConfig"]["defaults"]["mappings"]


def test_a_table_has_its_columns_in_order():
    """What queries return besides is left out; of several queries the values are merged into one row a label set."""
    columns = [Column("peer", "dependency"), Column("B", "failed"), Column("A")]
    query = PromQuery("up", instant=True, format="table")
    steps = {
        each["id"]: each["options"]
        for each in written(Table("t", "d", [query] * 2, columns=columns))["transformations"]
    }
    assert ["merge", "filterFieldsByName", "organize"] == list(steps)
    assert ["peer", "Value #B", "Value #A"] == steps["filterFieldsByName"]["include"]["names"]
    assert {"peer": 0, "Value #B": 1, "Value #A": 2} == steps["organize"]["indexByName"]
    assert {"peer": "dependency", "Value #B": "failed", "Value #A": "A"} == steps["organize"]["renameByName"]


def test_the_value_of_a_table_of_one_query_is_called_value():
    """Grafana writes the letter only where there are several."""
    panel = written(Table("t", "d", [PromQuery("up", instant=True, format="table")], columns=[Column("A", "is up")]))
    assert ["filterFieldsByName", "organize"] == [each["id"] for each in panel["transformations"]]
    assert {"Value": "is up"} == panel["transformations"][-1]["options"]["renameByName"]


def test_a_column_looks_as_it_is_told():
    """Unit, width, colour by its own thresholds; where a click on it leads."""
    column = Column(
        "A", "failed", unit="percentunit", width=80, cell="background", thresholds=[Threshold(None, "green")], maximum=1
    )
    assert {
        "color": {"mode": "thresholds"},
        "custom.cellOptions": {"type": "color-background", "mode": "basic"},
        "custom.width": 80,
        "max": 1,
        "thresholds": {"mode": "absolute", "steps": [{"color": "green", "value": None}]},
        "unit": "percentunit",
    } == properties(Table("t", "d", UP, columns=[column]), "failed")


def test_a_heatmap_has_the_unit_on_its_axis():
    """Buckets are what they are: nothing is calculated anew; the colour says how many."""
    panel = written(Heatmap("t", "d", [PromQuery("x_bucket", "{{le}}", format="heatmap")], unit="s", maximum=2))
    axis = panel["options"]["yAxis"]
    assert (False, "s", 2) == (panel["options"]["calculate"], axis["unit"], axis["max"])
    assert ("heatmap", True) == (panel["targets"][0]["format"], panel["targets"][0]["exemplar"])


def test_a_native_histogram_has_an_axis_of_its_own():
    """Its buckets are no labels: Grafana draws them along a logarithmic axis."""
    custom = written(Heatmap("t", "d", UP, log=2))["fieldConfig"]["defaults"]["custom"]
    assert {"type": "log", "log": 2} == custom["scaleDistribution"]


def test_fields_of_a_node_graph_are_computed_under_their_names():
    """The graph reads the inner name of a field, which no renaming changes."""
    query = PromQuery("calls", instant=True, format="table")
    panel = written(NodeGraph("t", "d", [query] * 2, nodes=[query] * 3))
    made = {
        each["options"]["alias"]: (each["filter"]["options"], each["options"].get("reduce", {}).get("include"))
        for each in panel["transformations"]
        if each["id"] == "calculateField" and "C" in each["filter"]["options"]
    }
    nodes = "/^(?:(?:merge-)?C(?:-.+)?)$/"
    assert {
        "mainstat": (nodes, ["Value #C"]),
        "secondarystat": (nodes, ["Value #D"]),
        "arc__failed": (nodes, ["Value #E"]),
        "arc__rest": (nodes, None),
    } == made
    assert ["A|B", "C|D|E"] == [
        each["filter"]["options"].strip("/^(?:)$") for each in panel["transformations"] if each["id"] == "merge"
    ]


def test_edges_of_one_query_are_enough():
    """Without queries for nodes, Grafana makes nodes of what the edges name."""
    panel = written(NodeGraph("t", "d", [PromQuery("calls", instant=True, format="table")], unit="req/s"))
    assert [["Value"]] == [each["options"]["reduce"]["include"] for each in panel["transformations"]]
    assert "req/s" == panel["options"]["edges"]["mainStatUnit"]


def test_the_map_of_tempo_is_left_as_it_comes():
    """Its frames have names and figures already."""
    panel = written(NodeGraph("t", "d", [TraceQuery("", kind="serviceMap")]))
    assert ([], "serviceMap") == (panel["transformations"], panel["targets"][0]["queryType"])


def test_traces_that_are_searched_are_a_table():
    """Grafana's panel for traces draws one trace alone: a list of them in it is an error."""
    found = [written(Traces("t", "d", [TraceQuery("{}")], single=single))["type"] for single in (False, True)]
    assert ["table", "traces"] == found
