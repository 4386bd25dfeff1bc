"""A board: where its panels stand, how they are numbered, what it refuses, and that it is always the same text."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from shopscope_dashboards import (
    ENVIRONMENT,
    Board,
    BoardError,
    PromQuery,
    Row,
    Stat,
    Text,
    Threshold,
    TimeSeries,
    Variable,
)

sys.path.insert(0, str(Path(__file__).parent))
from every_panel import sample

HERE = Path(__file__).parent


def stat(title, width=8, height=8, expr="up"):
    return Stat(title, "What it means.", [PromQuery(expr)], width=width, height=height)


def board_of(*panels, **options):
    return Board("uid", "Title", "What it answers.", panels, **options)


def places(board):
    """Title of each panel → x, y, width, height."""
    found = {}
    for panel in json.loads(board.to_json())["panels"]:
        for each in (panel, *panel.get("panels", ())):
            found[each["title"]] = tuple(each["gridPos"][side] for side in "xywh")
    return found


def test_panels_flow_from_left_to_right():
    """Up to 24 columns; the next line begins below the highest panel of this one; a row begins a line."""
    board = board_of(stat("a", 8, 4), stat("b", 16, 8), stat("c", 4, 3), Row("r"), stat("d", 24, 2))
    expected = {"a": (0, 0, 8, 4), "b": (8, 0, 16, 8), "c": (0, 8, 4, 3), "r": (0, 11, 24, 1), "d": (0, 12, 24, 2)}
    assert expected == places(board)


def test_a_collapsed_row_holds_its_panels_and_takes_one_line():
    """Grafana asks for them once it is opened; what follows stands right below."""
    board = board_of(Row("closed", collapsed=True), stat("a"), stat("b", 24), Row("open"), stat("c"))
    rows = json.loads(board.to_json())["panels"]
    assert [("closed", ["a", "b"]), ("open", []), ("c", None)] == [
        (each["title"], [inner["title"] for inner in each["panels"]] if "panels" in each else None) for each in rows
    ]
    assert ((0, 1, 8, 8), (0, 9, 24, 8), (0, 1, 24, 1)) == tuple(places(board)[title] for title in ("a", "b", "open"))


def test_ids_hold_whatever_is_inserted():
    """Links, annotations and screenshots name a panel by its id: it follows from uid, row and title alone."""
    before = board_of(Row("r"), stat("a"), stat("b"))
    after = board_of(stat("new"), Row("r"), stat("newer"), stat("b", 24, 3, "down"), stat("a"))
    kept = {placed.id for placed in before.placed()}
    assert kept == kept & {placed.id for placed in after.placed()}
    assert [2053885531, 2056341860, 1549248168] == [placed.id for placed in before.placed()]
    assert all(0 < placed.id < 2**31 for placed in after.placed())


def test_the_same_title_in_another_row_is_another_panel():
    """A row tells which of two panels of one name is meant."""
    ids = [placed.id for placed in board_of(Row("r"), stat("a"), Row("s"), stat("a")).placed()]
    assert len(ids) == len(set(ids))


def test_a_board_is_the_same_text_in_every_process():
    """Neither the order of sets nor the time of day is in it: regenerating changes no file."""
    script = "from every_panel import sample; print(sample().to_json(), end='')"
    texts = {
        subprocess.run(
            [sys.executable, "-c", script],
            env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": str(HERE)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert {sample().to_json()} == texts


def test_no_null_but_the_base_of_thresholds():
    """Grafana reads a null as a setting; the base of thresholds has to be one, for the text would stay green."""
    nulls = []

    def look(value, path):
        if isinstance(value, dict):
            for key, each in value.items():
                look(each, (*path, key))
        elif isinstance(value, list):
            for each in value:
                look(each, path)
        elif value is None:
            nulls.append(path[-2:])

    look(json.loads(sample().to_json()), ())
    assert {("steps", "value")} == set(nulls)


def test_data_sources_are_variables():
    """A board works in any Grafana: no data source of ours is named in it."""
    board = json.loads(sample().to_json())
    found = set()

    def look(value):
        if isinstance(value, dict):
            if isinstance(value.get("datasource"), dict):
                found.add((value["datasource"]["type"], value["datasource"]["uid"]))
            for each in value.values():
                look(each)
        elif isinstance(value, list):
            for each in value:
                look(each)

    look(board)
    ours = {(name, f"${{{name}}}") for name in ("prometheus", "tempo", "loki")}
    assert ours | {("datasource", "-- Mixed --"), ("grafana", "-- Grafana --")} == found
    variables = {each["name"]: each["query"] for each in board["templating"]["list"] if each["type"] == "datasource"}
    assert {"prometheus": "prometheus", "tempo": "tempo", "loki": "loki"} == variables


def test_queries_are_lettered():
    """Overrides, tables and alerts name a query by its letter."""
    queries = [PromQuery("a"), PromQuery("b"), PromQuery("c")]
    panel = json.loads(board_of(TimeSeries("t", "d", queries)).to_json())["panels"][0]
    assert [("A", "a"), ("B", "b"), ("C", "c")] == [(each["refId"], each["expr"]) for each in panel["targets"]]


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda: board_of(stat("a"), stat("a")), "titles within a row must differ: 'a' in ''; rename one"),
        (lambda: board_of(stat("a", 25)), "'a' must be 1 to 24 columns wide and at least 1 high: 25 by 8"),
        (lambda: board_of(stat("a", height=0)), "at least 1 high: 8 by 0"),
        (
            lambda: board_of(stat("a", expr='up{job="$job"}')),
            "must use variables of its board: $job; add it to variables",
        ),
        (lambda: board_of(stat("a", expr="up"), Row("r", repeat="peer")), "must use variables of its board: $peer"),
        (lambda: board_of(stat("a", expr="${pool:regex}")), "must use variables of its board: $pool"),
        (lambda: board_of(stat("a"), variables=()).to_json() and board_of(Stat("", "d", [PromQuery("up")])), "title"),
        (lambda: board_of(Stat("a", "", [PromQuery("up")])), "must have a description"),
        (lambda: board_of(Stat("a", "d", ())), "must ask for something"),
        (lambda: board_of(Stat("a", "d", [PromQuery("up")] * 27)), "must have at most 26 queries: 27"),
        (lambda: Board("u" * 41, "t", "d", ()), "a board's uid must have 1 to 40 characters"),
        (lambda: Board("a b", "t", "d", ()), "letters, digits, - and _: 'a b'"),
        (lambda: Board("u", "", "d", ()), "a board must have a title and a description"),
        (
            lambda: board_of(Stat("a", "d", [PromQuery("up")], thresholds=(Threshold(1, "red"),))).to_json(),
            "a: the first threshold must be the base: 1; put Threshold(None, colour) before it",
        ),
        (
            lambda: board_of(
                Stat("a", "d", [PromQuery("up")], thresholds=[Threshold(x, "red") for x in (None, 2, 1)])
            ).to_json(),
            "a: thresholds must ascend: [2, 1]; put them in order",
        ),
    ],
)
def test_a_board_that_cannot_be_drawn_is_refused(build, said):
    """The error names board or panel, the rule, the value and what to do."""
    with pytest.raises(BoardError) as caught:
        build()
    assert said in str(caught.value)


def test_variables_of_the_board_and_of_grafana_are_known():
    """Those that are declared, and all that begin with two underscores."""
    expr = 'a{e=~"$environment", p="${peer}"}[$__rate_interval] label_replace($1)'
    board = board_of(stat("a", expr=expr), variables=(ENVIRONMENT, Variable("peer", "Peer", "label_values(up, peer)")))
    assert ["prometheus", "tempo", "loki", "environment", "peer"] == [
        each["name"] for each in json.loads(board.to_json())["templating"]["list"]
    ]


def test_text_needs_neither_title_nor_description():
    """It speaks for itself; without a title it has no frame either."""
    panel = json.loads(board_of(Text("", "# Hello")).to_json())["panels"][0]
    assert ("# Hello", True) == (panel["options"]["content"], panel["transparent"])


def test_every_board_has_marks_and_the_menu():
    """Deployments, drills, firing alerts, what pipelines marked; all other boards, with time range and variables."""
    board = json.loads(board_of(stat("a")).to_json())
    assert ["Deployments", "Drills", "Alerts", "Marks"] == [each["name"] for each in board["annotations"]["list"]]
    menu = board["links"][0]
    assert ("dashboards", ["shopscope"], True, True) == tuple(
        menu[name] for name in ("type", "tags", "includeVars", "keepTime")
    )
