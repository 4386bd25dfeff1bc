"""Recording rules: from the services' counters upward, each window from the one below that is cheap to read."""

from collections.abc import Iterable, Iterator

from shopscope._metrics._names import SLO_EVENTS
from shopscope.config import Journey, Shop, parse_duration
from shopscope_ops.slo._windows import (
    DAYS_SECONDS,
    FROM_COUNTERS,
    FROM_MINUTES,
    FROM_MINUTES_SLOWLY,
    HOURS_SECONDS,
    MINUTES_SECONDS,
    PERIOD,
    budget,
    period,
    periods,
)
from shopscope_ops.slo._yaml import Group, Rule

EVENTS = f"{SLO_EVENTS.family}_total"
ENVIRONMENT = "deployment_environment_name"
JOURNEY = f"journey, {ENVIRONMENT}"
TABLE = "shopscope:journey_budget:ratio"
BAD = 'outcome!="good"'
#: In the order in which they build on each other; alerts come last.
GROUPS = tuple(f"shopscope-slo-{name}" for name in ("journeys", "minutes", "hours", "days", "alerts"))
_SLOTH = "sloth_id, sloth_service, sloth_slo"


def recording_groups(shop: Shop) -> Iterator[Group]:
    """The groups of recording rules, in the order in which they build on each other."""
    yield Group(
        GROUPS[0],
        f"{MINUTES_SECONDS}s",
        [_table(journey) for journey in shop.journeys.values()],
        "What shopscope.toml says of each journey: the share of its events that may be bad. All else joins this table.",
    )
    yield Group(
        GROUPS[1],
        f"{MINUTES_SECONDS}s",
        list(_minutes()),
        "From the services' counters. Sums over instances follow the increase of each, so that a restart is no loss.",
    )
    yield Group(
        GROUPS[2],
        f"{HOURS_SECONDS}s",
        [rule for window in FROM_MINUTES for rule in _upward(window)],
        "From here on from recorded rates: so many events a second, for as long as a sample stands, are events.",
    )
    yield Group(GROUPS[3], f"{DAYS_SECONDS // 60}m", list(_days(shop)))


def ratio(window: str, events: str) -> Rule:
    """Share of bad events of all in a window, under sloth's labels; 0, and not 0 / 0, where there was none."""
    return Rule(
        f"slo:sli_error:ratio_rate{window}",
        "(\n"
        f"  sum without (outcome) ({events}{{{BAD}}}) / (sum without (outcome) ({events}) > 0)\n"
        "  or\n"
        f"  sum without (outcome) ({events}) == 0\n"
        ")\n"
        f"* on (journey) group_left ({_SLOTH}) ({TABLE} > bool 0)",
        {"sloth_window": window},
    )


def _parts(window: str, events: str) -> Rule:
    return Rule(
        f"shopscope:sli_error:ratio_rate{window}",
        f"{events}{{{BAD}}} / ignoring (outcome) group_left () (sum without (outcome) ({events}) > 0)\n"
        "or\n"
        f"{events}{{{BAD}}} == 0",
        comment="Slow and failed apart: two parts of one budget, whose sum is the ratio above.",
    )


def _table(journey: Journey) -> Rule:
    labels = {
        "journey": journey.name,
        "latency": latency(journey),
        "owner": journey.owner,
        "runbook": journey.runbook,
        "window": period(journey),
        "sloth_id": f"{journey.service}-{journey.name}",
        "sloth_service": journey.service,
        "sloth_slo": journey.name,
        "sloth_objective": f"{journey.objective * 100:.10g}",
    }
    return Rule(
        TABLE,
        f"vector({budget(journey)})",
        {name: text for name, text in labels.items() if text},
    )


def latency(journey: Journey) -> str:
    """The threshold as TraceQL writes it."""
    milliseconds = round(journey.latency_seconds * 1000, 6)
    return f"{milliseconds:.6f}".rstrip("0").rstrip(".") + "ms"


def _minutes() -> Iterator[Rule]:
    rate = "shopscope:slo_events:rate5m"
    yield Rule(rate, f"sum by ({JOURNEY}, outcome) (rate({EVENTS}[5m]))")
    yield ratio("5m", rate)
    yield _parts("5m", rate)
    for window in FROM_COUNTERS:
        counted = f"shopscope:slo_events:increase{window}"
        yield Rule(counted, f"sum by ({JOURNEY}, outcome) (increase({EVENTS}[{window}]))")
        yield ratio(window, counted)
    yield Rule(
        "slo:current_burn_rate:ratio",
        f"max without (sloth_window) (slo:sli_error:ratio_rate5m)\n/ on (journey) group_left () {TABLE}",
        comment="1 spends the budget in exactly the window of the objective.",
    )


def _upward(window: str, source: str = "rate5m", every: int = MINUTES_SECONDS) -> Iterator[Rule]:
    """Events of a long window, and their ratio, from a rate that is recorded every so many seconds."""
    counted = f"shopscope:slo_events:increase{window}"
    yield Rule(counted, f"{every} * sum_over_time(shopscope:slo_events:{source}[{window}])")
    yield ratio(window, counted)


def _days(shop: Shop) -> Iterator[Rule]:
    for window in FROM_MINUTES_SLOWLY:
        yield from _upward(window)
    yield Rule(
        "shopscope:slo_events:rate1h",
        "shopscope:slo_events:increase1h / 3600",
        comment="One sample a minute, so that 30 days are 43,200 samples of a series and not 172,800.",
    )
    for window in periods(shop):
        yield from _upward(window, "rate1h", DAYS_SECONDS)
        if window == PERIOD:
            yield _parts(window, f"shopscope:slo_events:increase{window}")
    yield from _budgets(shop)


def _budgets(shop: Shop) -> Iterator[Rule]:
    yield Rule(
        "shopscope:journey_seen:minutes",
        'sum without (outcome) (count_over_time(shopscope:slo_events:rate5m{outcome="good"}[1d])) '
        f"/ {60 // MINUTES_SECONDS}",
        comment="Of the last day; an environment that sent something then has a budget, also while it is silent.",
    )
    seen = "(shopscope:journey_seen:minutes > bool 0)"
    joined = f"{seen}\n* on (journey) group_left ({_SLOTH})"
    yield Rule("slo:error_budget:ratio", f"{joined} {TABLE}")
    yield Rule("slo:objective:ratio", "1 - slo:error_budget:ratio")
    days = (
        f'{round(parse_duration(window) / 86400)} * ({TABLE}{{window="{window}"}} > bool 0)' for window in periods(shop)
    )
    yield Rule("slo:time_period:days", f"{joined} (\n  {_alternatives(days)}\n)")
    yield Rule(
        "sloth_slo_info",
        f"{seen}\n* on (journey) group_left (owner, latency, {_SLOTH}, sloth_objective) ({TABLE} > bool 0)",
    )
    burnt = (
        f"max without (sloth_window) (slo:sli_error:ratio_rate{window}) "
        f'/ on (journey) group_left () {TABLE}{{window="{window}"}}'
        for window in periods(shop)
    )
    yield Rule("slo:period_burn_rate:ratio", _alternatives(burnt).replace("\n  ", "\n"))
    yield Rule("slo:period_error_budget_remaining:ratio", "1 - slo:period_burn_rate:ratio")
    yield Rule(
        "shopscope:error_budget_exhaustion:seconds",
        f"sum by ({JOURNEY}) (\n"
        "  clamp_min(slo:period_error_budget_remaining:ratio, 0) * 86400 * slo:time_period:days\n"
        ")\n"
        "/\n"
        f"(sum by ({JOURNEY}) (slo:sli_error:ratio_rate1h / ignoring (sloth_window) slo:error_budget:ratio) > 1)",
        comment="At the burn rate of the last hour; nothing while the budget does not shrink.",
    )


def _alternatives(queries: Iterable[str]) -> str:
    return "\n  or\n  ".join(queries)
