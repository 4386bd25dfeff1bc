"""What the boards about services have in common: how they ask, what can be chosen, and where their panels lead."""

from typing import Final

from shopscope_dashboards import (
    Link,
    PromQuery,
    Variable,
    board_link,
    bucket,
    count,
    metric,
    runbook_link,
    total,
    traces_link,
)

RANGE: Final = "$__rate_interval"
_ENVIRONMENT: Final = 'deployment_environment_name=~"$environment"'
OF_SERVICE: Final = 'service_name=~"$service"'

DEPENDENCY: Final = "shopscope_dependency_duration_seconds"
EVENTS: Final = "shopscope_guard_events_total"
CALL: Final = "{{service_name}} → {{peer}}"

SERVICE: Final = Variable(
    "service",
    "Service",
    f"label_values({metric('shopscope_sdk_queue_max_records')}{{{_ENVIRONMENT}}}, service_name)",
    description="The service that measures: of a call, the one that makes it.",
)
JOURNEY: Final = Variable(
    "journey",
    "Journey",
    f"label_values({metric('shopscope_slo_events_total')}{{{_ENVIRONMENT}}}, journey)",
    description="The journey that a call belongs to; All includes calls of none.",
)

DEPENDENCIES: Final = board_link("Dependencies", "shopscope-dependencies")
SATURATION: Final = board_link("Saturation", "shopscope-saturation")
PROTECTION: Final = board_link("Protection", "shopscope-protection")
CACHES: Final = board_link("Caches and consistency", "shopscope-caches")
SLOW_REQUESTS: Final = traces_link(
    "Slow requests", '{ kind = server && resource.service.name =~ "${service:regex}" && duration > 500ms }'
)
RUNBOOK: Final = runbook_link("docs/runbooks/checkout.md#what-is-short")


def of(series: str, *matchers: str) -> str:
    """A series in the chosen environment."""
    return f"{series}{{{', '.join((_ENVIRONMENT, *matchers))}}}"


def per_second(series: str, by: str, *matchers: str) -> str:
    """How fast a counter grows, summed by labels."""
    return f"sum by ({by}) (rate({of(series, *matchers)}[{RANGE}]))"


def within(series: str, by: str, *matchers: str, window: str = RANGE) -> str:
    """How much a counter has grown, summed by labels."""
    return f"sum by ({by}) (increase({of(series, *matchers)}[{window}]))"


def quantile(share: float, histogram: str, by: str, *matchers: str) -> str:
    """A quantile of a histogram, by labels."""
    labels = f"{by}, le" if by else "le"
    return f"histogram_quantile({share}, sum by ({labels}) (rate({of(bucket(histogram), *matchers)}[{RANGE}])))"


def observed(histogram: str, by: str, *matchers: str) -> str:
    """Observations per second of a histogram."""
    return per_second(count(histogram), by, *matchers)


def busy(histogram: str, by: str, *matchers: str) -> str:
    """Seconds per second that a histogram's observations lasted: how many were under way at once, on average."""
    return per_second(total(histogram), by, *matchers)


def share(part: str, whole: str) -> str:
    """A share that is 0, and not undefined, where there is nothing at all."""
    return f"{part} / clamp_min({whole}, 1e-9)"


def cells(expr: str, legend: str = "") -> PromQuery:
    """A query whose labels and value are cells of a table; the legend says what the value is."""
    return PromQuery(expr, legend, instant=True, format="table")


def or_none(losses: str, while_this: str, *labels: str) -> str:
    """A loss by labels, which comes into being with the first one; 0 as "none" where something went well meanwhile."""
    nothing = f"0 * {while_this}"
    for label in labels:
        nothing = f'label_replace({nothing}, "{label}", "none", "", "")'
    return f"{losses} or {nothing}"


def heat(histogram: str, *matchers: str) -> PromQuery:
    """The buckets of a histogram for a heatmap."""
    expr = f"sum by (le) (increase({of(bucket(histogram), *matchers)}[{RANGE}]))"
    return PromQuery(expr, "{{le}}", format="heatmap", interval="1m")


def breaker_state(by: str = "service_name, peer, operation") -> str:
    """2 for a breaker that opened or refused calls, 1 for one that tried again, 0 for one that let all calls through.

    Breakers of all libraries tell events, not states: this is what callers met in the interval.
    """

    def happened(events: str) -> str:
        return within(metric(EVENTS), by, OF_SERVICE, 'kind="breaker"', f'event=~"{events}"')

    refused, tried, any_event = happened("opened|rejected"), happened("half_opened"), happened(".+")
    return f"2 * ({refused} > bool 0) > 0 or ({tried} > bool 0) > 0 or 0 * {any_event}"


def trace_links(traceql: str, title: str = "Traces of these calls") -> tuple[Link, ...]:
    """A link to traces of the chosen services."""
    return (traces_link(title, traceql),)
