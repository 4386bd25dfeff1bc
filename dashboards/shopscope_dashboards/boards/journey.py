"""The board of one journey, for the moment of an incident.

The first screen of a laptop answers: is it bad, since when, for whom, which dependency, which release, show me a trace.
"""

import hashlib
from collections.abc import Iterator

from shopscope.config import Journey, Shop
from shopscope_dashboards import (
    Board,
    Column,
    Link,
    Panel,
    PromQuery,
    Row,
    Stat,
    Table,
    Threshold,
    TimeSeries,
    TraceQuery,
    Traces,
    ValueMapping,
    alerts_annotation,
    board_link,
    logs_link,
    runbook_link,
)
from shopscope_dashboards.boards import _journey_rows as rows
from shopscope_dashboards.boards._journey_queries import PAGE_BURN_RATE, JourneyQueries
from shopscope_dashboards.boards._promql import money_unit

GREEN, ORANGE, RED = "green", "orange", "red"
OUTCOMES = {"good": GREEN, "slow": ORANGE, "error": RED}
_UID_CHARACTERS = 40
# Rules are evaluated every 15 s and the search looks at whole minutes: less than this is now.
_NOT_BAD_SECONDS = 90.0


def uid_of(journey: str) -> str:
    """The uid of a journey's board; Grafana takes 40 characters, so a long name ends in a digest."""
    uid = f"shopscope-journey-{journey}"
    if len(uid) <= _UID_CHARACTERS:
        return uid
    digest = hashlib.sha256(journey.encode()).hexdigest()[:8]
    return f"{uid[: _UID_CHARACTERS - 9]}-{digest}"


def board(shop: Shop, journey: Journey) -> Board:
    """The board of a journey, from what the file says of it."""
    queries = JourneyQueries(journey)
    return Board(
        uid_of(journey.name),
        f"Journey: {journey.name}",
        _what_it_answers(journey),
        [*_first_screen(shop, queries), *rows.below(shop, queries)],
        links=[*_runbook(journey), *rows.slow(queries), *rows.failed(queries)],
        tags=("shopscope", "journey"),
        alerts=alerts_annotation(journey.name),
    )


def _what_it_answers(journey: Journey) -> str:
    routes = ", ".join(journey.routes) or journey.name
    owner = f" Owner: {journey.owner}." if journey.owner else ""
    return (
        f"{routes} of {journey.service}: {journey.objective * 100:g} % of events are to be good, that is no error and "
        f"within {_threshold(journey)}.{owner} Top to bottom: is it bad, since when, for whom, which dependency, which "
        "release, show me, what does it cost."
    )


def _threshold(journey: Journey) -> str:
    return f"{journey.latency_seconds * 1000:g} ms"


def _runbook(journey: Journey) -> list[Link]:
    return [runbook_link(journey.runbook)] if journey.runbook else []


def _evidence(queries: JourneyQueries) -> list[Link]:
    return [*rows.slow(queries), *rows.failed(queries), logs_link("Warnings and errors", queries.logs())]


def _first_screen(shop: Shop, queries: JourneyQueries) -> Iterator[Panel | Row]:
    """What stands on a laptop's first screen: 18 of the 20 rows of 30 pixels that are free there."""
    yield from _is_it_bad(shop, queries)
    yield from _since_when(queries)
    yield _for_whom(queries)
    yield _which_dependency(queries)
    yield _which_release(queries)
    yield _show_me(queries)


def _is_it_bad(shop: Shop, queries: JourneyQueries) -> Iterator[Panel]:
    journey = queries.journey
    trouble = _runbook(journey) or rows.failed(queries)
    sick = 1 - PAGE_BURN_RATE * queries.budget
    yield Stat(
        "Good, 5 minutes",
        f"Share of events that were no error and within {_threshold(journey)}. Orange: below the objective of "
        f"{journey.objective * 100:g} %. Red: below {sick * 100:.4g} %, where a month's budget is gone in two days.",
        [PromQuery(queries.good_share())],
        unit="percentunit",
        decimals=2,
        thresholds=[Threshold(None, RED), Threshold(sick, ORANGE), Threshold(journey.objective, GREEN)],
        width=4,
        height=4,
        links=trouble,
        no_value="no events",
    )
    yield Stat(
        "Bad for",
        f"Time since the last minute in which the error budget burnt less than {PAGE_BURN_RATE:g} times too fast, over "
        "five minutes. It looks six hours back.",
        [PromQuery(queries.bad_for_seconds(), instant=True)],
        unit="s",
        decimals=0,
        thresholds=[Threshold(None, GREEN), Threshold(_NOT_BAD_SECONDS, RED)],
        mappings=[
            ValueMapping((None, _NOT_BAD_SECONDS), "not now", GREEN),
            ValueMapping((6 * 3600.0 - 60, None), "6 hours or more", RED),
        ],
        graph=False,
        width=4,
        height=4,
        links=trouble,
        no_value="no events",
    )
    yield Stat(
        "p95",
        "95 of 100 customers wait no longer than this. Red: above the threshold of the journey.",
        [PromQuery(queries.latency(0.95))],
        unit="s",
        thresholds=_latency_thresholds(journey),
        width=4,
        height=4,
        links=rows.slow(queries),
        no_value="no events",
    )
    yield Stat(
        "Burn rate, 1 hour",
        "How many times too fast the error budget burns, in the environment where it does most. 1 spends it exactly by "
        f"the end of the window; from {PAGE_BURN_RATE:g} on somebody is paged.",
        [PromQuery(queries.burn_rate("1h"))],
        unit="short",
        decimals=1,
        thresholds=[Threshold(None, GREEN), Threshold(1, ORANGE), Threshold(PAGE_BURN_RATE, RED)],
        width=4,
        height=4,
        links=[board_link("Error budgets", "shopscope-slo")],
    )
    yield Stat(
        "Error budget left",
        f"Of the window's {journey.window_seconds / 86400:g} days, in the environment where it is least; below 0 the "
        "objective is missed.",
        [PromQuery(queries.budget_left())],
        unit="percentunit",
        decimals=0,
        thresholds=[Threshold(None, RED), Threshold(0, ORANGE), Threshold(0.25, GREEN)],
        width=4,
        height=4,
        links=[board_link("Error budgets", "shopscope-slo")],
    )
    yield _cost_or_traffic(shop, queries)


def _cost_or_traffic(shop: Shop, queries: JourneyQueries) -> Panel:
    journey = queries.journey
    if journey.value is None:
        return Stat(
            "Events",
            "Per second: how many customers do this now; far below the usual is a sign too.",
            [PromQuery(f"sum({queries.outcomes()})")],
            unit="reqps",
            colour="none",
            width=4,
            height=4,
            links=rows.slow(queries),
        )
    return Stat(
        "At stake, per hour",
        f"Slow and failed events of an hour at this pace, times {journey.value.average:.2f} {shop.currency} as in "
        "shopscope.toml. The most that it can cost: who waits and buys, or tries again and succeeds, is counted too. "
        "At the end of the board slow and failed are apart.",
        [PromQuery(queries.value_at_stake_per_hour())],
        unit=money_unit(shop.currency),
        decimals=0,
        thresholds=[Threshold(None, GREEN), Threshold(journey.value.average, ORANGE)],
        width=4,
        height=4,
        links=[board_link("Business", "shopscope-business")],
    )


def _since_when(queries: JourneyQueries) -> Iterator[Panel]:
    journey = queries.journey
    yield TimeSeries(
        "Good, slow and failed",
        "Events per second by outcome. Blue marks are deployments, red areas firing alerts.",
        [PromQuery(queries.outcomes(), "{{outcome}}")],
        unit="reqps",
        stack=True,
        colours=OUTCOMES,
        minimum=0,
        height=7,
        links=rows.failed(queries),
    )
    yield TimeSeries(
        "How long customers wait",
        f"Quantiles of all environments together; the line is the journey's {_threshold(journey)}. A dot is "
        "a request: a click opens its trace.",
        [
            PromQuery(queries.latency(0.5), "p50"),
            PromQuery(queries.latency(0.95), "p95"),
            PromQuery(queries.latency(0.99), "p99", exemplars=True),
        ],
        unit="s",
        thresholds=_latency_thresholds(journey),
        minimum=0,
        height=7,
        links=rows.slow(queries),
    )


def _for_whom(queries: JourneyQueries) -> Panel:
    """Every process that answers customers, with all that tells it from the others."""
    labels = ("deployment_environment_name", "host_name", "service_version", "service_instance_id")
    return Table(
        "For whom: environment, host, release, process",
        "Share of slow and failed events by the process that answered. One red row: that process, host or release. All "
        "red: what they share, below.",
        [
            PromQuery(queries.bad_share_by(*labels), instant=True, format="table"),
            PromQuery(queries.events_by(*labels), instant=True, format="table"),
        ],
        columns=[
            Column("A", "bad", unit="percentunit", decimals=1, width=65, cell="background", thresholds=_bad(queries)),
            Column("B", "per s", decimals=1, width=55),
            Column("deployment_environment_name", "environment", width=105),
            Column("service_version", "release", width=70),
            Column("host_name", "host", width=75),
            Column("service_instance_id", "process"),
        ],
        unit="short",
        sort="bad",
        height=7,
        links=rows.failed(queries),
    )


def _which_dependency(queries: JourneyQueries) -> Panel:
    latency = queries.journey.latency_seconds
    return Table(
        "Which dependency: own time of each participant",
        "Seconds of one event that each takes itself, its network included and its own calls not, now and against "
        "the better quarter of the time range. The largest growth is where to look, and so is a share of failed calls.",
        [
            PromQuery(queries.own_time_growth(), instant=True, format="table"),
            PromQuery(queries.own_time(), instant=True, format="table"),
            PromQuery(queries.failed_calls("peer"), instant=True, format="table"),
            PromQuery(queries.calls_per_event("peer"), instant=True, format="table"),
        ],
        columns=[
            Column(
                "peer",
                "participant",
                links=[board_link("Dependencies", "shopscope-dependencies", journey=queries.journey.name)],
            ),
            Column(
                "A",
                "growth",
                unit="s",
                decimals=1,
                width=90,
                cell="background",
                thresholds=[
                    Threshold(None, "transparent"),
                    Threshold(latency / 10, ORANGE),
                    Threshold(latency / 2, RED),
                ],
            ),
            Column("B", "own time", unit="s", decimals=1, width=90),
            Column(
                "C", "failed", unit="percentunit", decimals=1, width=75, cell="background", thresholds=_bad(queries)
            ),
            Column("D", "calls", unit="short", decimals=1, width=60),
        ],
        unit="s",
        sort="growth",
        width=9,
        height=7,
        links=[board_link("Dependencies", "shopscope-dependencies", journey=queries.journey.name)],
    )


def _which_release(queries: JourneyQueries) -> Panel:
    return Table(
        "Which release of which service",
        "Services that take part in the journey. First seen within the time range: a release as young as the trouble "
        "is the first suspect. Failed and p95 are of all their requests, whatever the journey.",
        [
            PromQuery(queries.release_seen(), instant=True, format="table"),
            PromQuery(queries.failed_by_release(), instant=True, format="table"),
            PromQuery(queries.latency_by_release(0.95), instant=True, format="table"),
        ],
        columns=[
            Column("service_name", "service", width=95),
            Column("service_version", "release"),
            Column("A", "first seen", unit="dateTimeFromNow", width=125),
            Column(
                "B", "failed", unit="percentunit", decimals=1, width=70, cell="background", thresholds=_bad(queries)
            ),
            Column("C", "p95", unit="s", decimals=1, width=75),
        ],
        unit="short",
        sort="first seen",
        height=7,
        links=rows.failed(queries),
    )


def _show_me(queries: JourneyQueries) -> Panel:
    return Traces(
        "Show me a slow one",
        f"Requests above {_threshold(queries.journey)}: a click on an id opens the trace.",
        [TraceQuery(queries.slow_traces(), limit=20)],
        transformations=[rows.only("traceID", "startTime", "traceDuration")],
        width=7,
        height=7,
        links=rows.slow(queries),
        no_value="none slow in this time range",
    )


def _latency_thresholds(journey: Journey) -> list[Threshold]:
    return [Threshold(None, GREEN), Threshold(journey.latency_seconds, RED)]


def _bad(queries: JourneyQueries) -> list[Threshold]:
    """A share of bad events: orange above the budget, red where it pages."""
    return [
        Threshold(None, "transparent"),
        Threshold(queries.budget, ORANGE),
        Threshold(PAGE_BURN_RATE * queries.budget, RED),
    ]
