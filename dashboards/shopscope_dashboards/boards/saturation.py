"""What is short: event loops, threads, pools, CPU, memory, and which journeys share it."""

from typing import Final

from shopscope.config import Shop
from shopscope_dashboards import (
    ENVIRONMENT,
    BarGauge,
    Board,
    Column,
    Heatmap,
    Override,
    Panel,
    PromQuery,
    Row,
    Table,
    Threshold,
    TimeSeries,
    count,
    metric,
    total,
)
from shopscope_dashboards.boards._service import (
    DEPENDENCIES,
    DEPENDENCY,
    OF_SERVICE,
    RANGE,
    RUNBOOK,
    SERVICE,
    SLOW_REQUESTS,
    busy,
    cells,
    heat,
    observed,
    of,
    per_second,
    quantile,
)

_LAG: Final = "shopscope_event_loop_lag_seconds"
_PAUSE: Final = "shopscope_gc_pause_seconds"
_REQUESTS: Final = "http_server_request_duration_seconds"
_WAIT: Final = "db_client_connection_wait_time_seconds"
_THROTTLED: Final = metric("shopscope_cpu_throttled_periods_total")
# prometheus_client's own collector of the process; it travels with the SDK's.
_CPU: Final = "process_cpu_seconds_total"
_MEMORY: Final = "process_resident_memory_bytes"
_FILES: Final = ("process_open_fds", "process_max_fds")
_PROCESS: Final = "service_name, service_instance_id"
# The stack's own components tell of their processes under the same names, without a service.
_OF_PROCESS: Final = (OF_SERVICE, 'service_name!=""')
_SHARED: Final = (OF_SERVICE, 'kind=~"db|cache"')

_LAG_STEPS: Final = (Threshold(None, "green"), Threshold(0.02, "orange"), Threshold(0.1, "red"))
_FULL_STEPS: Final = (Threshold(None, "green"), Threshold(0.7, "orange"), Threshold(0.9, "red"))
_WAIT_STEPS: Final = (Threshold(None, "green"), Threshold(0.01, "orange"), Threshold(0.1, "red"))
_STOPPED_STEPS: Final = (Threshold(None, "green"), Threshold(0.05, "orange"), Threshold(0.25, "red"))


def board(shop: Shop) -> Board:
    """The board; journeys come from what the services say of their calls."""
    del shop
    return Board(
        "shopscope-saturation",
        "Saturation",
        "What is short and who waits for it: event loops, threads, database pools, CPU and memory of each service, "
        "and the journeys that share them.",
        (
            *_first(),
            Row("Who shares what"),
            *_sharing(),
            Row("Event loop and threads"),
            *_loop(),
            Row("Database pools"),
            *_pools(),
            Row("CPU, garbage collection, memory"),
            *_process(),
        ),
        variables=(ENVIRONMENT, SERVICE),
    )


def _pool_use(by: str) -> str:
    in_use = of(metric("db_client_connection_count"), OF_SERVICE, 'state="used"')
    most = f"sum by ({_PROCESS}, pool) ({of(metric('db_client_connection_max'), OF_SERVICE)})"
    return f"max by ({by}) (sum by ({_PROCESS}, pool) ({in_use}) / {most})"


def _cpu() -> str:
    return f"max by (service_name) (rate({of(_CPU, *_OF_PROCESS)}[{RANGE}]))"


def _throttled_share() -> str:
    periods = per_second(metric("shopscope_cpu_periods_total"), "service_name", OF_SERVICE)
    return f"{per_second(_THROTTLED, 'service_name', OF_SERVICE)} / clamp_min({periods}, 1e-9)"


def _first() -> tuple[Panel, ...]:
    return (
        BarGauge(
            "Event-loop lag, p99",
            "How much later than due the slowest hundredth of a service's timers ran. Everything that a service "
            "answers waits for so long: something computes, or blocks, in its event loop.",
            [PromQuery(quantile(0.99, _LAG, "service_name", OF_SERVICE), "{{service_name}}")],
            unit="s",
            minimum=0,
            maximum=0.2,
            thresholds=_LAG_STEPS,
            width=6,
            links=[SLOW_REQUESTS, RUNBOOK],
        ),
        BarGauge(
            "Pools in use",
            "Connections in use of those that a pool may open, in the process where it is fullest. Full: the next "
            "caller waits.",
            [PromQuery(_pool_use("service_name, pool"), "{{service_name}}: {{pool}}")],
            unit="percentunit",
            minimum=0,
            maximum=1,
            thresholds=_FULL_STEPS,
            width=6,
            links=[DEPENDENCIES, RUNBOOK],
        ),
        BarGauge(
            "CPU, of one core",
            "CPU time per second of a service's busiest process. One Python process computes on one core: at 100 % it "
            "answers no faster with more requests, and more processes are the remedy.",
            [PromQuery(_cpu(), "{{service_name}}")],
            unit="percentunit",
            minimum=0,
            maximum=1,
            thresholds=_FULL_STEPS,
            width=6,
            links=[SLOW_REQUESTS, RUNBOOK],
        ),
        BarGauge(
            "Stopped by the CPU limit",
            "Share of scheduling periods in which the container's CPU limit stopped a process of the service: 0 too "
            "where there is no limit. Stopped though CPU is not at 100 %: the limit is below what bursts need.",
            [PromQuery(_throttled_share(), "{{service_name}}")],
            unit="percentunit",
            minimum=0,
            maximum=1,
            thresholds=_STOPPED_STEPS,
            width=6,
            links=[SLOW_REQUESTS, RUNBOOK],
        ),
    )


def _sharing() -> tuple[Panel, ...]:
    by = "service_name, peer, kind"
    at_once = busy(DEPENDENCY, by, *_SHARED)
    each = f"sum by ({by}, journey) (rate({of(count(DEPENDENCY), *_SHARED)}[{RANGE}])) > 0"
    return (
        TimeSeries(
            "Connections busy, by journey",
            "How many statements and commands are under way at once, on average, for each journey. The journey that "
            "grew is the one that takes a shared pool from the others.",
            [
                PromQuery(
                    busy(DEPENDENCY, "journey, service_name, peer", *_SHARED),
                    "{{journey}}: {{service_name}} → {{peer}}",
                )
            ],
            unit="short",
            minimum=0,
            stack=True,
            width=12,
            height=9,
            links=[DEPENDENCIES, RUNBOOK],
        ),
        TimeSeries(
            "Requests under way, by route",
            "How many requests each route has under way at once, on average. They share the service's event loop.",
            [PromQuery(busy(_REQUESTS, "service_name, http_route", OF_SERVICE), "{{service_name}} {{http_route}}")],
            unit="short",
            minimum=0,
            stack=True,
            width=12,
            height=9,
            links=[SLOW_REQUESTS, RUNBOOK],
        ),
        Table(
            "What journeys share",
            "Each database and cache by service: how many journeys use it, how many calls are under way at once, and "
            "how slow they are. What many journeys share takes all of them down.",
            [
                cells(f"count by ({by}) ({each})"),
                cells(at_once),
                cells(observed(DEPENDENCY, by, *_SHARED)),
                cells(quantile(0.95, DEPENDENCY, by, *_SHARED), "p95"),
            ],
            unit="s",
            columns=[
                Column("service_name", "Service"),
                Column("peer", "Shared"),
                Column("kind", "Kind", width=80),
                Column("A", "Journeys", unit="short", width=100),
                Column("B", "At once", unit="short", decimals=2, width=90),
                Column("C", "Calls", unit="reqps", width=110),
                Column("D", "p95", unit="s", width=90),
            ],
            sort="Journeys",
            width=14,
            links=[DEPENDENCIES, RUNBOOK],
        ),
        TimeSeries(
            "Requests in flight",
            "Requests that a service serves right now, as each process counts them when it reports.",
            [
                PromQuery(
                    f"sum by (service_name) ({of(metric('http_server_active_requests'), OF_SERVICE)})",
                    "{{service_name}}",
                )
            ],
            unit="short",
            minimum=0,
            width=10,
            links=[SLOW_REQUESTS, RUNBOOK],
        ),
    )


def _loop() -> tuple[Panel, ...]:
    used = f"sum by (service_name, pool) ({of(metric('shopscope_thread_pool_used'), OF_SERVICE)})"
    most = f"sum by (service_name, pool) ({of(metric('shopscope_thread_pool_max'), OF_SERVICE)})"
    return (
        TimeSeries(
            "Event-loop lag",
            "p99 and p50 of the lag. A p50 that rises too: the loop is busy all the time, not now and then.",
            [
                PromQuery(quantile(0.99, _LAG, "service_name", OF_SERVICE), "{{service_name}} p99"),
                PromQuery(quantile(0.5, _LAG, "service_name", OF_SERVICE), "{{service_name}} p50"),
            ],
            unit="s",
            minimum=0,
            thresholds=_LAG_STEPS,
            soft_maximum=0.02,
            links=[SLOW_REQUESTS, RUNBOOK],
        ),
        Heatmap(
            "How late timers run",
            "All chosen services. A thin upper band at a fixed height is one piece of code that always computes for "
            "so long.",
            [heat(_LAG, OF_SERVICE)],
            unit="s",
            links=[SLOW_REQUESTS, RUNBOOK],
        ),
        TimeSeries(
            "Threads in use",
            "Share of anyio's threads, which sync endpoints and `run_in_threadpool` run in, that are at work; and "
            "tasks that wait for a thread of that pool or of an executor.",
            [
                PromQuery(f"{used} / ({most} > 0)", "{{service_name}}: {{pool}}"),
                PromQuery(
                    f"sum by (service_name, pool) ({of(metric('shopscope_thread_pool_waiting'), OF_SERVICE)})",
                    "{{service_name}}: waiting for {{pool}}",
                ),
            ],
            unit="percentunit",
            minimum=0,
            soft_maximum=1,
            overrides=[Override("/waiting for/", unit="short", right=True)],
            links=[SLOW_REQUESTS, RUNBOOK],
        ),
    )


def _pools() -> tuple[Panel, ...]:
    pool = "service_name, pool"
    named = "{{service_name}}: {{pool}}"
    return (
        TimeSeries(
            "Connections",
            "Connections by state, all processes of a service together, and the most that they may open.",
            [
                PromQuery(
                    f"sum by ({pool}, state) ({of(metric('db_client_connection_count'), OF_SERVICE)})",
                    f"{named} {{{{state}}}}",
                ),
                PromQuery(f"sum by ({pool}) ({of(metric('db_client_connection_max'), OF_SERVICE)})", f"{named} most"),
            ],
            unit="short",
            minimum=0,
            links=[DEPENDENCIES, RUNBOOK],
        ),
        TimeSeries(
            "Waiting for a connection, p95",
            "Time until a pool handed out a connection. More than a few milliseconds: the pool is too small, or what "
            "uses its connections is too slow.",
            [PromQuery(quantile(0.95, _WAIT, pool, OF_SERVICE), named)],
            unit="s",
            minimum=0,
            thresholds=_WAIT_STEPS,
            soft_maximum=0.01,
            links=[DEPENDENCIES, SLOW_REQUESTS, RUNBOOK],
        ),
        TimeSeries(
            "Callers waiting, and given up",
            "Callers that wait for a connection right now, and on the right those per second that gave up.",
            [
                PromQuery(
                    f"sum by ({pool}) ({of(metric('db_client_connection_pending_requests'), OF_SERVICE)})",
                    f"{named} waiting",
                ),
                PromQuery(
                    per_second(metric("db_client_connection_timeouts_total"), pool, OF_SERVICE),
                    f"{named} given up per second",
                ),
            ],
            unit="short",
            overrides=[Override("/given up per second/", unit="cps", right=True)],
            minimum=0,
            soft_maximum=1,
            links=[DEPENDENCIES, SLOW_REQUESTS, RUNBOOK],
        ),
    )


def _process() -> tuple[Panel, ...]:
    opened, most = _FILES
    files = f"{of(opened, *_OF_PROCESS)} / {of(most, *_OF_PROCESS)}"
    paused = f"rate({of(total(_PAUSE), OF_SERVICE)}[{RANGE}])"
    return (
        TimeSeries(
            "CPU of the busiest process",
            "Of one core.",
            [PromQuery(_cpu(), "{{service_name}}")],
            unit="percentunit",
            minimum=0,
            soft_maximum=1,
            thresholds=_FULL_STEPS,
            links=[SLOW_REQUESTS, RUNBOOK],
        ),
        TimeSeries(
            "Stood still for the CPU limit",
            "Seconds per second for which the container's CPU limit stopped the service's processes.",
            [
                PromQuery(
                    per_second(metric("shopscope_cpu_throttled_seconds_total"), "service_name", OF_SERVICE),
                    "{{service_name}}",
                )
            ],
            unit="percentunit",
            minimum=0,
            soft_maximum=0.1,
            thresholds=_STOPPED_STEPS,
            links=[SLOW_REQUESTS, RUNBOOK],
        ),
        TimeSeries(
            "Time spent collecting garbage",
            "Share of a process's time, in the process where it is largest. Nothing else runs meanwhile.",
            [PromQuery(f"max by (service_name) ({paused})", "{{service_name}}")],
            unit="percentunit",
            minimum=0,
            soft_maximum=0.02,
            links=[SLOW_REQUESTS, RUNBOOK],
        ),
        TimeSeries(
            "Pause for garbage collection, p99",
            "Long pauses of a large heap; `freeze_gc` takes what was there at start out of them.",
            [PromQuery(quantile(0.99, _PAUSE, "service_name", OF_SERVICE), "{{service_name}}")],
            unit="s",
            minimum=0,
            soft_maximum=0.02,
            links=[SLOW_REQUESTS, RUNBOOK],
        ),
        TimeSeries(
            "Memory of the largest process",
            "Resident memory. A line that only climbs is a leak, or a cache without bound.",
            [PromQuery(f"max by (service_name) ({of(_MEMORY, *_OF_PROCESS)})", "{{service_name}}")],
            unit="bytes",
            minimum=0,
            links=[RUNBOOK],
        ),
        TimeSeries(
            "Open files and sockets",
            "Of those that a process may open, where it is most. Full: no new connection is taken or made.",
            [PromQuery(f"max by (service_name) ({files})", "{{service_name}}")],
            unit="percentunit",
            minimum=0,
            soft_maximum=0.1,
            thresholds=_FULL_STEPS,
            links=[RUNBOOK],
        ),
    )
