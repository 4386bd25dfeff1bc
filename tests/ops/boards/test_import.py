"""``shopscope import``: idempotent, and never over what somebody changed by hand."""

import json
import re

import pytest

BOARD = "shopscope-journey-pay"
INTERFACES = {
    "11.6.0": "/api/dashboards",
    "12.0.1": "/apis/dashboard.grafana.app/v1beta1",
    "13.2.0": "/apis/dashboard.grafana.app/v1",
}


def faster(team):
    """The journey's threshold changes, and with it the boards that show it."""
    path = team / "shopscope.toml"
    path.write_text(path.read_text(encoding="utf-8").replace('"1s"', '"750ms"'), encoding="utf-8")


def actions(output):
    """What was done, by name."""
    return {
        name: action.strip() for action, name in re.findall(r"^([a-z]+(?: [a-z]+)?) +([^:\n]+)", output, re.MULTILINE)
    }


def test_the_first_import(run, url, grafana):
    """Makes the folder and every board in it, and says by which interface."""
    code, output = run("import", "--grafana", url)
    assert 0 == code
    assert output.startswith(f"Grafana {grafana.version} ({INTERFACES[grafana.version]})\n")
    assert {"shopscope": "shopscope"} == grafana.folders
    assert {BOARD, "shopscope-slo"} <= set(grafana.boards)
    assert {("shopscope", 1)} == {(board["folder"], board["generation"]) for board in grafana.boards.values()}
    assert {"created"} == set(actions(output.partition("\n")[2]).values())
    assert re.fullmatch(r"shopscope import \d\S*", grafana.boards[BOARD]["message"])


def test_doing_it_again_changes_nothing(run, url, grafana):
    """Not one request that writes."""
    run("import", "--grafana", url)
    grafana.writes.clear()
    code, output = run("import", "--grafana", url)
    assert (0, [], {"current"}) == (code, grafana.writes, set(actions(output.partition("\n")[2]).values()))


def test_what_changed_is_updated(run, url, grafana, team):
    """And nothing else; the second time there is nothing to update."""
    run("import", "--grafana", url)
    faster(team)
    code, output = run("import", "--grafana", url)
    done = actions(output)
    assert (0, "updated", 2) == (code, done[BOARD], grafana.boards[BOARD]["generation"])
    assert 0 == run("import", "--grafana", url, "--dry-run")[0]


def test_a_dry_run(run, url, grafana, team):
    """Writes nothing, says what would be created, shows what would change line by line, and ends with 2."""
    code, output = run("import", "--grafana", url, "--dry-run")
    assert (2, {}, {}, []) == (code, grafana.boards, grafana.folders, grafana.writes)
    assert {"would create"} == set(actions(output.partition("\n")[2]).values())
    run("import", "--grafana", url)
    faster(team)
    grafana.writes.clear()
    code, output = run("import", "--grafana", url, "--dry-run")
    assert (2, "would update", []) == (code, actions(output)[BOARD], grafana.writes)
    assert f"--- {BOARD} (Grafana)\n+++ {BOARD} (generated)\n" in output
    assert "shopscope_import" not in output


def test_a_change_by_hand_is_left(run, url, grafana, team):
    """With and without a newer board of ours; --dry-run shows it, --force overwrites it, and then it is ours again."""
    run("import", "--grafana", url)
    grafana.edit(BOARD, description="Ours. Do not touch!")
    for change in (lambda _: None, faster):
        change(team)
        code, output = run("import", "--grafana", url)
        assert (2, "left") == (code, actions(output)[BOARD])
        assert "somebody changed it in Grafana" in output
        assert "Ours. Do not touch!" == grafana.boards[BOARD]["spec"]["description"]
    code, output = run("import", "--grafana", url, "--dry-run")
    assert (2, True) == (code, '-  "description": "Ours. Do not touch!",' in output.splitlines())
    code, output = run("import", "--grafana", url, "--force")
    assert (0, "updated") == (code, actions(output)[BOARD])
    assert "Ours. Do not touch!" != grafana.boards[BOARD]["spec"]["description"]
    assert 0 == run("import", "--grafana", url, "--dry-run")[0]


def test_a_newer_schema_is_no_change_by_hand(run, url, grafana, team):
    """A newer Grafana shows boards with fields of its own; nobody has saved them."""
    run("import", "--grafana", url)
    grafana.shown = lambda spec: spec | {"schemaVersion": 99, "preload": False}
    assert 0 == run("import", "--grafana", url)[0]
    faster(team)
    assert "updated" == actions(run("import", "--grafana", url)[1])[BOARD]


def test_a_version_without_a_change_is_no_change_by_hand(run, url, grafana):
    """Somebody pressed Save, or restored our version: the board is as we wrote it."""
    run("import", "--grafana", url)
    grafana.edit(BOARD)
    assert (0, 2) == (run("import", "--grafana", url)[0], grafana.boards[BOARD]["generation"])


def test_a_board_that_is_not_ours(run, url, grafana):
    """Somebody else has the uid."""
    spec = {"title": "Theirs", "panels": [], "templating": None}
    grafana.boards[BOARD] = {"spec": spec, "generation": 4, "folder": "", "manager": "", "message": ""}
    code, output = run("import", "--grafana", url)
    assert (2, "left", "Theirs") == (code, actions(output)[BOARD], grafana.boards[BOARD]["spec"]["title"])
    assert "did not write" in output
    assert 0 == run("import", "--grafana", url, "--force")[0]
    assert ("Theirs", 5) != (grafana.boards[BOARD]["spec"]["title"], grafana.boards[BOARD]["generation"])


def test_a_board_that_is_provisioned(run, url, grafana):
    """Grafana would not let us; we do not even try with --force, and say from where it has it."""
    run("import", "--grafana", url)
    grafana.boards[BOARD]["manager"] = "teams/pay.json"
    grafana.writes.clear()
    code, output = run("import", "--grafana", url, "--force")
    assert (2, "left", []) == (code, actions(output)[BOARD], grafana.writes)
    assert "teams/pay.json); change it there" in output


def test_a_board_that_was_moved(run, url, grafana, team):
    """It stays in the folder where somebody wants it, and is updated there."""
    run("import", "--grafana", url)
    grafana.folders["theirs"] = "Team pay"
    grafana.boards[BOARD]["folder"] = "theirs"
    faster(team)
    assert 0 == run("import", "--grafana", url)[0]
    assert ("theirs", 2) == (grafana.boards[BOARD]["folder"], grafana.boards[BOARD]["generation"])


def test_somebody_saves_at_the_same_moment(run, url, grafana, team):
    """Their version stays, the next board is written all the same, and the exit code says it."""
    run("import", "--grafana", url)
    faster(team)
    grafana.before_write = lambda: grafana.boards[BOARD]["generation"] == 1 and grafana.edit(BOARD, title="Mine")
    code, output = run("import", "--grafana", url)
    assert (1, "failed", "Mine") == (code, actions(output)[BOARD], grafana.boards[BOARD]["spec"]["title"])
    assert "changed at the same moment: run the command again" in output
    assert {"updated", "current"} & set(actions(output).values())
    code, output = run("import", "--grafana", url)
    assert (2, "left") == (code, actions(output)[BOARD])


def test_a_folder_of_ones_own(run, url, grafana):
    """By uid and title."""
    run("import", "--grafana", url, "--folder", "pay-obs", "--folder-title", "Payments: observability")
    assert {"pay-obs": "Payments: observability"} == grafana.folders
    assert {"pay-obs"} == {board["folder"] for board in grafana.boards.values()}


def test_json(run, url, grafana):
    """One document for scripts."""
    code, output = run("import", "--grafana", url, "--json")
    document = json.loads(output.partition("\n")[2])
    assert (0, {"created"}) == (code, {entry["action"] for entry in document})
    assert {"folder shopscope", *grafana.boards} == {entry["name"] for entry in document}


@pytest.mark.parametrize("namespace", ["org-2", "stacks-123"])
def test_another_organisation(run, url, grafana, namespace):
    """The newer interface has its name in every path; Grafana tells it."""
    grafana.namespace = namespace
    assert (0, True) == (run("import", "--grafana", url)[0], BOARD in grafana.boards)
