"""The linter: nothing to say of our own boards, and each rule for panels and boards catches what it is for."""

import json
import re
import sys
from pathlib import Path

import pytest

from shopscope.config import load_shop
from shopscope_dashboards import Board, PromQuery, Row, Table, Threshold
from shopscope_dashboards._fields import Column
from shopscope_dashboards._links import REPOSITORY
from shopscope_dashboards._lint import UNSHOWN, Finding, lint
from shopscope_dashboards._lint._grafana import links_of, panels_of
from shopscope_dashboards.boards import all_boards

sys.path.insert(0, str(Path(__file__).parent))
from lint_boards import EVENTS, SLOW, broken, found, panels, put, sound

ROOT = Path(__file__).parents[2]


def test_our_boards_are_without_fault():
    """Every rule, every board, every metric of the SDK on one of them."""
    boards = [json.loads(board.to_json()) for board in all_boards(load_shop(ROOT / "shopscope.toml"))]
    assert [] == [str(finding) for finding in lint(boards)]


def test_boards_of_any_shop_are_without_fault(tmp_path):
    """Of a file with one journey, an odd currency, and a name with every character that names may have."""
    text = """
        [shop]
        currency = "XTS"

        [journeys.a-b_c9]
        routes = ["GET /a/{b}", "HEAD /a/{b}"]
        service = "s"
        objective = 0.9
        latency = "1.5s"
        window = "7d"
    """
    path = tmp_path / "shopscope.toml"
    path.write_text(text, encoding="utf-8")
    boards = [json.loads(board.to_json()) for board in all_boards(load_shop(path))]
    assert [] == [str(finding) for finding in lint(boards)]


def test_a_sound_board_has_no_fault():
    """What the broken ones below are made of."""
    assert set() == found(sound())


@pytest.mark.parametrize(
    ("rule", "path", "value"),
    [
        ("uid", "uid", "Has Spaces"),
        ("title", "title", " "),
        ("description", "description", ""),
        ("schema", "schemaVersion", 12),
        ("ids", "panels.1.id", 2**31),
        ("ids", "panels.1.id", "1"),
        ("grid", "panels.1.gridPos", {"x": 20, "y": 1, "w": 8, "h": 8}),
        ("grid", "panels.2.gridPos", {"x": 4, "y": 1, "w": 8, "h": 8}),
        ("grid", "panels.1.gridPos", {"x": 0, "y": 1, "w": 0, "h": 8}),
        ("data-source", "panels.1.targets.0.datasource", {"type": "prometheus", "uid": "PBFA97CFB590B2093"}),
        ("data-source", "panels.1.datasource", {"type": "prometheus", "uid": "${nowhere}"}),
        ("data-source", "panels.1.targets.0.datasource", {"type": "prometheus", "uid": "${loki}"}),
        ("data-source", "panels.1.datasource", None),
        ("variables", "templating.list", []),
        ("title", "panels.1.title", ""),
        ("description", "panels.1.description", "  "),
        ("links", "panels.1.fieldConfig.defaults.links", [{"title": "", "url": "/explore"}]),
        ("thresholds", "panels.1.fieldConfig.defaults.thresholds.steps", [{"color": "green", "value": "null"}]),
        ("thresholds", "panels.1.fieldConfig.defaults.thresholds.steps", [{"color": "green", "value": 0}]),
        ("queries", "panels.1.targets", []),
        ("ref-ids", "panels.1.targets.0.refId", ""),
        ("parse", "panels.1.targets.0.expr", " "),
        ("parse", "panels.1.targets.0.expr", "sum(rate("),
        ("exemplars", "panels.2.targets.0.exemplar", False),
        ("unit", "panels.1.fieldConfig.defaults.unit", ""),
        ("unit", "panels.1.fieldConfig.defaults.unit", "requests"),
    ],
)
def test_a_rule_catches_a_wrong_value(rule, path, value):
    """One value of the sound board is another."""
    assert rule in found(broken(put(path, value)))


def test_thresholds_must_ascend():
    """Grafana takes them as they come, and colours wrongly."""
    steps = [{"color": "green", "value": None}, {"color": "red", "value": 2}, {"color": "orange", "value": 1}]
    assert {"thresholds"} == found(broken(put("panels.1.fieldConfig.defaults.thresholds.steps", steps)))


def test_thresholds_of_a_column_are_looked_at_too():
    """They stand among the overrides."""
    query = PromQuery(EVENTS, instant=True, format="table")
    column = Column("A", "Events", unit="reqps", thresholds=[Threshold(None, "green"), Threshold(1, "red")])
    table = Table("T", "What.", [query], columns=[Column("outcome"), column], links=(SLOW,))
    board = json.loads(Board("b", "B", "What.", [table]).to_json())
    assert set() == found(board)
    override = board["panels"][0]["fieldConfig"]["overrides"][1]
    next(each for each in override["properties"] if each["id"] == "thresholds")["value"]["steps"][0]["value"] = "null"
    assert {"thresholds"} == found(board)


def test_a_panel_must_lead_on():
    """Without any link."""

    def change(board):
        board["panels"][1]["links"] = []
        board["panels"][1]["fieldConfig"]["defaults"]["links"] = []

    assert {"links"} == found(broken(change))


@pytest.mark.parametrize(
    "url",
    [
        "/d/nowhere?${__url_time_range}&${environment:queryparam}",
        "/d/shopscope-x?${environment:queryparam}",
        "/d/shopscope-x?${__url_time_range}",
    ],
    ids=["no such board", "the time range is lost", "the environment is lost"],
)
def test_a_link_to_a_board_finds_it_and_keeps_time_and_environment(url):
    """Who follows a link in an incident must not choose both anew."""
    link = [{"title": "There", "url": url}]
    assert {"links"} == found(broken(put("panels.1.fieldConfig.defaults.links", link)))
    whole = [{"title": "There", "url": "/d/shopscope-x?${__url_time_range}&${environment:queryparam}"}]
    assert set() == found(broken(put("panels.1.fieldConfig.defaults.links", whole)))


def test_ids_must_not_count_panels():
    """The auto_panel_ids of grafanalib would: a panel inserted at the top would move every link to a panel."""

    def change(board):
        for number, panel in enumerate(board["panels"], 1):
            panel["id"] = number

    assert {"ids"} == found(broken(change))


def test_ids_must_differ():
    """Two panels of one id are one panel to Grafana."""

    def change(board):
        board["panels"][1]["id"] = board["panels"][2]["id"]

    assert {"ids"} == found(broken(change))


def test_a_board_must_have_its_uid_alone():
    """The second would replace the first."""
    assert {"uid"} == found(sound(), sound())


def test_panels_of_a_collapsed_row_are_looked_at_too():
    """Nobody sees their faults until the row is opened."""
    board = json.loads(Board("b", "B", "What.", [Row("Closed", collapsed=True), *list(panels())[1:]]).to_json())
    assert set() == found(board)
    inner = board["panels"][0]["panels"][0]
    inner["description"] = ""
    inner["targets"][0]["expr"] = "sum by (outcome) (shopscope_slo_events_total)"
    assert {"description", "rate", "environment", "unit"} == found(board)


def test_a_variable_must_change_something():
    """One that no query has makes people wait for a board that never changes."""
    board = sound()
    board["templating"]["list"].append({"name": "idle", "type": "custom", "query": "a,b"})
    assert {"variables"} == found(board)


def test_metrics_that_nobody_sees_are_found():
    """All but the two on the board, and none that is excused."""
    excused = {"shopscope_orders": "a reason"}
    orphans = [finding.place for finding in lint([sound()], excused)]
    assert "shopscope_guard_info" in orphans
    assert not {"shopscope_slo_events", "shopscope_journey_duration_seconds", "shopscope_orders"} & set(orphans)


def test_an_excuse_for_a_metric_that_is_on_a_board_is_found():
    """The list of exceptions does not outlive its reasons."""
    stale = [finding for finding in lint([sound()], {"shopscope_slo_events": "a reason"}) if "list" in finding.message]
    assert ["shopscope_slo_events"] == [finding.place for finding in stale]


def test_every_excuse_has_a_reason():
    """Of the list that we use."""
    assert [] == [name for name, reason in UNSHOWN.items() if not reason]


def test_a_finding_says_where_and_what():
    """In one line."""
    assert "b · P: it is wrong (rule)" == str(Finding("b", "P", "rule", "it is wrong"))
    assert "boards: it is wrong (rule)" == str(Finding("", "", "rule", "it is wrong"))


def test_links_into_the_repository_find_their_file_and_section():
    """Runbooks are opened at night."""
    boards = [json.loads(board.to_json()) for board in all_boards(load_shop(ROOT / "shopscope.toml"))]
    links = [*(link for board in boards for link in board["links"])]
    links += [link for board in boards for panel in panels_of(board) for link in links_of(panel)]
    places = {link["url"].removeprefix(f"{REPOSITORY}/") for link in links if link["url"].startswith(REPOSITORY)}
    assert places
    assert [] == [place for place in sorted(places) if not is_there(*place.partition("#")[::2])]


def is_there(path, section):
    """Whether a file is in the repository, and a section of that name in it."""
    if not (ROOT / path).is_file():
        return False
    heads = re.findall(r"(?m)^#+ (.+)$", (ROOT / path).read_text(encoding="utf-8"))
    return not section or section in {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}
