"""Who calls whom, how long that takes for which journey, and what fails."""

from typing import Final

from shopscope.config import Shop
from shopscope_dashboards import (
    ENVIRONMENT,
    Board,
    Column,
    Heatmap,
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
    ValueMapping,
    Variable,
    count,
    metric,
    runbook_link,
    traces_link,
)
from shopscope_dashboards.boards._graph import call_graph
from shopscope_dashboards.boards._service import (
    CALL,
    DEPENDENCY,
    EVENTS,
    JOURNEY,
    OF_SERVICE,
    PROTECTION,
    RANGE,
    SATURATION,
    SERVICE,
    breaker_state,
    busy,
    cells,
    heat,
    observed,
    of,
    per_second,
    quantile,
    share,
)

_OF_PEER: Final = 'peer=~"$peer"'
_CHOSEN: Final = (OF_SERVICE, _OF_PEER, 'journey=~"$journey"')
_GUARDED: Final = (OF_SERVICE, _OF_PEER)
_PEER: Final = Variable(
    "peer",
    "Peer",
    f"label_values({of(count(DEPENDENCY), OF_SERVICE)}, peer)",
    description="Who is called.",
)
_SPANS: Final = 'kind = client && resource.service.name =~ "$service" && span.peer.service =~ "$peer"'
_SPANS_OF_LINK: Final = _SPANS.replace("$service", "${service:regex}").replace("$peer", "${peer:regex}")
_RUNBOOK: Final = runbook_link("docs/runbooks/checkout.md#what-does-it-wait-for")
_FAILS: Final = runbook_link("docs/runbooks/checkout.md#what-fails")
_SLOW: Final = traces_link("Slow calls", f"{{ {_SPANS_OF_LINK} && duration > 250ms }}")
_FAILED: Final = traces_link("Failed calls", f"{{ {_SPANS_OF_LINK} && status = error }}")
_SHARE_OF_FAILURES: Final = (Threshold(None, "green"), Threshold(0.01, "orange"), Threshold(0.05, "red"))
#: What a breaker does to callers.
STATES: Final = (
    ValueMapping(0.0, "closed: lets calls through", "green"),
    ValueMapping(1.0, "half open: tries", "orange"),
    ValueMapping(2.0, "open: refuses calls", "red"),
)


def board(shop: Shop) -> Board:
    """The board; what is drawn follows from what the services of the shop call."""
    del shop
    return Board(
        "shopscope-dependencies",
        "Dependencies",
        "Who calls whom, how long each peer lets each journey wait, and what fails: where to look when a journey is "
        "slow and its own service is not.",
        (*_first(), Row("Latency"), *_latency(), Row("Failures"), *_failures(), Row("Calls and traces"), *_calls()),
        variables=(ENVIRONMENT, SERVICE, JOURNEY, _PEER),
    )


def _first() -> tuple[Panel, ...]:
    failed = observed(DEPENDENCY, "outcome", *_CHOSEN, 'outcome="error"').replace("sum by (outcome)", "sum")
    calls = observed(DEPENDENCY, "outcome", *_CHOSEN).replace("sum by (outcome)", "sum")
    retried = per_second(metric(EVENTS), "event", *_GUARDED, 'event="retried"').replace("sum by (event)", "sum")
    return (
        Stat(
            "Failing calls",
            "Share of all calls that ended in an error; answers such as 404 or 402, which say that the caller is "
            "wrong, do not count.",
            [PromQuery(share(f"({failed} or 0 * {calls})", calls))],
            unit="percentunit",
            decimals=2,
            thresholds=_SHARE_OF_FAILURES,
            width=4,
            height=4,
            links=[_FAILED, _FAILS],
        ),
        Stat(
            "Slowest call, p95",
            "The call whose p95 is highest now, and how high it is.",
            [PromQuery(f"topk(1, {quantile(0.95, DEPENDENCY, 'service_name, peer', *_CHOSEN)})", CALL, instant=True)],
            unit="s",
            text="value_and_name",
            graph=False,
            thresholds=[Threshold(None, "green"), Threshold(0.5, "orange"), Threshold(1.0, "red")],
            width=8,
            height=4,
            links=[_SLOW, _RUNBOOK],
        ),
        Stat(
            "Open breakers",
            "Breakers that opened or refused calls within the last interval. Calls under them fail at once, which "
            "protects the caller: the fault is behind them.",
            [PromQuery(f"sum(({breaker_state()}) == bool 2)")],
            unit="short",
            thresholds=[Threshold(None, "green"), Threshold(1.0, "red")],
            width=4,
            height=4,
            links=[PROTECTION, _FAILS],
        ),
        Stat(
            "Retries per call",
            "Attempts that were made again for each call. Above a few per cent, retries add load to a peer that has "
            "trouble already.",
            [PromQuery(share(f"({retried} or 0 * {calls})", calls))],
            unit="percentunit",
            decimals=2,
            thresholds=[Threshold(None, "green"), Threshold(0.02, "orange"), Threshold(0.1, "red")],
            width=4,
            height=4,
            links=[PROTECTION, _FAILED],
        ),
        Stat(
            "Given-up waits",
            "Callers per second that got no connection of a database pool in time. They look like a slow database and "
            "are a full pool.",
            [PromQuery(f"sum(rate({of(metric('db_client_connection_timeouts_total'), OF_SERVICE)}[{RANGE}]))")],
            unit="cps",
            thresholds=[Threshold(None, "green"), Threshold(0.001, "red")],
            width=4,
            height=4,
            links=[SATURATION, _RUNBOOK],
        ),
        call_graph(_CHOSEN, (_SLOW, _FAILED)),
        TimeSeries(
            "Time of a journey in each call",
            "Seconds that one event of the journey spends in each call, on average. A call contains those that its "
            "peer makes: the last of a chain that grows together is where the time goes.",
            [
                PromQuery(
                    f"{busy(DEPENDENCY, 'journey, service_name, peer', *_CHOSEN)} / on (journey) group_left () "
                    f"(sum by (journey) (rate({of(count('shopscope_journey_duration_seconds'))}[{RANGE}])) > 0)",
                    "{{journey}}: {{service_name}} → {{peer}}",
                )
            ],
            unit="s",
            minimum=0,
            legend="table",
            legend_values=["mean", "max"],
            width=9,
            height=15,
            links=[_SLOW, _RUNBOOK],
        ),
    )


def _latency() -> tuple[Panel, ...]:
    return (
        TimeSeries(
            "p95 by call",
            "How long the slowest twentieth of calls take at least, as the caller measures it: network and queues "
            "included. Dots open traces.",
            [PromQuery(quantile(0.95, DEPENDENCY, "service_name, peer", *_CHOSEN), CALL, exemplars=True)],
            unit="s",
            minimum=0,
            width=8,
            links=[_SLOW, _RUNBOOK],
        ),
        TimeSeries(
            "p50 by call",
            "The middle call. It rose together with p95: the peer is slow for everyone. It did not: for some, such as "
            "those who wait for a lock.",
            [PromQuery(quantile(0.5, DEPENDENCY, "service_name, peer", *_CHOSEN), CALL)],
            unit="s",
            minimum=0,
            width=8,
            links=[_SLOW, _RUNBOOK],
        ),
        TimeSeries(
            "p95 by peer and journey",
            "The same peer for each journey that uses it. Slow for one journey alone: what that journey asks for. "
            "Slow for all of them: the peer.",
            [PromQuery(quantile(0.95, DEPENDENCY, "peer, journey", *_CHOSEN), "{{peer}} for {{journey}}")],
            unit="s",
            minimum=0,
            width=8,
            links=[_SLOW, _RUNBOOK],
        ),
        Heatmap(
            "How long calls take",
            "All chosen calls by duration. Two bands: two kinds of answers, such as hit and miss, or one slow "
            "instance.",
            [heat(DEPENDENCY, *_CHOSEN)],
            unit="s",
            width=12,
            links=[_SLOW],
        ),
        TimeSeries(
            "Calls under way by peer",
            "How many calls wait for each peer at once, on average. What grows without bound here ends in a full "
            "pool, or out of memory.",
            [PromQuery(busy(DEPENDENCY, "service_name, peer", *_CHOSEN), CALL)],
            unit="short",
            minimum=0,
            width=12,
            links=[SATURATION, _SLOW],
        ),
    )


def _failures() -> tuple[Panel, ...]:
    failing = observed(DEPENDENCY, "service_name, peer", *_CHOSEN, 'outcome="error"')
    calls = observed(DEPENDENCY, "service_name, peer", *_CHOSEN)
    given_up = 'event=~"expired|exhausted|rejected|limited"'
    return (
        TimeSeries(
            "Failing calls",
            "Share of calls that ended in an error: no answer, a refused connection, a 5xx, a failed statement. The "
            "last of a chain is where it begins.",
            [PromQuery(share(f"({failing} or 0 * {calls})", calls), CALL)],
            unit="percentunit",
            minimum=0,
            soft_maximum=0.05,
            thresholds=_SHARE_OF_FAILURES,
            links=[_FAILED, _FAILS],
        ),
        TimeSeries(
            "Refused as the caller's fault",
            "Answers such as 402, 404, 409 and 429. Many at once: a release changed what is asked for, or a limit is "
            "reached.",
            [PromQuery(observed(DEPENDENCY, "service_name, peer", *_CHOSEN, 'outcome="rejected"'), CALL)],
            unit="reqps",
            minimum=0,
            links=[_FAILED, _FAILS],
        ),
        TimeSeries(
            "Retries",
            "Attempts made again, and retries that ended without success.",
            [
                PromQuery(
                    per_second(metric(EVENTS), "service_name, peer, event", *_GUARDED, 'kind="retry"'),
                    f"{CALL}: {{{{event}}}}",
                )
            ],
            unit="cps",
            minimum=0,
            links=[PROTECTION, _FAILED],
        ),
        TimeSeries(
            "Timeouts and calls given up",
            "Calls that ended without the peer's answer: a timeout expired, retries were exhausted, a breaker or "
            "bulkhead refused, a limiter limited, a wait for a pool's connection was given up.",
            [
                PromQuery(
                    per_second(metric(EVENTS), "service_name, peer, event", *_GUARDED, given_up),
                    f"{CALL}: {{{{event}}}}",
                ),
                PromQuery(
                    per_second(metric("db_client_connection_timeouts_total"), "service_name, pool", OF_SERVICE),
                    "{{service_name}}: wait for {{pool}}",
                ),
            ],
            unit="cps",
            minimum=0,
            width=12,
            links=[PROTECTION, _FAILED, _FAILS],
        ),
        StateTimeline(
            "Breakers",
            "What callers met: a breaker that lets calls through, one that tries again after its pause, one that "
            "refuses. Libraries tell changes; a breaker that nobody calls looks closed.",
            [PromQuery(breaker_state(), "{{service_name}} → {{peer}} {{operation}}")],
            mappings=STATES,
            width=12,
            links=[PROTECTION, _FAILS],
        ),
    )


def _calls() -> tuple[Panel, ...]:
    by = "service_name, peer, kind, access"
    calls = observed(DEPENDENCY, by, *_CHOSEN)
    failing = observed(DEPENDENCY, by, *_CHOSEN, 'outcome="error"')
    return (
        Table(
            "Every call",
            "Each call with its rate, latency and failures, the slowest first.",
            [
                cells(calls),
                cells(quantile(0.5, DEPENDENCY, by, *_CHOSEN), "p50"),
                cells(quantile(0.95, DEPENDENCY, by, *_CHOSEN), "p95"),
                cells(share(f"({failing} or 0 * {calls})", calls)),
            ],
            unit="s",
            columns=[
                Column("service_name", "Caller"),
                Column("peer", "Peer"),
                Column("kind", "Kind", width=80),
                Column("access", "Access", width=80),
                Column("A", "Calls", unit="reqps", width=110),
                Column("B", "p50", unit="s", width=110),
                Column("C", "p95", unit="s", width=110),
                Column(
                    "D",
                    "Failing",
                    unit="percentunit",
                    decimals=2,
                    width=110,
                    cell="background",
                    thresholds=_SHARE_OF_FAILURES,
                ),
            ],
            sort="p95",
            width=24,
            height=11,
            links=[_SLOW, _FAILED],
        ),
        Traces(
            "Traces with slow calls",
            "Traces of the chosen journeys with a call of more than a quarter of a second to the chosen peers.",
            [TraceQuery(f'{{ {_SPANS} && span.shopscope.journey =~ "$journey" && duration > 250ms }}')],
            width=12,
            height=9,
            links=[_SLOW, _RUNBOOK],
        ),
        Traces(
            "Traces with failed calls",
            "Traces of the chosen journeys in which a call to the chosen peers failed or was refused.",
            [TraceQuery(f'{{ {_SPANS} && span.shopscope.journey =~ "$journey" && status = error }}')],
            width=12,
            height=9,
            links=[_FAILED, _FAILS],
        ),
    )
