"""Rules and their tests are what the code and shopscope.toml say; objectives that cannot work are refused."""

from pathlib import Path

import pytest
import yaml

from shopscope import ConfigError
from shopscope.config import load_shop, parse_shop
from shopscope_dashboards._recorded import LABELS, RECORDED
from shopscope_ops.slo import RULES, TESTS, faults, files

ROOT = Path(__file__).parents[3]
SHOP = load_shop(ROOT / "shopscope.toml")


def shop_of(**journeys):
    """A shop of journeys with these settings."""
    head = {"routes": [], "service": "storefront", "objective": 0.99, "latency": "300ms"}
    return parse_shop({"journeys": {name: head | settings for name, settings in journeys.items()}})


def rules(shop, **options):
    """Every rule, with its group."""
    groups = yaml.safe_load(files(shop, **options)[RULES])["groups"]
    return [(group["name"], rule) for group in groups for rule in group["rules"]]


def expressions(shop, record):
    """Expressions of a recorded series."""
    return [rule["expr"] for _, rule in rules(shop) if rule.get("record") == record]


def test_files_are_as_generated():
    """There is nothing to generate anew, and no test of a journey that is no more."""
    expected = files(SHOP)
    assert {*expected} == {RULES, *(f"{TESTS}/{path.name}" for path in (ROOT / TESTS).iterdir())}
    assert expected == {path: (ROOT / path).read_text(encoding="utf-8") for path in expected}


def test_the_same_text_on_every_run():
    """Whatever the order in which sets and maps have their members."""
    assert files(SHOP) == files(load_shop(ROOT / "shopscope.toml"))


def test_rules_record_what_boards_ask_for():
    """The table that boards are built against, both ways."""
    assert {*RECORDED} == {rule["record"] for _, rule in rules(SHOP) if "record" in rule}
    assert {*LABELS} == {*RECORDED}


def test_a_shop_without_journeys_has_no_rules():
    """Nothing to watch, nothing to write."""
    assert {} == files(shop_of())


def test_each_journey_has_its_tests():
    """A file each, and one for the month, whose arithmetic is the same for all."""
    expected = [RULES, f"{TESTS}/cart.yml", f"{TESTS}/search.yml", f"{TESTS}/_window.yml"]
    assert expected == [*files(shop_of(cart={}, search={}))]


def test_another_windows_budget():
    """A journey with seven days is judged by seven days, one with thirty by thirty; both have both kinds of alerts."""
    shop = shop_of(cart={"window": "7d"}, search={})
    assert ["60 * sum_over_time(shopscope:slo_events:rate1h[7d])"] == expressions(
        shop, "shopscope:slo_events:increase7d"
    )
    (burnt,) = expressions(shop, "slo:period_burn_rate:ratio")
    assert ['ratio_rate30d) / on (journey) group_left () shopscope:journey_budget:ratio{window="30d"}'] == [
        part.partition("sli_error:")[2] for part in burnt.splitlines()[:1]
    ]
    assert 'ratio_rate7d) / on (journey) group_left () shopscope:journey_budget:ratio{window="7d"}' in burnt
    (days,) = expressions(shop, "slo:time_period:days")
    assert (1, 1) == (days.count('30 * (shopscope:journey_budget:ratio{window="30d"}'), days.count("7 * ("))


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (
            {"objective": 0.9},
            "journeys.cart.objective must be above 0.9306: 0.9; its alert fires at 14.4 times the budget",
        ),
        ({"objective": 0.9305}, "journeys.cart.objective must be above 0.9306: 0.9305; "),
        (
            {"objective": 0.9999999},
            "journeys.cart.objective must leave a budget of at least 1e-06: 0.9999999; 1 - 0.9999999 = 1e-07, ",
        ),
        ({"window": "3d"}, "journeys.cart.window must be whole days, 7d to 35d: '3d'; "),
        ({"window": "90d"}, "journeys.cart.window must be whole days, 7d to 35d: '90d'; "),
        ({"window": "180h"}, "journeys.cart.window must be whole days, 7d to 35d: '7.5d'; "),
    ],
)
def test_what_cannot_work_is_refused(settings, expected):
    """Field, rule, value, arithmetic, fix."""
    (fault,) = faults(shop_of(cart=settings))
    assert fault.endswith(("raise the objective", "lower the objective", "write for example '30d'"))
    assert f"shopscope.toml: {expected}" == fault[: len(f"shopscope.toml: {expected}")]


def test_every_fault_at_once():
    """Of every journey, and nothing is written."""
    with pytest.raises(ConfigError) as refused:
        files(shop_of(cart={"objective": 0.5, "window": "1d"}, refund={"objective": 0.6}, search={}))
    assert 3 == len(refused.value.problems)


@pytest.mark.parametrize("objective", [0.9306, 0.95, 0.995, 0.9999, 0.999999])
def test_what_can_work_is_not_refused(objective):
    """From the loosest to the strictest."""
    assert [] == faults(shop_of(cart={"objective": objective}))


def test_a_budget_is_a_decimal_fraction():
    """1 - 0.995 is no 0.005 in binary, but is one to people."""
    shop = shop_of(cart={"objective": 0.995}, pay={"objective": 0.9999}, search={"objective": 0.97})
    expected = ["vector(0.005)", "vector(0.0001)", "vector(0.03)"]
    assert expected == expressions(shop, "shopscope:journey_budget:ratio")


def test_texts_of_the_file_stay_texts():
    """Owners and addresses with characters that YAML reads otherwise, and no owner at all."""
    strange = {"owner": "team: 'shop' #1", "runbook": "https://wiki.example/a?b=1#c", "service": "yes"}
    shop = shop_of(cart=strange, search={"owner": "line\nbreak", "latency": "1.5s"})
    first, second = (
        rule["labels"] for _, rule in rules(shop) if rule.get("record") == "shopscope:journey_budget:ratio"
    )
    assert ("team: 'shop' #1", "https://wiki.example/a?b=1#c", "yes", "300ms") == tuple(
        first[name] for name in ("owner", "runbook", "sloth_service", "latency")
    )
    assert ("line\nbreak", "1500ms", False) == (second["owner"], second["latency"], "runbook" in second)


def test_links_lead_to_the_teams_grafana():
    """With or without a slash at the end of its address."""
    alerts = [rule for _, rule in rules(SHOP, grafana="https://grafana.example/") if "alert" in rule]
    links = [alert["annotations"][name] for alert in alerts for name in ("dashboard_url", "trace_url")]
    assert {True} == {link.count("https://grafana.example/") == 1 for link in links}
    assert [] == [link for link in links if "127.0.0.1" in link or "example//" in link]


def test_every_alert_says_who_what_and_where():
    """Labels that routing goes by, and annotations for people."""
    for _, rule in rules(SHOP):
        if "alert" in rule:
            assert rule["labels"]["severity"] in {"page", "ticket"}
            assert {"summary", "description", "runbook_url", "journey_runbook", "dashboard_url", "trace_url"} == {
                *rule["annotations"]
            }


def test_tests_are_not_mounted_as_rules():
    """Prometheus is given the folder of rules, and the tests are elsewhere."""
    components = (ROOT / "stack/components.toml").read_text(encoding="utf-8")
    assert '"stack/prometheus/rules"' in components
    assert (False, False) == (TESTS in components, TESTS.startswith("stack/prometheus/rules"))
