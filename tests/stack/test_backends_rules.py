"""The stack's configuration and rules, judged by the components' own tools."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from shopscope_ops.engines.native import find_binary

ROOT = Path(__file__).parents[2]
RULES = sorted((ROOT / "stack/prometheus/rules").glob("*.yml"))
TESTS = sorted((ROOT / "tests/stack/rules").glob("*.test.yml"))
# Those of journeys are generated, with their rules; tests/ops/slo runs them.
GENERATED = sorted((ROOT / "stack/prometheus/tests").glob("*.yml"))
RUNBOOKS = ROOT / "docs/runbooks"
HOME = "https://github.com/shopscope/shopscope/blob/main/"
COMPONENTS = {"collector", "prometheus", "alertmanager", "services", "{{ $labels.job }}"}


def alerts():
    """Every alert of the stack's rules."""
    groups = [group for path in RULES for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]]
    return [rule for group in groups for rule in group["rules"] if "alert" in rule]


def run(program, *arguments):
    """What one of the components' own tools says: exit code and text."""
    binary = find_binary(program)
    if binary is None:
        pytest.skip(f"{program} is neither on PATH nor in the cache: run make stack-binaries")
    done = subprocess.run([binary, *map(str, arguments)], capture_output=True, text=True, check=False, cwd=ROOT)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.name)
def test_alerts_fire_when_they_should(binaries, path):
    """Promtool's own tests: each alert fires, with its texts, and a healthy stack is silent."""
    del binaries
    code, said = run("promtool", "test", "rules", path)
    assert 0 == code, said


@pytest.mark.parametrize(
    "arguments",
    [
        ("promtool", "check", "rules", "--lint=all", "--lint-fatal", *RULES),
        ("promtool", "check", "config", "--syntax-only", "--lint=none", "stack/prometheus/prometheus.yml"),
        ("amtool", "check-config", "stack/alertmanager/alertmanager.yml"),
    ],
    ids=lambda arguments: " ".join(map(str, arguments[:3])),
)
def test_the_components_tools_find_no_fault(binaries, arguments):
    """What a user is told to run before a reload."""
    del binaries
    code, said = run(*arguments)
    assert 0 == code, said


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert["alert"])
def test_an_alert_says_what_how_bad_and_what_to_do(alert):
    """Labels that routing goes by, texts for people, and a section of the runbook that there is."""
    assert alert["labels"]["severity"] in {"page", "ticket", "none"}
    of_journey = {"journey_runbook", "dashboard_url", "trace_url"}
    assert ("component" in alert["labels"]) != (of_journey <= set(alert["annotations"]))
    assert alert["labels"].get("component", "collector") in COMPONENTS
    assert {"summary", "description", "runbook_url"} == set(alert["annotations"]) - of_journey
    page, _, anchor = alert["annotations"]["runbook_url"].removeprefix(HOME).partition("#")
    headings = re.findall(r"^## (.+)$", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE)
    assert anchor in {heading.lower().replace(" ", "-") for heading in headings}


def test_every_alert_fires_in_a_test():
    """An expression with a wrong name would never fire, and nobody would know."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in [*TESTS, *GENERATED])
    silent = {rule["alert"] for rule in alerts() if not re.search(rf"\b{rule['alert']}\b", _spelled_out(text))}
    assert set() == silent


def _spelled_out(text):
    """The names that ``ShopscopeCollector(Refuses|QueueFull)`` stands for, behind the text."""
    groups = re.findall(r"(\w+)\(([\w|]+)\)", text)
    return text + "".join(f" {head}{tail}" for head, tails in groups for tail in tails.split("|"))
