"""The generated tests, run by promtool, and the minutes at which alerts fire in them."""

import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from shopscope.config import load_shop, parse_shop
from shopscope_dashboards._recorded import LABELS
from shopscope_ops.engines.native import find_binary, provide
from shopscope_ops.slo import RULES, TESTS, files

ROOT = Path(__file__).parents[3]
SHOP = load_shop(ROOT / "shopscope.toml")
# Elsewhere one journey for each objective: the others differ from it in their names.
_FIRST = {(journey.objective, journey.window_seconds): name for name, journey in reversed(SHOP.journeys.items())}
JOURNEYS = sorted(SHOP.journeys) if os.environ.get("CI") == "true" else sorted(_FIRST.values())

_BY = "by (alertname, severity, window, reason)"
_FIRING = 'timestamp(ALERTS{alertstate="firing"})'
BEGIN = f"min {_BY} (min_over_time({_FIRING}[1d:15s])) / 60"
END = f"max {_BY} (max_over_time({_FIRING}[1d:15s])) / 60"
ALL = '{__name__=~"slo:.+|shopscope:.+|sloth.+", journey="checkout"}'

pytestmark = pytest.mark.timeout(900)  # half a minute of one core, and others may want it too


@pytest.fixture(scope="session")
def promtool():
    """Prometheus' own tool, or the test is skipped."""
    binary = find_binary("promtool")
    if binary is None and os.environ.get("CI") == "true":
        provide("prometheus")
        binary = find_binary("promtool")
    if binary is None:
        pytest.skip("promtool is neither on PATH nor in the cache: run make stack-binaries")

    def run(*arguments):
        done = subprocess.run([binary, *map(str, arguments)], capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    return run


def with_questions(path, scenarios, folder):
    """A copy that also asks of some scenarios when alerts fired first and last."""
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    document["rule_files"] = [str(ROOT / RULES)]
    for test in filter(lambda test: scenarios(test["name"]), document["tests"]):
        end = max((ask["eval_time"] for ask in test["promql_expr_test"]), key=seconds)
        test["promql_expr_test"] += [asked(test["name"], query, end) for query in (BEGIN, END)]
    copy = folder / path.name
    copy.write_text(yaml.safe_dump(document), encoding="utf-8")
    return copy


def asked(name, query, minute):
    """A question that promtool answers by failing; it does not say of which test, so that the answer has to."""
    return {"expr": f'label_replace({query}, "test", "{name}", "", "")', "eval_time": minute, "exp_samples": []}


def seconds(text):
    """Seconds of a time such as ``65m`` or ``90s``."""
    return int(text[:-1]) * {"s": 1, "m": 60}[text[-1]]


def samples(got):
    """Labels and value of each sample in what promtool prints."""
    for labels, value in re.findall(r"(\{[^}]*\}) ([-+\d.E]+)", got):
        yield dict(re.findall(r'(\w+)="([^"]*)"', labels)), float(value)


def failures(said):
    """What failed besides the questions, each with what was expected and what came."""
    parts = re.split(r"^\s+(?=expr: |alertname: )", said.partition("FAILED:")[2], flags=re.MULTILINE)[1:]
    return [part for part in parts if not part.startswith('expr: "label_replace(')]


def answers(said):
    """What promtool got, by name of the test and query."""
    found, query = {}, ""
    for line in said.splitlines():
        if match := re.match(r'\s+expr: "label_replace\((.+), \\"test\\", ', line):
            query = match[1].replace('\\"', '"')
        elif line.strip().startswith("got: "):
            for labels, value in samples(line):
                found.setdefault((labels.pop("test"), query), []).append((labels, value))
    return found


@pytest.mark.parametrize("journey", JOURNEYS)
def test_what_fires_and_when(promtool, firing_minutes, tmp_path, journey):
    """Every scenario as its file says; how promtool answers the questions on top is the table."""
    happening = (
        "total outage",
        "slow burn",
        "recovery",
        "an outage at night",
        "missing",
        "more good",
        "counts that run",
    )
    copy = with_questions(ROOT / TESTS / f"{journey}.yml", lambda name: name.startswith(happening), tmp_path)
    _, said = promtool("test", "rules", copy)
    assert [] == failures(said)
    found = answers(said)
    for name, query in found:
        ends = {tuple(sorted(labels.items())): minute for labels, minute in found[name, END]}
        for labels, minute in found[name, query] if query == BEGIN else ():
            end = ends[tuple(sorted(labels.items()))]
            firing_minutes.add(
                (
                    journey,
                    name.partition(":")[0],
                    labels["alertname"],
                    labels["severity"],
                    labels.get("window") or labels.get("reason", ""),
                    f"{minute:.2f}",
                    f"{end:.2f}",
                )
            )
    outage = next(name for name, _ in found if name.startswith("total outage"))
    pages = [minute for labels, minute in found[outage, BEGIN] if labels["severity"] == "page"]
    assert 65 >= min(pages)
    slow = next(name for name, _ in found if name.startswith("slow burn"))
    assert {"ticket"} == {labels["severity"] for labels, _ in found[slow, BEGIN]}


def test_thirty_days_are_what_the_counters_say(promtool):
    """A month of uneven traffic: the budget from recorded rates, against arithmetic."""
    code, said = promtool("test", "rules", ROOT / TESTS / "_window.yml")
    assert 0 == code, said


def test_series_have_the_labels_that_boards_expect(promtool, tmp_path):
    """Name by name, as promtool has evaluated them."""
    copy = with_questions(ROOT / TESTS / "checkout.yml", lambda _: False, tmp_path)
    document = yaml.safe_load(copy.read_text(encoding="utf-8"))
    (test,) = document["tests"] = [one for one in document["tests"] if one["name"].startswith("slow burn")]
    test["promql_expr_test"].append(asked(test["name"], ALL, "150m"))
    copy.write_text(yaml.safe_dump(document), encoding="utf-8")
    _, said = promtool("test", "rules", copy)
    series = [labels for labels, _ in answers(said)[test["name"], ALL]]
    expected = {name: {*labels} for name, labels in LABELS.items()}
    assert expected == {labels.pop("__name__"): {*labels} for labels in series}


@pytest.mark.parametrize(
    "journeys",
    [
        {"pay": {"objective": 0.9999, "window": "7d"}},
        {"browse": {"objective": 0.94, "owner": "a 'quoted' team"}, "strict": {"objective": 0.9995, "window": "28d"}},
    ],
    ids=["strict", "loose"],
)
def test_other_objectives(promtool, tmp_path, journeys):
    """The generated tests hold for objectives and windows that the demo shop does not have."""
    head = {"routes": [], "service": "storefront", "latency": "300ms"}
    shop = parse_shop({"journeys": {name: head | settings for name, settings in journeys.items()}})
    for path, text in files(shop).items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text, encoding="utf-8")
    code, said = promtool("check", "rules", "--lint=all", "--lint-fatal", tmp_path / RULES)
    assert 0 == code, said
    paths = [tmp_path / path for path in files(shop) if path.startswith(TESTS) and "_window" not in path]
    code, said = promtool("test", "rules", *paths)
    assert 0 == code, said


@pytest.mark.parametrize(
    ("scenario", "alert", "minute", "looks_back_minutes"),
    [
        ("total outage", "ShopscopeErrorBudgetBurn", "66m", {60, 360, 1440, 4320}),
        ("total outage", "ShopscopeJourneyOutage", "66m", {60}),
        ("missing telemetry", "ShopscopeJourneyAbsent", "70m", {60}),
        ("more good events", "ShopscopeJourneyImpossible", "30m", {60}),
        ("counts that run", "ShopscopeJourneyImpossible", "15m", {60}),
    ],
)
def test_every_text_and_link_is_whole(promtool, tmp_path, scenario, alert, minute, looks_back_minutes):
    """Templates expand, and links begin before the trouble; of the outage every letter is in the generated tests."""
    copy = with_questions(ROOT / TESTS / "checkout.yml", lambda _: False, tmp_path)
    document = yaml.safe_load(copy.read_text(encoding="utf-8"))
    (test,) = document["tests"] = [one for one in document["tests"] if one["name"].startswith(scenario)]
    test |= {"promql_expr_test": [], "alert_rule_test": [{"alertname": alert, "eval_time": minute, "exp_alerts": []}]}
    copy.write_text(yaml.safe_dump(document), encoding="utf-8")
    _, said = promtool("test", "rules", copy)
    texts = re.findall(r"Annotations:\{(.+)\}", said)
    assert len(looks_back_minutes) == len(texts)
    for text in texts:
        assert (0, 0, 0) == tuple(text.count(word) for word in ("error expanding", "no value", "{{"))
        assert 'journey_runbook="docs/runbooks/checkout.md"' in text
        assert "checkout" in re.search(r'summary="([^"]+)"', text)[1]
        assert "duration+%3E+800ms" in text
    begins = [int(millis) // 60_000 for text in texts for millis in re.findall(r"\?from=(-?\d+)&to=now", text)]
    assert len(looks_back_minutes) == len(begins)
    ends = zip(sorted(begins, reverse=True), sorted(looks_back_minutes), strict=True)
    assert [] == [(begin, back) for begin, back in ends if not 0 <= begin + back <= seconds(minute) // 60]
