"""What stands below a journey's first screen: each answer once more, over time and by every part."""

from collections.abc import Iterator
from typing import Any, Final

from shopscope.config import Shop
from shopscope_dashboards import (
    Column,
    Heatmap,
    Link,
    LogQuery,
    Logs,
    Override,
    Panel,
    PromQuery,
    Row,
    Stat,
    Table,
    Threshold,
    TimeSeries,
    TraceQuery,
    Traces,
    board_link,
    logs_link,
    metric,
    traces_link,
)
from shopscope_dashboards.boards._journey_queries import PAGE_BURN_RATE, JourneyQueries
from shopscope_dashboards.boards._promql import ENVIRONMENT_IS, money_unit, rate

_WINDOWS: Final = ("5m", "1h", "6h", "3d")


def below(shop: Shop, queries: JourneyQueries) -> Iterator[Panel | Row]:
    """The rows in the order of the first screen's questions."""
    yield Row("For whom")
    yield from _for_whom(queries)
    if queries.journey.routes:
        yield Row("Which route")
        yield from _which_route(queries)
    yield Row("Which dependency")
    yield from _which_dependency(queries)
    yield Row("Which release")
    yield from _which_release(queries)
    yield Row("Show me")
    yield from _show_me(queries)
    yield Row("What does it cost")
    yield from _budget(queries)
    if queries.journey.value is not None:
        yield from _money(shop, queries)


def slow(queries: JourneyQueries) -> list[Link]:
    """Leads to the slow traces."""
    return [traces_link("Slow traces", queries.slow_traces())]


def failed(queries: JourneyQueries) -> list[Link]:
    """Leads to the failed traces."""
    return [traces_link("Failed traces", queries.failed_traces())]


def only(*fields: str) -> dict[str, Any]:
    """Grafana's transformation that keeps these fields of a list of traces; there is no room for more."""
    return {"id": "filterFieldsByName", "options": {"include": {"names": list(fields)}}}


def _dependencies(queries: JourneyQueries) -> Link:
    return board_link("Dependencies", "shopscope-dependencies", journey=queries.journey.name)


def _latency_line(queries: JourneyQueries) -> list[Threshold]:
    return [Threshold(None, "green"), Threshold(queries.journey.latency_seconds, "red")]


def _budget_line(queries: JourneyQueries) -> list[Threshold]:
    return [Threshold(None, "green"), Threshold(queries.budget, "orange")]


def _for_whom(queries: JourneyQueries) -> Iterator[Panel]:
    environment, process = "{{deployment_environment_name}}", "{{host_name}} {{service_instance_id}}"
    yield TimeSeries(
        "Bad events by environment",
        "Share of slow and failed events; the line is what the objective allows.",
        [PromQuery(queries.bad_share_by("deployment_environment_name"), environment)],
        unit="percentunit",
        thresholds=_budget_line(queries),
        minimum=0,
        soft_maximum=2 * queries.budget,
        links=failed(queries),
    )
    yield TimeSeries(
        "Bad events by process",
        "One line above the others: that process or its host. All together: what they share.",
        [PromQuery(queries.bad_share_by("host_name", "service_instance_id"), process)],
        unit="percentunit",
        thresholds=_budget_line(queries),
        minimum=0,
        soft_maximum=2 * queries.budget,
        links=failed(queries),
    )
    yield TimeSeries(
        "p95 by process",
        "One line above the others: a cold, starved or far process.",
        [PromQuery(queries.latency_by(0.95, "host_name", "service_instance_id"), process)],
        unit="s",
        thresholds=_latency_line(queries),
        minimum=0,
        links=[*slow(queries), board_link("Saturation", "shopscope-saturation")],
    )


def _which_route(queries: JourneyQueries) -> Iterator[Panel]:
    route = "{{http_request_method}} {{http_route}}"
    yield Table(
        "Routes of the journey",
        "Requests, and the share answered with 5xx: whether all of the journey is ill or one route of it.",
        [
            PromQuery(queries.requests_by_route(), instant=True, format="table"),
            PromQuery(queries.failed_by_route(), instant=True, format="table"),
            PromQuery(queries.latency_by_route(0.95), instant=True, format="table"),
        ],
        columns=[
            Column("http_request_method", "method", width=70),
            Column("http_route", "route"),
            Column("A", "requests", unit="reqps", decimals=1, width=90),
            Column("B", "failed", unit="percentunit", decimals=1, width=70),
            Column("C", "p95", unit="s", decimals=1, width=80, cell="text", thresholds=_latency_line(queries)),
        ],
        unit="short",
        sort="requests",
        height=7,
        links=failed(queries),
    )
    yield TimeSeries(
        "p95 by route",
        "95 of 100 requests of the route take no longer; the line is the journey's threshold.",
        [PromQuery(queries.latency_by_route(0.95), route)],
        unit="s",
        thresholds=_latency_line(queries),
        minimum=0,
        height=7,
        links=slow(queries),
    )
    yield TimeSeries(
        "Requests by status",
        "4xx are answers that the customer can do something about, and good ones; 5xx are errors.",
        [PromQuery(queries.requests_by_status(), "{{http_response_status_code}}")],
        unit="reqps",
        stack=True,
        colours={"/^2/": "green", "/^3/": "blue", "/^4/": "yellow", "/^5/": "red"},
        minimum=0,
        height=7,
        links=failed(queries),
    )


def _which_dependency(queries: JourneyQueries) -> Iterator[Panel]:
    edge = "{{service_name}} → {{peer}}"
    onward = [_dependencies(queries), *slow(queries)]
    yield TimeSeries(
        "Where one event's time goes",
        "Each participant's own time for one event: its work and the network before it, without its own calls. "
        "Together they are the mean that a customer waits. Participants that are asked side by side add up to more.",
        [PromQuery(queries.own_time(), "{{peer}}")],
        unit="s",
        stack=True,
        minimum=0,
        width=12,
        links=onward,
    )
    yield TimeSeries(
        "p95 of calls by caller and callee",
        "As the caller sees them. A caller's line grows with its callee's: the last one of the chain that grew is it.",
        [PromQuery(queries.call_latency(0.95), edge, exemplars=True)],
        unit="s",
        thresholds=_latency_line(queries),
        minimum=0,
        width=12,
        links=onward,
    )
    yield TimeSeries(
        "Failed calls",
        "Share of calls that failed or were not answered in time; what was refused with 4xx is an answer.",
        [PromQuery(queries.failed_calls("service_name", "peer"), edge)],
        unit="percentunit",
        minimum=0,
        soft_maximum=2 * queries.budget,
        width=12,
        links=[_dependencies(queries), *failed(queries)],
    )
    yield TimeSeries(
        "Calls for one event",
        "A step up is a loop of single reads where there was one, a cache that went cold, or retries.",
        [PromQuery(queries.calls_per_event("service_name", "peer"), edge)],
        unit="short",
        minimum=0,
        width=12,
        links=[
            _dependencies(queries),
            board_link("Caches", "shopscope-caches"),
            *slow(queries),
        ],
    )


def _which_release(queries: JourneyQueries) -> Iterator[Panel]:
    yield TimeSeries(
        "Processes by service and release",
        "How far a roll-out is, of every service that takes part.",
        [PromQuery(queries.processes_by_release(), "{{service_name}} {{service_version}}")],
        unit="short",
        decimals=0,
        draw="steps",
        minimum=0,
        width=6,
        links=slow(queries),
    )
    yield TimeSeries(
        "Events by release",
        f"Of {queries.journey.service}, which answers the customer: when a release took over.",
        [PromQuery(queries.events_by("service_version"), "{{service_version}}")],
        unit="reqps",
        stack=True,
        minimum=0,
        width=6,
        links=slow(queries),
    )
    yield TimeSeries(
        "Bad events by release",
        "While two releases run, the difference between their lines is the release.",
        [PromQuery(queries.bad_share_by("service_version"), "{{service_version}}")],
        unit="percentunit",
        thresholds=_budget_line(queries),
        minimum=0,
        soft_maximum=2 * queries.budget,
        width=6,
        links=failed(queries),
    )
    yield TimeSeries(
        "p95 by service and release",
        "Of every service that takes part, for all of its requests.",
        [PromQuery(queries.latency_by_release(0.95), "{{service_name}} {{service_version}}")],
        unit="s",
        minimum=0,
        width=6,
        links=slow(queries),
    )


def _show_me(queries: JourneyQueries) -> Iterator[Panel]:
    yield Heatmap(
        "How the waiting is distributed",
        "Two bands are two kinds of customers: those that meet the slow thing, and those that do not.",
        [PromQuery(queries.distribution(), "{{le}}", format="heatmap")],
        unit="s",
        width=12,
        height=9,
        links=slow(queries),
    )
    yield Traces(
        "Failed ones",
        "Requests that failed: a click on an id opens the trace. The deepest red span made the others fail.",
        [TraceQuery(queries.failed_traces(), limit=20)],
        width=12,
        height=9,
        links=failed(queries),
        no_value="none failed in this time range",
    )
    yield Logs(
        "Warnings and errors of all services for this journey",
        "The newest first; a line's details have the trace it was written in.",
        [LogQuery(queries.logs(), limit=100)],
        width=24,
        height=9,
        links=[logs_link("All lines of the journey", queries.logs(""))],
    )


def _budget(queries: JourneyQueries) -> Iterator[Panel]:
    onward = [board_link("Error budgets", "shopscope-slo"), *failed(queries)]
    yield TimeSeries(
        "Burn rates",
        "How many times too fast the budget burns, over each window: short ones say that it burns now, long ones that "
        "it matters.",
        [PromQuery(queries.burn_rate(window), window) for window in _WINDOWS],
        unit="short",
        thresholds=[Threshold(None, "green"), Threshold(1, "orange"), Threshold(PAGE_BURN_RATE, "red")],
        minimum=0,
        links=onward,
    )
    yield TimeSeries(
        "Error budget left over time",
        "What is left of the window's budget; below 0 the objective is missed.",
        [PromQuery(queries.budget_left(), "left")],
        unit="percentunit",
        thresholds=[Threshold(None, "red"), Threshold(0, "green")],
        maximum=1,
        links=onward,
    )
    yield TimeSeries(
        "What spends the budget",
        "Slow and failed events of the whole window, as shares of all events: which of the two to work on. The line is "
        "what the objective allows.",
        [PromQuery(queries.bad_of_budget(), "{{outcome}}")],
        unit="percentunit",
        stack=True,
        colours={"slow": "orange", "error": "red"},
        thresholds=_budget_line(queries),
        minimum=0,
        links=onward,
    )


def _money(shop: Shop, queries: JourneyQueries) -> Iterator[Panel]:
    value = queries.journey.value
    if value is None:
        return
    unit, average = money_unit(shop.currency), f"{value.average:.2f} {shop.currency}"
    business = [board_link("Business", "shopscope-business"), *failed(queries)]
    yield TimeSeries(
        "Value of slow and failed events, per hour",
        f"Events times {average}, as in shopscope.toml. Failed is the most that can be lost. Slow was bought late or "
        "not at all: how much of it is lost depends on the shop, see the business board.",
        [PromQuery(queries.value_per_hour(outcome), outcome) for outcome in ("slow", "error")],
        unit=unit,
        stack=True,
        colours={"slow": "orange", "error": "red"},
        minimum=0,
        width=10,
        links=business,
    )
    yield Stat(
        "In this time range",
        f"The same, added up over the time range: events times {average}.",
        [PromQuery(queries.value_within(outcome), outcome, instant=True) for outcome in ("slow", "error")],
        unit=unit,
        decimals=0,
        colours={"slow": "orange", "error": "red"},
        graph=False,
        width=4,
        links=business,
    )
    orders = rate(metric("shopscope_orders_total"), f'currency="{shop.currency}", {ENVIRONMENT_IS}')
    yield TimeSeries(
        "Orders against events",
        f"Orders placed, and {queries.journey.name} begun, per minute: where the lines part, customers are lost.",
        [
            PromQuery(f"60 * sum({orders})", "orders"),
            PromQuery(f"60 * {queries.started()}", f"{queries.journey.name} begun"),
        ],
        unit="opm",
        minimum=0,
        overrides=[Override("orders", colour="green", fill=30)],
        width=10,
        links=business,
    )
