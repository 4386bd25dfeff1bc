"""Which calls of the journeys no guard protects, and what the guards that there are did."""

from typing import Final

from shopscope.config import Shop
from shopscope_dashboards import (
    ENVIRONMENT,
    BarGauge,
    Board,
    Column,
    Panel,
    PromQuery,
    Row,
    Stat,
    StateTimeline,
    Table,
    Threshold,
    TimeSeries,
    TraceQuery,
    Traces,
    Variable,
    count,
    metric,
    runbook_link,
    traces_link,
)
from shopscope_dashboards.boards._service import (
    CALL,
    DEPENDENCIES,
    DEPENDENCY,
    EVENTS,
    JOURNEY,
    OF_SERVICE,
    RANGE,
    SERVICE,
    breaker_state,
    busy,
    cells,
    observed,
    of,
    per_second,
    share,
    within,
)
from shopscope_dashboards.boards.dependencies import STATES

_INFO: Final = metric("shopscope_guard_info")
_EVENTS: Final = metric(EVENTS)
_KIND: Final = Variable(
    "kind",
    "Kind of call",
    f"label_values({of(count(DEPENDENCY), OF_SERVICE)}, kind)",
    description="http, db, cache, queue or rpc: whether a database's calls count as unguarded is for you to say.",
)
# Calls of a journey alone: what runs in the background keeps no customer waiting.
_CHOSEN: Final = (OF_SERVICE, 'journey=~"$journey"', 'journey!=""', 'kind=~"$kind"')
_BY: Final = "journey, service_name, peer, kind"
# A limiter protects the service from its callers, and not from whom it calls.
_NO_LIMITER: Final = of(_INFO, OF_SERVICE, 'kind!="limiter"')
_GUARDS: Final = f"group by (service_name, peer) ({_NO_LIMITER})"
_SPANS: Final = 'kind = client && resource.service.name =~ "$service"'
_SPANS_OF_LINK: Final = _SPANS.replace("$service", "${service:regex}")
_HOW: Final = runbook_link("docs/how-to/protection.md", "How calls are protected")
_RUNBOOK: Final = runbook_link("docs/runbooks/checkout.md#what-fails")
# TraceQL finds spans that lack an attribute in some blocks only: slow calls are shown with what protects them instead.
_WITH_GUARDS: Final = "| select(span.peer.service, span.shopscope.protection)"
_SLOW: Final = traces_link("Slow calls", f"{{ {_SPANS_OF_LINK} && duration > 100ms }} {_WITH_GUARDS}")
_GUARDED: Final = traces_link("Guarded calls", f"{{ {_SPANS_OF_LINK} && span.shopscope.protection != nil }}")


def board(shop: Shop) -> Board:
    """The board; guards and calls come from what the services say."""
    del shop
    return Board(
        "shopscope-protection",
        "Protection",
        "Which calls that journeys wait for have no breaker, retry limit, timeout or bulkhead, how much of a journey "
        "hangs on them, and what the guards that there are did.",
        (
            *_first(),
            Row("What the guards did"),
            *_events(),
            Row("Guards and traces"),
            *_guards(),
        ),
        variables=(ENVIRONMENT, SERVICE, JOURNEY, _KIND),
    )


def _unguarded(expr: str) -> str:
    """What is left of series by caller and peer if those with a guard are taken away."""
    return f"({expr} unless on (service_name, peer) {_GUARDS})"


def _per_event(by: str) -> str:
    """Seconds that one event of a journey spends in calls."""
    events = f"sum by (journey) (rate({of(count('shopscope_journey_duration_seconds'))}[{RANGE}]))"
    return f"({busy(DEPENDENCY, by, *_CHOSEN)} / on (journey) group_left () ({events} > 0))"


def _sum_of(event: str) -> str:
    events = of(_EVENTS, OF_SERVICE, f'event=~"{event}"')
    return f"sum(increase({events}[$__range]))"


def _first() -> tuple[Panel, ...]:
    calls = observed(DEPENDENCY, _BY, *_CHOSEN)
    failing = observed(DEPENDENCY, _BY, *_CHOSEN, 'outcome="error"')
    waiting = busy(DEPENDENCY, _BY, *_CHOSEN)
    bare = f"sum by (journey) ({_unguarded(waiting)})"
    return (
        Stat(
            "Unguarded calls",
            "Calls that journeys wait for and that no breaker, retry, timeout or bulkhead guards: if the peer hangs, "
            "so do its callers.",
            [PromQuery(f"count({_unguarded(f'({calls} > 0)')})")],
            unit="short",
            graph=False,
            thresholds=[Threshold(None, "green"), Threshold(1.0, "orange")],
            width=4,
            height=5,
            links=[_SLOW, _HOW],
        ),
        Stat(
            "Guards",
            "Protections that calls were made under, or routes that are limited.",
            [PromQuery(f"count({of(_INFO, OF_SERVICE)})")],
            unit="short",
            graph=False,
            width=4,
            height=5,
            links=[_GUARDED, _HOW],
        ),
        Stat(
            "Breakers opened",
            "How often breakers opened in the time range.",
            [PromQuery(_sum_of("opened"), instant=True)],
            unit="short",
            decimals=0,
            graph=False,
            thresholds=[Threshold(None, "green"), Threshold(0.5, "red")],
            width=4,
            height=5,
            links=[DEPENDENCIES, _RUNBOOK],
        ),
        Stat(
            "Calls refused",
            "Calls that a breaker or bulkhead refused, a limiter limited, or that a timeout or the last retry gave "
            "up, in the time range.",
            [PromQuery(_sum_of("rejected|limited|expired|exhausted"), instant=True)],
            unit="short",
            decimals=0,
            graph=False,
            thresholds=[Threshold(None, "green"), Threshold(0.5, "orange")],
            width=4,
            height=5,
            links=[_GUARDED, _RUNBOOK],
        ),
        BarGauge(
            "Waiting without a guard",
            "Share of the time in calls that a journey spends in calls without a guard. A call contains those that its "
            "peer makes, so that a guard at the end of a chain does not help its beginning.",
            [
                PromQuery(
                    share(
                        f"({bare} or 0 * sum by (journey) ({waiting}))",
                        f"sum by (journey) ({waiting})",
                    ),
                    "{{journey}}",
                )
            ],
            unit="percentunit",
            minimum=0,
            maximum=1,
            thresholds=[Threshold(None, "green"), Threshold(0.5, "orange")],
            width=8,
            height=5,
            links=[_SLOW, _HOW],
        ),
        Table(
            "Calls of journeys without a guard",
            "What a journey waits for without protection, the longest wait first. The first row is where a guard is "
            "worth most.",
            [
                PromQuery(_unguarded(_per_event(_BY)), instant=True, format="table"),
                cells(_unguarded(calls)),
                cells(_unguarded(f"({share(f'({failing} or 0 * {calls})', calls)})")),
            ],
            unit="s",
            columns=[
                Column("journey", "Journey"),
                Column("service_name", "Caller"),
                Column("peer", "Peer"),
                Column("kind", "Kind", width=80),
                Column("A", "Wait per event", unit="s", width=160),
                Column("B", "Calls", unit="reqps", width=100),
                Column("C", "Failing", unit="percentunit", decimals=2, width=90),
            ],
            sort="Wait per event",
            width=14,
            height=11,
            links=[_SLOW, _HOW],
        ),
        TimeSeries(
            "Time of a journey in calls without a guard",
            "Seconds that one event spends in each. What grows here has nothing to stop it.",
            [PromQuery(_unguarded(_per_event("journey, service_name, peer")), f"{{{{journey}}}}: {CALL}")],
            unit="s",
            minimum=0,
            width=10,
            height=11,
            links=[_SLOW, DEPENDENCIES, _HOW],
        ),
    )


def _events() -> tuple[Panel, ...]:
    named = f"{CALL} {{{{operation}}}}"
    by = "service_name, peer, operation"
    retried = per_second(_EVENTS, "service_name, peer", OF_SERVICE, 'event="retried"')
    calls = f"sum by (service_name, peer) (rate({of(count(DEPENDENCY), OF_SERVICE)}[{RANGE}]))"
    return (
        StateTimeline(
            "Breakers",
            "What callers met: a breaker that lets calls through, one that tries again after its pause, one that "
            "refuses.",
            [PromQuery(breaker_state(), named)],
            mappings=STATES,
            width=12,
            links=[DEPENDENCIES, _RUNBOOK],
        ),
        TimeSeries(
            "Changes of breakers",
            "How often breakers opened, tried again and closed. Opening again and again: the peer recovers for as "
            "long as nobody calls it.",
            [
                PromQuery(
                    within(_EVENTS, f"{by}, event", OF_SERVICE, 'kind="breaker"'),
                    f"{named}: {{{{event}}}}",
                )
            ],
            unit="short",
            minimum=0,
            soft_maximum=1,
            decimals=0,
            draw="bars",
            width=12,
            links=[_GUARDED, _RUNBOOK],
        ),
        TimeSeries(
            "Attempts made again, per call",
            "How much load retries add to a peer. A peer that is slow gets slower by it.",
            [PromQuery(f"{retried} / on (service_name, peer) clamp_min({calls}, 1e-9)", CALL)],
            unit="percentunit",
            minimum=0,
            soft_maximum=0.05,
            thresholds=[Threshold(None, "green"), Threshold(0.02, "orange"), Threshold(0.1, "red")],
            links=[_GUARDED, _RUNBOOK],
        ),
        TimeSeries(
            "Retries that ended without success",
            "Calls per second whose last attempt failed too.",
            [PromQuery(per_second(_EVENTS, by, OF_SERVICE, 'kind="retry"', 'event="exhausted"'), named)],
            unit="cps",
            minimum=0,
            soft_maximum=1,
            links=[_GUARDED, _RUNBOOK],
        ),
        TimeSeries(
            "Limited, expired and refused",
            "Requests that a limiter turned away, calls that a timeout ended or that a breaker or bulkhead refused.",
            [
                PromQuery(
                    per_second(_EVENTS, f"{by}, event", OF_SERVICE, 'event=~"limited|expired|rejected"'),
                    f"{named}: {{{{event}}}}",
                )
            ],
            unit="cps",
            minimum=0,
            soft_maximum=1,
            links=[_GUARDED, _RUNBOOK],
        ),
    )


def _guards() -> tuple[Panel, ...]:
    by = "service_name, peer, operation, kind"
    return (
        Table(
            "Every guard",
            "Protections that were used, in how many processes, and what they did in the time range. A guard that "
            "never did anything may never have been tried: `shopscope` drills are for that.",
            [
                cells(f"sum by ({by}) ({of(_INFO, OF_SERVICE)})"),
                cells(f"sum by ({by}) (increase({of(_EVENTS, OF_SERVICE)}[$__range]))"),
            ],
            unit="short",
            columns=[
                Column("service_name", "Service", width=90),
                Column("peer", "Against", width=90),
                Column("operation", "Operation"),
                Column("kind", "Kind", width=90),
                Column("A", "Processes", unit="short", width=90),
                Column("B", "Events", unit="short", decimals=0, width=90),
            ],
            sort="Events",
            width=10,
            links=[_GUARDED, _HOW],
        ),
        Traces(
            "Guarded calls that failed",
            "Traces with a call that failed, or was refused, under a guard.",
            [TraceQuery(f"{{ {_SPANS} && span.shopscope.protection != nil && status = error }}")],
            width=14,
            links=[_GUARDED, _RUNBOOK],
        ),
        Traces(
            "Slow calls and what protects them",
            "Calls of more than 100 ms; where the column for the protection is empty, nothing ends the wait.",
            [TraceQuery(f"{{ {_SPANS} && duration > 100ms }} {_WITH_GUARDS}", table="spans")],
            width=24,
            links=[_SLOW, _HOW],
        ),
    )
