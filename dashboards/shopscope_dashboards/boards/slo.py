"""Error budgets of all journeys: what is left, how fast it burns, when it is gone, what was alarmed."""

from collections.abc import Iterator
from typing import Final

from shopscope.config import Shop
from shopscope_dashboards import (
    Board,
    Column,
    Link,
    Panel,
    PromQuery,
    Row,
    Stat,
    StateTimeline,
    Table,
    Threshold,
    TimeSeries,
    ValueMapping,
    metric,
    recorded,
    runbook_link,
)
from shopscope_dashboards.boards._journey_queries import PAGE_BURN_RATE
from shopscope_dashboards.boards._promql import ENVIRONMENT_IS, rate

UID: Final = "shopscope-slo"
GREEN, ORANGE, RED = "green", "orange", "red"

_BY: Final = "journey, deployment_environment_name"
_NAME: Final = "{{journey}} {{deployment_environment_name}}"
_GOOD: Final = ', outcome="good"'
_ALERT: Final = f'ALERTS{{alertname="ShopscopeErrorBudgetBurn", alertstate="firing", {ENVIRONMENT_IS}'
_GONE: Final = ValueMapping(0, "gone", RED)
_RUNBOOK: Final = runbook_link("docs/runbooks/slo.md")
# From which burn rate on each window is part of a page (red) or a ticket (orange): the rules' own figures.
_PACES: Final = {"1h": (3.0, PAGE_BURN_RATE), "6h": (1.0, 6.0), "1d": (1.0, 3.0), "3d": (0.5, 1.0)}


def board(shop: Shop) -> Board:
    """The board of all error budgets."""
    return Board(
        UID,
        "Error budgets",
        "All journeys: how much of each error budget is left, how fast it burns, when it is gone, what was alarmed.",
        [*_first_screen(shop), *_below()],
        links=[_RUNBOOK],
        tags=("shopscope", "slo"),
        time_from="now-6h",
    )


def _of(series: str) -> str:
    return f"{recorded(series)}{{{ENVIRONMENT_IS}}}"


def _burn(window: str) -> str:
    ratio, budget = _of(f"slo:sli_error:ratio_rate{window}"), _of("slo:error_budget:ratio")
    return f"max by ({_BY}) ({ratio}) / on ({_BY}) max by ({_BY}) ({budget})"


def _events_5m(more: str = "") -> str:
    return f"{recorded('shopscope:slo_events:rate5m')}{{{ENVIRONMENT_IS}{more}}}"


def _firing(severity: str) -> str:
    return f'{_ALERT}, severity="{severity}"}}'


def _first_screen(shop: Shop) -> Iterator[Panel | Row]:
    yield from _stats()
    yield _journeys(shop)
    yield _alerts()


def _stats() -> Iterator[Panel]:
    alerting = [Threshold(None, GREEN), Threshold(1, RED)]
    for title, severity, thresholds in (
        ("Paging", "page", alerting),
        ("Tickets", "ticket", [Threshold(None, GREEN), Threshold(1, ORANGE)]),
    ):
        yield Stat(
            title,
            f"Burn-rate alerts with severity {severity} that fire now, one for each journey, environment and window.",
            [PromQuery(f"count({_firing(severity)}) or vector(0)")],
            unit="short",
            thresholds=thresholds,
            width=4,
            height=4,
            links=[_RUNBOOK],
        )
    yield Stat(
        "Fastest burn, 1 h",
        f"How many times too fast the budget of the worst journey burns. From {PAGE_BURN_RATE:g} on it pages.",
        [PromQuery(f"max({_burn('1h')})")],
        unit="short",
        decimals=1,
        thresholds=[Threshold(None, GREEN), Threshold(1, ORANGE), Threshold(PAGE_BURN_RATE, RED)],
        width=4,
        height=4,
        links=[_RUNBOOK],
    )
    yield Stat(
        "Least budget left",
        "Of the journey that has spent most of its own. Below 0 an objective is missed.",
        [PromQuery(f"min({_of('slo:period_error_budget_remaining:ratio')})")],
        unit="percentunit",
        decimals=0,
        thresholds=[Threshold(None, RED), Threshold(0, ORANGE), Threshold(0.25, GREEN)],
        width=4,
        height=4,
        links=[_RUNBOOK],
    )
    yield Stat(
        "First gone in",
        "When the first budget is spent, at the pace of the last hour. Nothing here: no budget shrinks.",
        [PromQuery(f"min({_of('shopscope:error_budget_exhaustion:seconds')})")],
        unit="s",
        decimals=1,
        thresholds=[Threshold(None, RED), Threshold(6 * 3600, ORANGE), Threshold(3 * 86400, GREEN)],
        mappings=[_GONE, ValueMapping(None, "none shrinks", GREEN)],
        graph=False,
        width=4,
        height=4,
        links=[_RUNBOOK],
    )
    yield Stat(
        "Good, 5 minutes",
        "Share of good events of all journeys together.",
        [PromQuery(f"sum({_events_5m(_GOOD)}) / sum({_events_5m()})")],
        unit="percentunit",
        decimals=2,
        colour="none",
        width=4,
        height=4,
        no_value="no events",
        links=[_RUNBOOK],
    )


def _journeys(shop: Shop) -> Panel:
    """A row for each journey; those of the file come first in no order: the worst is at the top."""
    burns = ("1h", "6h", "1d", "3d")
    queries = [
        f"max by ({_BY}) ({_of('slo:period_error_budget_remaining:ratio')})",
        f"max by ({_BY}) ({_of('slo:objective:ratio')})",
        *(_burn(window) for window in burns),
        f"min by ({_BY}) ({_of('shopscope:error_budget_exhaustion:seconds')})",
        f"sum by ({_BY}) ({_events_5m()})",
        f"max by (owner, latency, {_BY}) ({_of('sloth_slo_info')})",
    ]
    paces = [
        Column(letter, f"burn {window}", decimals=1, width=85, cell="background", thresholds=_pace(window))
        for letter, window in zip("CDEF", burns, strict=True)
    ]
    return Table(
        "Journeys, the one with the least budget left first",
        f"All {len(shop.journeys)} journeys of shopscope.toml. Burn: how many times too fast the budget burns over the "
        "window; orange is part of a ticket, red of a page. A click on a journey opens its board.",
        [PromQuery(query, instant=True, format="table") for query in queries],
        columns=[
            Column("journey", width=130, links=[_journey_board("${__value.text}")]),
            Column("deployment_environment_name", "environment", width=110),
            Column("owner", width=130),
            Column("B", "objective", unit="percentunit", decimals=2, width=90),
            Column("latency", "within", width=85),
            Column("H", "events", unit="reqps", decimals=1, width=95),
            Column(
                "A",
                "budget left",
                unit="percentunit",
                decimals=1,
                cell="gauge",
                thresholds=[Threshold(None, RED), Threshold(0.0, ORANGE), Threshold(0.25, GREEN)],
                minimum=0,
                maximum=1,
            ),
            *paces,
            Column("G", "gone in", unit="s", decimals=1, width=105, mappings=[_GONE]),
        ],
        unit="short",
        sort="budget left",
        descending=False,
        width=24,
        height=8,
        links=[_RUNBOOK],
    )


def _alerts() -> Panel:
    page, ticket, none = (
        f"2 * group by (journey) ({_firing('page')})",
        f"group by (journey) ({_firing('ticket')})",
        f"0 * group by (journey) ({_of('slo:objective:ratio')})",
    )
    return StateTimeline(
        "Alerts by journey",
        "When the burn rate of a journey paged, or made a ticket; everything between is quiet.",
        [PromQuery(f"{page} or {ticket} or {none}", "{{journey}}")],
        unit="short",
        mappings=[
            ValueMapping(0, "quiet", GREEN),
            ValueMapping(1, "ticket", ORANGE),
            ValueMapping(2, "page", RED),
        ],
        thresholds=[Threshold(None, GREEN), Threshold(1, ORANGE), Threshold(2, RED)],
        show_value="never",
        width=24,
        height=6,
        links=[_RUNBOOK],
    )


def _below() -> Iterator[Panel | Row]:
    journey = [_journey_board("${__field.labels.journey}"), _RUNBOOK]
    yield Row("Over time")
    yield TimeSeries(
        "Budget left",
        "Of each window's budget; below 0 the objective is missed. A steep fall is an incident, a slope is a product.",
        [PromQuery(f"max by ({_BY}) ({_of('slo:period_error_budget_remaining:ratio')})", _NAME)],
        unit="percentunit",
        thresholds=[Threshold(None, RED), Threshold(0, GREEN)],
        maximum=1,
        width=12,
        links=journey,
    )
    yield TimeSeries(
        "Burn rate, 1 hour",
        f"How many times too fast each budget burns. The lines: 1, and {PAGE_BURN_RATE:g}, which pages.",
        [PromQuery(_burn("1h"), _NAME)],
        unit="short",
        thresholds=[Threshold(None, GREEN), Threshold(1, ORANGE), Threshold(PAGE_BURN_RATE, RED)],
        minimum=0,
        width=12,
        links=journey,
    )
    yield TimeSeries(
        "Bad events, 5 minutes",
        "Share of slow and failed events: what happens now, whatever the objective.",
        [PromQuery(f"max by ({_BY}) ({_of('slo:sli_error:ratio_rate5m')})", _NAME)],
        unit="percentunit",
        minimum=0,
        width=12,
        links=journey,
    )
    yield TimeSeries(
        "Budget gone in",
        "At the pace of the hour before; no line: the budget does not shrink.",
        [PromQuery(f"min by ({_BY}) ({_of('shopscope:error_budget_exhaustion:seconds')})", _NAME)],
        unit="s",
        thresholds=[Threshold(None, RED), Threshold(6 * 3600, ORANGE), Threshold(3 * 86400, GREEN)],
        minimum=0,
        width=12,
        links=journey,
    )
    yield Row("What spends the budgets")
    for title, outcome in (("Slow", "slow"), ("Failed", "error")):
        ratio = f'{recorded("shopscope:sli_error:ratio_rate30d")}{{{ENVIRONMENT_IS}, outcome="{outcome}"}}'
        spent = f"max by ({_BY}) ({ratio}) / on ({_BY}) max by ({_BY}) ({_of('slo:error_budget:ratio')})"
        yield TimeSeries(
            f"{title}: share of the budget",
            f"How much of each budget {title.lower()} events have spent: availability and latency share one budget.",
            [PromQuery(spent, _NAME)],
            unit="percentunit",
            thresholds=[Threshold(None, GREEN), Threshold(1, RED)],
            minimum=0,
            links=journey,
        )
    yield TimeSeries(
        "Events",
        "Per second: a budget of few events is spent by few.",
        [PromQuery(f"sum by ({_BY}) ({rate(metric('shopscope_slo_events_total'), ENVIRONMENT_IS)})", _NAME)],
        unit="reqps",
        minimum=0,
        links=journey,
    )


def _journey_board(journey: str) -> Link:
    return Link(
        "Board of the journey", f"/d/shopscope-journey-{journey}?${{__url_time_range}}&${{environment:queryparam}}"
    )


def _pace(window: str) -> list[Threshold]:
    ticket, page = _PACES[window]
    return [Threshold(None, "transparent"), Threshold(ticket, ORANGE), Threshold(page, RED)]
