"""Whether caches help, how old their answers are, and where data disagree."""

from typing import Final

from shopscope.config import Shop
from shopscope_dashboards import (
    ENVIRONMENT,
    BarGauge,
    Board,
    Column,
    Heatmap,
    Panel,
    PromQuery,
    Row,
    Stat,
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
    DEPENDENCIES,
    DEPENDENCY,
    OF_SERVICE,
    RANGE,
    SERVICE,
    busy,
    cells,
    heat,
    observed,
    of,
    or_none,
    per_second,
    quantile,
    share,
)

_READS: Final = metric("shopscope_cache_requests_total")
_AGE: Final = "shopscope_cache_entry_age_seconds"
_CONFLICTS: Final = metric("shopscope_write_conflicts_total")
_STALE: Final = metric("shopscope_stale_reads_total")
_CHOSEN: Final = (OF_SERVICE, 'cache=~"$cache"')
_WRITES: Final = (OF_SERVICE, 'kind="db"', 'access="write"')
_DATA: Final = (OF_SERVICE, 'access=~"read|write"')
_CACHE: Final = Variable("cache", "Cache", f"label_values({of(_READS, OF_SERVICE)}, cache)", description="By its name.")
_RUNBOOK: Final = runbook_link("docs/runbooks/checkout.md#what-fails")
_HOW: Final = runbook_link("docs/how-to/protection.md#caches-conflicts-and-stale-reads", "How these are counted")
_SPANS: Final = 'kind = client && resource.service.name =~ "${service:regex}" && span.db.system.name != nil'
_SLOW: Final = traces_link("Slow reads and writes", f"{{ {_SPANS} && duration > 100ms }}")
_COLOURS: Final = {"/hit$/": "green", "/miss$/": "blue", "/stale$/": "orange"}


def board(shop: Shop) -> Board:
    """The board; caches and entities come from what the services say."""
    del shop
    return Board(
        "shopscope-caches",
        "Caches and consistency",
        "Whether caches answer, how old what they answer is, which reads turned out to be out of date and which "
        "writes met another; read path and write path apart.",
        (
            *_first(),
            Row("Caches"),
            *_caches(),
            Row("Consistency"),
            *_consistency(),
            Row("Read path and write path"),
            *_paths(),
        ),
        variables=(ENVIRONMENT, SERVICE, _CACHE),
    )


def _of_result(result: str, by: str = "cache") -> str:
    """Reads with that result; 0 where there are reads and none of it."""
    part = per_second(_READS, by, *_CHOSEN, f'result="{result}"')
    return f"({part} or 0 * {per_second(_READS, by, *_CHOSEN)})"


def _first() -> tuple[Panel, ...]:
    reads = per_second(_READS, "cache", *_CHOSEN)
    writes = f"sum(rate({of(count(DEPENDENCY), *_WRITES)}[{RANGE}]))"
    conflicts = f"sum(rate({of(_CONFLICTS, OF_SERVICE)}[{RANGE}]))"
    stale = f"sum(rate({of(_STALE, OF_SERVICE)}[{RANGE}]))"
    return (
        BarGauge(
            "Hit rate",
            "Share of reads that a cache answered with an entry that was not out of date. A sudden fall: the cache was "
            "emptied, is away, or its keys changed with a release; what stands behind it gets the load.",
            [PromQuery(share(_of_result("hit"), reads), "{{cache}}")],
            unit="percentunit",
            minimum=0,
            maximum=1,
            thresholds=[Threshold(None, "red"), Threshold(0.2, "orange"), Threshold(0.5, "green")],
            width=8,
            height=6,
            links=[DEPENDENCIES, _HOW],
        ),
        Stat(
            "Served though out of date",
            "Share of reads that got an old entry because its owner failed: customers see something, and it is old.",
            [PromQuery(share(_of_result("stale"), reads), "{{cache}}")],
            unit="percentunit",
            decimals=2,
            thresholds=[Threshold(None, "green"), Threshold(0.001, "orange"), Threshold(0.05, "red")],
            width=5,
            height=6,
            links=[DEPENDENCIES, _HOW],
        ),
        Stat(
            "Reads out of date",
            "Reads per second that turned out to be out of date: what was shown was no longer true.",
            [PromQuery(f"{stale} or 0 * sum(rate({of(_READS, OF_SERVICE)}[{RANGE}]))")],
            unit="cps",
            decimals=2,
            width=5,
            height=6,
            links=[_HOW],
        ),
        Stat(
            "Conflicts per write",
            "Writes that were refused because another had changed the same data, for each statement that writes. Each "
            "is tried again, or told to the customer.",
            [PromQuery(share(f"({conflicts} or 0 * {writes})", writes))],
            unit="percentunit",
            decimals=2,
            thresholds=[Threshold(None, "green"), Threshold(0.02, "orange"), Threshold(0.1, "red")],
            width=6,
            height=6,
            links=[_SLOW, _RUNBOOK],
        ),
    )


def _caches() -> tuple[Panel, ...]:
    reads = per_second(_READS, "cache", *_CHOSEN)
    return (
        TimeSeries(
            "Hit rate over time",
            "Share of reads answered by the cache.",
            [PromQuery(share(_of_result("hit"), reads), "{{cache}}")],
            unit="percentunit",
            minimum=0,
            maximum=1,
            links=[DEPENDENCIES, _HOW],
        ),
        TimeSeries(
            "Reads by result",
            "A *miss* costs a call of the owner; *stale* is an entry that was served although it was out of date.",
            [PromQuery(per_second(_READS, "cache, result", *_CHOSEN), "{{cache}} {{result}}")],
            unit="reqps",
            minimum=0,
            stack=True,
            colours=_COLOURS,
            links=[DEPENDENCIES, _HOW],
        ),
        TimeSeries(
            "Age of what was served, p95",
            "How old an entry was when it was served. Near the time for which entries are kept: they are hardly used.",
            [PromQuery(quantile(0.95, _AGE, "cache, result", *_CHOSEN), "{{cache}} {{result}}")],
            unit="s",
            minimum=0,
            links=[_HOW],
        ),
        Heatmap(
            "How old entries are",
            "All chosen caches by the age of what they served.",
            [heat(_AGE, *_CHOSEN)],
            unit="s",
            width=12,
            links=[_HOW],
        ),
        Table(
            "Each cache",
            "What it answers in the time range that is chosen above.",
            [
                cells(f"sum by (service_name, cache) (increase({of(_READS, *_CHOSEN)}[$__range]))"),
                cells(
                    share(_of_result("hit", "service_name, cache"), per_second(_READS, "service_name, cache", *_CHOSEN))
                ),
                cells(
                    share(
                        _of_result("stale", "service_name, cache"), per_second(_READS, "service_name, cache", *_CHOSEN)
                    )
                ),
                cells(quantile(0.5, _AGE, "service_name, cache", *_CHOSEN), "p50"),
            ],
            unit="short",
            columns=[
                Column("service_name", "Service"),
                Column("cache", "Cache"),
                Column("A", "Reads", unit="short", decimals=0, width=80),
                Column(
                    "B", "Hit rate now", unit="percentunit", decimals=1, width=130, cell="gauge", minimum=0, maximum=1
                ),
                Column("C", "Out of date now", unit="percentunit", decimals=2, width=140),
                Column("D", "Age, p50", unit="s", width=90),
            ],
            sort="Reads",
            width=12,
            links=[DEPENDENCIES, _HOW],
        ),
    )


def _consistency() -> tuple[Panel, ...]:
    return (
        TimeSeries(
            "Write conflicts",
            "Writes refused because another had changed the same data: version columns, serialization failures, "
            "deadlocks. A line without an entity is a service that writes without conflicts. A step: many want the "
            "same thing (a sale), or a lock is held for longer.",
            [
                PromQuery(
                    or_none(
                        per_second(_CONFLICTS, "service_name, entity", OF_SERVICE),
                        observed(DEPENDENCY, "service_name", *_WRITES),
                        "entity",
                    ),
                    "{{service_name}}: {{entity}}",
                )
            ],
            unit="cps",
            minimum=0,
            soft_maximum=1,
            links=[_SLOW, _RUNBOOK],
        ),
        TimeSeries(
            "Reads out of date, by entity",
            "Reads that turned out to be out of date. Rising with the age of entries: they are kept for too long.",
            [
                PromQuery(
                    or_none(
                        per_second(_STALE, "service_name, entity", OF_SERVICE),
                        per_second(_READS, "service_name", OF_SERVICE),
                        "entity",
                    ),
                    "{{service_name}}: {{entity}}",
                )
            ],
            unit="cps",
            minimum=0,
            soft_maximum=1,
            links=[_HOW],
        ),
        Traces(
            "Traces of slow writes",
            "Traces in which a statement that writes took more than 10 ms: who waits for a lock is among them.",
            [
                TraceQuery(
                    '{ kind = client && resource.service.name =~ "$service" && '
                    'span.db.operation.name =~ "INSERT|UPDATE|DELETE" && duration > 10ms }'
                )
            ],
            links=[_SLOW],
        ),
    )


def _paths() -> tuple[Panel, ...]:
    by = "service_name, peer, access"
    named = "{{service_name}} → {{peer}} {{access}}"
    failing = observed(DEPENDENCY, by, *_DATA, 'outcome="error"')
    calls = observed(DEPENDENCY, by, *_DATA)
    return (
        TimeSeries(
            "Reads, p95",
            "Statements and commands that read. Slow reads alone: a missing index, a cold cache of the database, a "
            "replica.",
            [
                PromQuery(
                    quantile(0.95, DEPENDENCY, "service_name, peer", OF_SERVICE, 'access="read"'),
                    "{{service_name}} → {{peer}}",
                    exemplars=True,
                )
            ],
            unit="s",
            minimum=0,
            links=[_SLOW, DEPENDENCIES],
        ),
        TimeSeries(
            "Writes, p95",
            "Statements and commands that write. Slow writes alone: locks, or the disk.",
            [
                PromQuery(
                    quantile(0.95, DEPENDENCY, "service_name, peer", OF_SERVICE, 'access="write"'),
                    "{{service_name}} → {{peer}}",
                    exemplars=True,
                )
            ],
            unit="s",
            minimum=0,
            links=[_SLOW, DEPENDENCIES],
        ),
        TimeSeries(
            "Failing reads and writes",
            "Share that ended in an error. Writes alone: a replica was promoted, a disk is full, a table is locked.",
            [PromQuery(share(f"({failing} or 0 * {calls})", calls), named)],
            unit="percentunit",
            minimum=0,
            soft_maximum=0.01,
            links=[_SLOW, _RUNBOOK],
        ),
        TimeSeries(
            "Reads and writes",
            "Statements and commands per second.",
            [PromQuery(calls, named)],
            unit="ops",
            minimum=0,
            width=12,
            links=[DEPENDENCIES],
        ),
        TimeSeries(
            "Time of a journey in reads and in writes",
            "Seconds that one event of the journey spends in each path, on average.",
            [
                PromQuery(
                    f"{busy(DEPENDENCY, 'journey, access', *_DATA)} / on (journey) group_left () "
                    f"(sum by (journey) (rate({of(count('shopscope_journey_duration_seconds'))}[{RANGE}])) > 0)",
                    "{{journey}} {{access}}",
                )
            ],
            unit="s",
            minimum=0,
            width=12,
            links=[_SLOW, DEPENDENCIES],
        ),
    )
