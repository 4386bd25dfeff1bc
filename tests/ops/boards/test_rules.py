"""Rules in Grafana itself: written once, renewed when they differ, removed when they are no more."""

import re

import pytest
import yaml
from grafana_server import NEW, OLD, RULES, FakeGrafana, serving

from shopscope_ops.boards._rules import _seconds


@pytest.fixture
def grafana():
    return FakeGrafana(NEW)


def test_rules_are_written_once(run, url, grafana, team):
    """Every group as shopscope generate writes it, but for intervals; the second time nothing is."""
    code, _ = run("import", "--grafana", url, "--rules", "mimir")
    run("generate")
    text = (team / "stack/prometheus/rules/slo.yml").read_text(encoding="utf-8")
    wanted = {one["name"]: one for one in yaml.safe_load(text)["groups"]}
    there = grafana.rules["shopscope"]
    assert (0, {name: one["rules"] for name, one in wanted.items()}) == (
        code,
        {name: one["rules"] for name, one in there.items()},
    )
    assert [] == [
        name
        for name, one in there.items()
        if not 0 <= _seconds(one["interval"]) - _seconds(wanted[name]["interval"]) < 10
    ]
    grafana.writes.clear()
    code, output = run("import", "--grafana", url, "--rules", "mimir")
    assert (0, []) == (code, grafana.writes)
    assert len(grafana.rules["shopscope"]) == len(re.findall(r"^current +rules ", output, re.MULTILINE))


def test_groups_that_differ_or_are_gone(run, url, grafana):
    """One is renewed, one of ours that is no longer generated goes, one of others stays."""
    run("import", "--grafana", url, "--rules", "mimir")
    there = grafana.rules["shopscope"]
    before = dict(there)
    name = min(there)
    there[name] = there[name] | {"rules": there[name]["rules"][1:]}
    there["shopscope-slo-refund"] = {"name": "shopscope-slo-refund", "rules": []}
    there["theirs"] = {"name": "theirs", "rules": []}
    code, output = run("import", "--grafana", url, "--rules", "mimir", "--dry-run")
    assert (2, 1, 1) == (code, output.count("would update rules"), output.count("would remove rules"))
    assert "shopscope-slo-refund" in there
    grafana.writes.clear()
    assert 0 == run("import", "--grafana", url, "--rules", "mimir")[0]
    assert before | {"theirs": there["theirs"]} == grafana.rules["shopscope"]
    assert [("POST", RULES), ("DELETE", f"{RULES}/shopscope/shopscope-slo-refund")] == grafana.writes


def test_recording_rules_that_are_not_enabled(run, url, grafana):
    """Grafana's words; the boards are there all the same."""
    message = "Cannot import recording rules: Feature not enabled."
    grafana.answers["POST", RULES] = 400, {"message": message}
    code, output = run("import", "--grafana", url, "--rules", "mimir")
    assert (1, True, True) == (code, message in output, "shopscope-slo" in grafana.boards)


def test_a_data_source_that_is_not_there(run, url):
    """Same."""
    code, output = run("import", "--grafana", url, "--rules", "none")
    assert (1, True) == (code, "data source not found" in output)


def test_an_older_grafana_takes_none(run):
    """It says what to do instead."""
    grafana = FakeGrafana(OLD)
    with serving(grafana) as address:
        code, output = run("import", "--grafana", address, "--rules", "mimir")
    assert (1, True) == (
        code,
        "takes no rules of Prometheus, Grafana 12 does; give them to Prometheus itself" in output,
    )


@pytest.mark.parametrize(
    ("one", "other"), [("90s", "1m30s"), ("1d", "24h"), ("1w", "7d"), ("1500ms", "1s500ms"), (60_000_000_000, "1m")]
)
def test_durations_are_compared_by_their_length(one, other):
    """Grafana writes them in another form than we do."""
    assert _seconds(one) == _seconds(other) > 0
