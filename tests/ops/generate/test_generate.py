"""``shopscope generate`` and ``check``: whole files or none, nothing of others removed, every fault at once."""

import json
import os
import re
import shutil
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner

from shopscope import ConfigError
from shopscope.config import Shop, load_shop
from shopscope_ops.cli import app
from shopscope_ops.generate import BOARDS, RULES, plan, write

ROOT = Path(__file__).parents[3]
JOURNEY = (
    '[journeys.{name}]\nroutes = ["POST /{name}"]\nservice = "web"\nobjective = {objective}\nlatency = "{latency}"\n'
)
TESTS = "stack/prometheus/tests"


def journey(name, objective=0.99, latency="1s"):
    return JOURNEY.format(name=name, objective=objective, latency=latency)


@pytest.fixture
def team(tmp_path):
    """A team's own repository: a shopscope.toml of two journeys, and boards and rules that are not ours."""
    (tmp_path / "shopscope.toml").write_text(journey("pay") + journey("browse"), encoding="utf-8")
    boards, rules = tmp_path / BOARDS, tmp_path / RULES
    for folder in (boards, rules):
        folder.mkdir(parents=True)
    (boards / "shopscope-theirs.json").write_text('{"uid": "theirs", "tags": []}', encoding="utf-8")
    (boards / "shopscope-half.json").write_text('{"uid": "shopsc', encoding="utf-8")
    (rules / "theirs.yml").write_text("groups: []\n", encoding="utf-8")
    return tmp_path


def run(folder, *arguments):
    """Exit code and what was printed."""
    result = CliRunner().invoke(app, [arguments[0], "--config", str(folder / "shopscope.toml"), *arguments[1:]])
    return result.exit_code, result.output


def files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_everything_is_written_once(team):
    """Rules, a test and a board for each journey; the second run finds nothing to do."""
    code, output = run(team, "generate")
    written = {line.removeprefix(f"wrote {team}/") for line in output.splitlines()}
    assert 0 == code
    wanted = {f"{RULES}/slo.yml", *(f"{TESTS}/{name}.yml" for name in ("pay", "browse"))}
    wanted |= {f"{BOARDS}/shopscope-journey-{name}.json" for name in ("pay", "browse")}
    assert set() == wanted - written
    assert (0, "everything is as it has to be\n") == run(team, "generate")


def test_two_runs_give_the_same_bytes(team, tmp_path_factory):
    """On another day, in another folder."""
    other = tmp_path_factory.mktemp("other")
    shutil.copy(team / "shopscope.toml", other)
    run(team, "generate")
    run(other, "generate")
    written = files(other)
    assert written == {name: text for name, text in files(team).items() if name in written}


def test_another_folder(team):
    """Files may go elsewhere; what the team has beside its shopscope.toml stays as it is."""
    before = files(team)
    assert 0 == run(team, "generate", "--into", str(team / "made"))[0]
    assert (team / "made" / RULES / "slo.yml").is_file()
    assert before == {name: text for name, text in files(team).items() if not name.startswith("made/")}


def test_a_journey_that_is_gone(team):
    """Its board and its tests go; files of others stay, whatever they are called."""
    run(team, "generate")
    (team / "shopscope.toml").write_text(journey("browse"), encoding="utf-8")
    code, output = run(team, "generate")
    removed = {line.removeprefix(f"removed {team}/") for line in output.splitlines() if line.startswith("removed")}
    assert (0, {f"{BOARDS}/shopscope-journey-pay.json", f"{TESTS}/pay.yml"}) == (code, removed)
    left = {path.name for folder in (BOARDS, RULES, TESTS) for path in (team / folder).iterdir()}
    assert {"shopscope-theirs.json", "shopscope-half.json", "theirs.yml", "browse.yml"} <= left
    assert set() == left & {"pay.yml", "shopscope-journey-pay.json"}


def test_a_disk_that_takes_no_more(team, monkeypatch):
    """Files are as before: none is half written, and nothing lies about."""
    run(team, "generate")
    before = files(team)
    (team / "shopscope.toml").write_text(journey("pay", 0.95) + journey("browse", 0.95), encoding="utf-8")
    before["shopscope.toml"] = (team / "shopscope.toml").read_bytes()
    real, room = os.fsync, [2]

    def full(descriptor):
        room[0] -= 1
        if room[0] < 0:
            raise OSError(28, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    code, output = run(team, "generate")
    assert (1, True) == (code, "No space left on device" in output)
    assert before == files(team)


def test_modes_are_kept(team):
    """A file that its group may write stays so."""
    run(team, "generate")
    path = team / RULES / "slo.yml"
    path.chmod(0o664)
    path.write_text("", encoding="utf-8")
    assert (0, f"wrote {path}\n") == run(team, "generate")
    assert 0o664 == stat.S_IMODE(path.stat().st_mode)


def test_the_collectors_parts(team):
    """Where there is a collector they are written; where one is named there must be one."""
    shutil.copytree(ROOT / "collector", team / "collector")
    run(team, "generate")
    sample = (team / "collector/gateway-sample.yaml").read_text(encoding="utf-8")
    assert (2, 0) == (sample.count("> 1000000000 "), sample.count("> 800000000 "))
    code, output = run(team, "generate", "--collector", str(team / "nowhere"))
    assert (1, True) == (code, "nowhere/agent.yaml" in output)


def test_links_of_alerts(team):
    """They lead to the team's own Grafana."""
    text = f'[shop]\ngrafana = "https://grafana.example.com"\n{journey("pay")}'
    (team / "shopscope.toml").write_text(text, encoding="utf-8")
    run(team, "generate")
    text = (team / RULES / "slo.yml").read_text(encoding="utf-8")
    assert (True, False) == ("https://grafana.example.com/" in text, "127.0.0.1:3000" in text)


def test_this_repository_is_as_generated():
    """``make generate`` would change nothing."""
    shop = load_shop(ROOT / "shopscope.toml")
    assert () == tuple(f"{change.kind} {change.path}" for change in plan(shop, ROOT).changes())


def test_a_shop_without_journeys(tmp_path):
    """There is nothing to derive, and an empty file of rules would look as if all were well."""
    with pytest.raises(ConfigError, match=r"journeys must have one at least: none; write for example \[journeys"):
        plan(Shop(), tmp_path)


def test_check_says_what_would_change(team):
    """New, changed and stale files, with lines; nothing is written, and 2 is for scripts."""
    run(team, "generate")
    text = journey("browse") + journey("refund")
    (team / "shopscope.toml").write_text(text, encoding="utf-8")
    before = files(team)
    code, output = run(team, "check")
    kinds = dict(re.findall(rf"^(?:new|changed|stale) +{team}/(\S+)  (\+\d+ -\d+) lines$", output, re.MULTILINE))
    assert (2, before) == (code, files(team))
    assert {
        f"{BOARDS}/shopscope-journey-refund.json",
        f"{BOARDS}/shopscope-journey-pay.json",
        f"{RULES}/slo.yml",
    } <= set(kinds)
    assert kinds[f"{BOARDS}/shopscope-journey-refund.json"].endswith(" -0")
    assert kinds[f"{BOARDS}/shopscope-journey-pay.json"].startswith("+0 ")
    assert output.endswith(f"sound; shopscope generate would change {len(kinds)} files\n")


def test_check_of_what_is_current(team):
    """0, in both forms."""
    run(team, "generate")
    assert 0 == run(team, "check")[0]
    code, output = run(team, "check", "--json")
    document = json.loads(output)
    assert (0, [], [], 0) == (code, document["faults"], document["changes"], document["exit_code"])


def test_check_shows_lines(team):
    """Of what would change."""
    run(team, "generate")
    path = team / RULES / "slo.yml"
    path.write_text(path.read_text(encoding="utf-8") + "# by hand\n", encoding="utf-8")
    code, output = run(team, "check", "--diff")
    assert (2, True) == (code, "-# by hand" in output.splitlines())
    (change,) = json.loads(run(team, "check", "--diff", "--json")[1])["changes"]
    assert (str(path), "changed", True) == (change["path"], change["kind"], "-# by hand" in change["diff"])


def test_check_lists_every_fault_at_once(team):
    """Wrong fields of one journey do not hide another's impossible objective, nor a runbook that is not there."""
    text = journey("pay", 2, "soon") + journey("slack", 0.5) + journey("browse") + 'runbook = "docs/none.md"\n'
    (team / "shopscope.toml").write_text(text, encoding="utf-8")
    code, output = run(team, "check", "--json")
    faults = json.loads(output)["faults"]
    found = [re.search(r"journeys\.(\w+\.\w+) ", fault)[1] for fault in faults]
    assert (1, ["browse.runbook", "pay.latency", "pay.objective", "slack.objective"]) == (code, sorted(found))
    assert all("; " in fault and " must be " in fault for fault in faults)
    code, output = run(team, "check")
    assert (1, 4) == (code, output.count("fault    "))


def test_check_of_a_file_that_is_none(tmp_path):
    """No TOML, and no file."""
    (tmp_path / "shopscope.toml").write_text("[journeys", encoding="utf-8")
    code, output = run(tmp_path, "check")
    assert (1, True) == (code, "must be a readable TOML file" in output)
    code, output = run(tmp_path / "none", "check", "--json")
    assert (1, 1) == (code, len(json.loads(output)["faults"]))


def test_faults_stop_generate(team):
    """Nothing is written for a file with a fault."""
    before = files(team) | {"shopscope.toml": journey("slack", 0.5).encode()}
    (team / "shopscope.toml").write_bytes(before["shopscope.toml"])
    code, output = run(team, "generate")
    assert (1, before) == (code, files(team))
    assert "journeys.slack.objective" in output


def test_nothing_is_removed_before_all_is_written(team):
    """``write`` gives what it did."""
    made = plan(load_shop(team / "shopscope.toml"), team)
    assert {"new"} == {change.kind for change in write(made)}
    assert () == write(made)
