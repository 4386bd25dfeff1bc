"""Marks of deployments, drills and alerts: where they begin and end, judged by Prometheus itself."""

import re
import subprocess

import pytest
import yaml

from shopscope_dashboards._annotations import ALERTS, DEPLOYMENTS, DRILLS, alerts_annotation
from shopscope_ops.engines.native import find_binary

SHOP = 'deployment_environment_name="demo", service_name="checkout"'
OLD, NEW, AGAIN = (
    f'target_info{{{SHOP}, instance="{instance}", service_version="{version}"}}'
    for instance, version in (("a", "1.0"), ("b", "1.1"), ("b", "1.0"))
)
SWITCH = f'http_server_request_duration_seconds_count{{{SHOP}, http_route="/faults", http_request_method="PUT"}}'
BURN = 'ALERTS{alertname="Burn", alertstate="firing", severity="page", journey="checkout"}'
UPGRADED = '{service_name="checkout", service_version="1.1"}'
SWITCHED = '{service_name="checkout"}'
BURNING = '{alertname="Burn", journey="checkout"}'

# Series → values, a step of a minute each; the mark; moment → labels of what stands there.
CASES = {
    "a new version beside the old one": (
        {OLD: "1x60", NEW: "_x30 1x30"},
        DEPLOYMENTS,
        {"29m": None, "30m": UPGRADED, "34m": UPGRADED, "35m": None, "50m": None},
    ),
    "a replacement": ({OLD: "1x29 stale", NEW: "_x30 1x30"}, DEPLOYMENTS, {"29m": None, "31m": UPGRADED, "40m": None}),
    "a restart is no deployment": (
        {OLD: "1x29 stale", AGAIN: "_x30 1x30"},
        DEPLOYMENTS,
        {"29m": None, "30m": None, "31m": None, "40m": None},
    ),
    "a service that begins is none": ({OLD: "_x30 1x30"}, DEPLOYMENTS, {"30m": None, "31m": None, "40m": None}),
    "the first fault of a process": ({SWITCH: "_x30 1x30"}, DRILLS, {"29m": None, "30m": SWITCHED, "31m": None}),
    "further faults": ({SWITCH: "3x30 4x20"}, DRILLS, {"29m": None, "30m30s": SWITCHED, "32m": None}),
    "an alert that fires twice": ({BURN: "1x30", BURN.replace("page", "ticket"): "1x30"}, ALERTS, {"10m": BURNING}),
    "an alert of another journey": ({BURN: "1x30"}, alerts_annotation("search"), {"10m": None}),
    "an alert of this journey": ({BURN: "1x30"}, alerts_annotation("checkout"), {"10m": BURNING}),
    "a firing alert": ({BURN: "_x10 1x20 stale"}, ALERTS, {"9m": None, "10m": BURNING, "30m": BURNING, "31m": None}),
    "the heartbeat and what is pending are no marks": (
        {BURN.replace("page", "none"): "1x60", BURN.replace("firing", "pending"): "1x60"},
        ALERTS,
        {"10m": None, "30m": None},
    ),
}


def pushed(values):
    """The same values by four a minute, as services push and rules are evaluated."""
    return re.sub(r"x(\d+)", lambda found: f"x{4 * int(found[1])}", values)


@pytest.mark.parametrize("case", CASES)
def test_marks_stand_where_something_happened(case, tmp_path):
    """From the minute on in which it did, and no longer than it did."""
    promtool = find_binary("promtool")
    if promtool is None:
        pytest.skip("promtool is neither on PATH nor in the cache: run make stack-binaries")
    series, mark, expected = CASES[case]
    # To the power of 0: that it stands there counts, and not its value.
    query = f"({mark.expr.replace('$environment', '.*')}) ^ 0"
    test = {
        "interval": "15s",
        "input_series": [{"series": name, "values": pushed(values)} for name, values in series.items()],
        "promql_expr_test": [
            {"expr": query, "eval_time": moment, "exp_samples": [{"labels": labels, "value": 1}] if labels else []}
            for moment, labels in expected.items()
        ],
    }
    path = tmp_path / "marks.yml"
    path.write_text(yaml.safe_dump({"rule_files": [], "evaluation_interval": "1m", "tests": [test]}), encoding="utf-8")
    done = subprocess.run([promtool, "test", "rules", path], capture_output=True, text=True, check=False)
    assert 0 == done.returncode, done.stdout + done.stderr
