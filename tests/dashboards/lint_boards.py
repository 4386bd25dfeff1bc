"""A sound board, and what makes it a broken one."""

import copy
import json

from shopscope_dashboards import Board, PromQuery, Row, Stat, Text, TimeSeries, traces_link
from shopscope_dashboards._lint import lint

ENV = 'deployment_environment_name=~"$environment"'
SLOW = traces_link("Slow traces", "{ duration > 1s }")
EVENTS = f"sum by (outcome) (rate(shopscope_slo_events_total{{{ENV}}}[$__rate_interval]))"
BUCKETS = f"rate(shopscope_journey_duration_seconds_bucket{{{ENV}}}[$__rate_interval])"
GC_SECONDS = f"sum(rate(shopscope_gc_pause_seconds_sum{{{ENV}}}[$__rate_interval]))"
P95 = f"histogram_quantile(0.95, sum by (le) ({BUCKETS}))"


def panels():
    """A panel of each common kind, all in order."""
    yield Row("Events")
    yield TimeSeries("Events", "What happens.", [PromQuery(EVENTS, "{{outcome}}")], unit="reqps", links=(SLOW,))
    yield TimeSeries("Wait, p95", "How long.", [PromQuery(P95, "p95", exemplars=True)], unit="s", links=(SLOW,))
    yield Stat("Now", "How many.", [PromQuery(f"sum({EVENTS})")], unit="reqps", links=(SLOW,))
    yield Text("", "Hello.")


def sound():
    """A board without fault, as Grafana reads it; panel 1 is a time series of events, panel 2 one of a quantile."""
    return json.loads(Board("shopscope-x", "X", "What it answers.", tuple(panels())).to_json())


def found(*boards, **options):
    """Rules that boards break."""
    return {finding.rule for finding in lint(boards, is_whole=False, **options)}


def with_query(expr, legend="{{outcome}}", unit="reqps", title="Events", kind="timeseries", **target):
    """The sound board with another query, legend, unit and title in its first panel."""
    board = sound()
    panel = board["panels"][1]
    panel |= {"title": title, "type": kind}
    panel["targets"][0] |= {"expr": expr, "legendFormat": legend, **target}
    panel["fieldConfig"]["defaults"]["unit"] = unit
    return board


def broken(change):
    """The sound board after a change."""
    board = copy.deepcopy(sound())
    change(board)
    return board


def put(path, value):
    """A change that puts a value at a path such as ``panels.1.title``."""

    def change(board):
        *parents, last = [int(key) if key.isdigit() else key for key in path.split(".")]
        for key in parents:
            board = board[key]
        board[last] = value

    return change
