"""Alerts: a budget that burns, an outage, a journey that fell silent, counts that cannot be."""

import textwrap
from collections.abc import Iterator, Mapping
from typing import Final

from shopscope._metrics._names import JOURNEY_DURATION
from shopscope.config import parse_duration
from shopscope_ops.slo._recording import BAD, ENVIRONMENT, EVENTS, GROUPS, JOURNEY
from shopscope_ops.slo._windows import BURNS, FLOOR_EVENTS, MINUTES_SECONDS, OUTAGE_RATIO, Burn
from shopscope_ops.slo._yaml import Group, Rule

_RUNBOOK: Final = "https://github.com/shopscope/shopscope/blob/main/docs/runbooks/slo.md"
_TABLE: Final = "shopscope:journey_budget:ratio"
#: How far the links of an alert look back from its start.
_HOUR: Final = 3600.0
#: Of a line of a description.
_WIDTH: Final = 106


def alert_groups(grafana: str) -> Iterator[Group]:
    """The alerts; ``grafana`` is the address that their links begin with."""
    yield Group(
        GROUPS[-1],
        f"{MINUTES_SECONDS}s",
        [
            *(_burn(burn, grafana) for burn in BURNS),
            _outage(grafana),
            _absent(grafana),
            *_impossible(grafana),
        ],
        "Links begin where the trouble did: so long before the alert's start as it looks back, an hour at least.",
    )


def _burn(burn: Burn, grafana: str) -> Rule:
    def above(window: str, joined: str) -> str:
        return f"slo:sli_error:ratio_rate{window} / on (journey) group_left ({joined}) {_TABLE} > {burn.factor:g}"

    return _alert(
        "ShopscopeErrorBudgetBurn",
        f"{above(burn.long, 'owner')}\n"
        f"and on ({JOURNEY})\n"
        f"{above(burn.short, '')}\n"
        f"and on ({JOURNEY})\n"
        f"{_bad(f'shopscope:slo_events:increase{burn.long}')} >= {FLOOR_EVENTS}",
        {"severity": burn.severity, "window": burn.long},
        grafana,
        "error-budget-burn",
        summary='{{ $labels.journey }} spends its error budget {{ printf "%.1f" $value }} times too fast',
        description=f"Over the last {burn.long} and still over the last {burn.short}, {{{{ $labels.journey }}}} was "
        f"slow or failed so often that its budget is spent {_faster(burn.factor)} than the objective allows: "
        f"{burn.spent:.0%} of the budget of 30 days within {burn.long}.",
        seconds=parse_duration(burn.long),
    )


def _outage(grafana: str) -> Rule:
    events = "shopscope:slo_events:rate5m"
    return _alert(
        "ShopscopeJourneyOutage",
        f"slo:sli_error:ratio_rate5m * on (journey) group_left (owner) ({_TABLE} > bool 0) > {OUTAGE_RATIO:g}\n"
        f"and on ({JOURNEY})\n"
        f"300 * {_bad(events)} >= {FLOOR_EVENTS}",
        {"severity": "page", "window": "5m"},
        grafana,
        "journey-outage",
        comment="An objective of 99 % lets an outage last nine minutes before an hour has burnt 14.4 times too fast.",
        summary="{{ $labels.journey }} is down for {{ humanizePercentage $value }} of its events",
        description="More than half of what customers asked of {{ $labels.journey }} within five minutes failed "
        "or was slower than its threshold.",
    )


def _absent(grafana: str) -> Rule:
    return _alert(
        "ShopscopeJourneyAbsent",
        "(\n"
        "  shopscope:journey_seen:minutes >= 10\n"
        f"  unless on ({JOURNEY})\n"
        f'  group by ({JOURNEY}) (present_over_time({EVENTS}{{outcome="good"}}[2m]))\n'
        ")\n"
        f"* on (journey) group_left (owner, sloth_id, sloth_service, sloth_slo) ({_TABLE} > bool 0)",
        {"severity": "page"},
        grafana,
        "journey-absent",
        comment="The SDK counts from zero: also without a customer there are counters, unless no process of the\n"
        "service sends. Who sent for less than ten minutes of the last day was a script or a trial.",
        wait="2m",
        summary="Nothing is heard of {{ $labels.journey }}",
        description="No process of {{ $labels.sloth_service }} has sent its counts of {{ $labels.journey }} for four "
        "minutes: the service is down, or its telemetry does not arrive. Until it does, no other alert of this journey "
        "can fire.",
    )


def _impossible(grafana: str) -> Iterator[Rule]:
    good, joined = (
        f'{EVENTS}{{outcome="good"}}',
        f"* on (journey) group_left (owner, sloth_service) ({_TABLE} > bool 0)",
    )
    yield _alert(
        "ShopscopeJourneyImpossible",
        "(\n"
        f"  sum by ({JOURNEY}) (increase({good}[15m]))\n"
        f"  - sum by ({JOURNEY}) (increase({JOURNEY_DURATION.family}_count[15m]))\n"
        f"  > 0.02 * sum by ({JOURNEY}) (increase({good}[15m])) + {FLOOR_EVENTS}\n"
        ")\n"
        f"{joined}",
        {"severity": "ticket", "reason": "more good events than events"},
        grafana,
        "journey-impossible",
        wait="5m",
        summary="{{ $labels.journey }} counts more good events than it measured",
        description='Within 15 minutes, {{ printf "%.0f" $value }} good events of {{ $labels.journey }} have no '
        "duration. They are counted twice, or durations are lost: the ratios of this journey say too little or too "
        "much.",
    )
    yield _alert(
        "ShopscopeJourneyImpossible",
        f"(max by ({JOURNEY}) (resets({good}[15m])) >= {FLOOR_EVENTS})\n{joined}",
        {"severity": "ticket", "reason": "counts run backwards"},
        grafana,
        "journey-impossible",
        summary="Counts of {{ $labels.journey }} run backwards",
        description="A counter of {{ $labels.sloth_service }} fell {{ $value }} times within 15 minutes. Two processes "
        "share one service.instance.id, or one restarts all the time: each fall reads as events that never were.",
    )


def _faster(factor: float) -> str:
    return f"more than {factor:g} times faster" if factor > 1 else "faster"


def _bad(events: str) -> str:
    return f"sum without (outcome) ({events}{{{BAD}}})"


def _alert(
    name: str,
    expr: str,
    labels: Mapping[str, str],
    grafana: str,
    section: str,
    *,
    summary: str,
    description: str,
    seconds: float = _HOUR,
    comment: str = "",
    wait: str = "",
) -> Rule:
    """An alert with the texts and links that each of them has."""
    start = _from(name, labels, max(seconds, _HOUR))
    return Rule(
        name,
        expr,
        labels,
        comment,
        {
            "summary": summary,
            "description": textwrap.fill(description, _WIDTH, break_long_words=False, break_on_hyphens=False),
            "runbook_url": f"{_RUNBOOK}#{section}",
            "journey_runbook": _of_table("runbook"),
            "dashboard_url": f"{start}\n"
            f"{grafana}/d/shopscope-journey-{{{{ $labels.journey }}}}"
            f"?from={{{{ $from }}}}&to=now&var-environment={{{{ $labels.{ENVIRONMENT} | urlquery }}}}",
            "trace_url": f"{start}\n{{{{ $latency := {_table_label('latency')} -}}}}\n"
            f"{grafana}/explore?schemaVersion=1&panes="
            f"{{{{ printf `{_PANES}` $labels.journey $latency $from | urlquery }}}}",
        },
        wait,
    )


#: Slow and failed requests of the journey: a pane of Grafana's Explore. Places: journey, latency, start.
_PANES: Final = (
    '{"traces":{"datasource":"tempo","queries":[{"refId":"A","datasource":{"type":"tempo","uid":"tempo"},'
    '"queryType":"traceql","limit":20,"query":"{ span.shopscope.journey = \\"%s\\" && kind = server '
    '&& (status = error || duration > %s) }"}],"range":{"from":"%s","to":"now"}}}'
)


def _from(name: str, labels: Mapping[str, str], seconds: float) -> str:
    """Sets ``$from``: milliseconds since 1970, so long before the alert's start.

    Prometheus tells a template no start. It has it as the value of ALERTS_FOR_STATE from the second evaluation on; at
    the first it is now.
    """
    match = "".join(f', {key}="{text}"' for key, text in labels.items() if key != "severity")
    query = (
        f'1000 * (min(ALERTS_FOR_STATE{{alertname="{name}"{match}, journey="%s", {ENVIRONMENT}="%s"}} '
        f"or vector(time())) - {seconds:.0f})"
    )
    return (
        f"{{{{ $from := printf `{query}` $labels.journey $labels.{ENVIRONMENT}\n"
        '| query | first | value | printf "%.0f" -}}'
    )


def _table_label(name: str) -> str:
    return f'printf `{_TABLE}{{journey="%s"}}` $labels.journey | query | first | label "{name}"'


def _of_table(name: str) -> str:
    return "{{ " + _table_label(name) + " }}"
