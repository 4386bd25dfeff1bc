"""PromQL, TraceQL and LogQL of one journey: what its customers get, what it waits for, which release serves it."""

from dataclasses import dataclass
from typing import Final

from shopscope.config import Journey
from shopscope_dashboards import bucket, count, metric, recorded, total
from shopscope_dashboards.boards._promql import ENVIRONMENT_IS, processes, quantile, rate, share, with_process

#: The pace of burning that pages: 2 % of a month's budget within an hour.
PAGE_BURN_RATE: Final = 14.4
_BAD: Final = ', outcome!="good"'
_LOOK_BACK_SECONDS: Final = 6 * 3600

_EVENTS: Final = metric("shopscope_slo_events_total")
_STARTED: Final = metric("shopscope_journey_started_total")
_DURATION: Final = "shopscope_journey_duration_seconds"
_CALLS: Final = "shopscope_dependency_duration_seconds"
_REQUESTS: Final = "http_server_request_duration_seconds"
_EVENTS_5M: Final = recorded("shopscope:slo_events:rate5m")
_ENVIRONMENT_OF_TRACES: Final = (
    '(resource.deployment.environment.name =~ "$environment" || resource.deployment.environment.name = nil)'
)


@dataclass(frozen=True, slots=True)
class JourneyQueries:
    """The queries of one journey's board.

    Attributes:
        journey: as the file has it.
    """

    journey: Journey

    @property
    def selector(self) -> str:
        """Selector of the journey's series in the environments that are chosen."""
        return f'journey="{self.journey.name}", {ENVIRONMENT_IS}'

    @property
    def budget(self) -> float:
        """The share of events that may be bad."""
        return 1 - self.journey.objective

    # --- is it bad, since when

    def good_share(self) -> str:
        """Share of good events over five minutes, as the rules record them."""
        return f"1 - {self._bad_of_5m()}"

    def bad_for_seconds(self) -> str:
        """Seconds since the budget did not burn at the pace that pages; nobody's events are no bad ones."""
        everything = f"sum({_EVENTS_5M}{{{self.selector}}})"
        healthy = f"({everything} unless {self._bad_of_5m()} >= {PAGE_BURN_RATE * self.budget:.6g})"
        last = f"max_over_time(timestamp({healthy})[{_LOOK_BACK_SECONDS // 3600}h:1m])"
        return f"(time() - {last}) or (0 * {everything} + {_LOOK_BACK_SECONDS})"

    def burn_rate(self, window: str) -> str:
        """How many times too fast the budget burns, in the environment where it does most."""
        ratio = f"{recorded(f'slo:sli_error:ratio_rate{window}')}{{{self.selector}}}"
        allowed = f"{recorded('slo:error_budget:ratio')}{{{self.selector}}}"
        return f"max({ratio} / on (journey, deployment_environment_name) {allowed})"

    def budget_left(self) -> str:
        """What is left of the budget, in the environment where it is least."""
        return f"min({recorded('slo:period_error_budget_remaining:ratio')}{{{self.selector}}})"

    def exhaustion_seconds(self) -> str:
        """When the first environment's budget is spent, at the pace of the last hour."""
        return f"min({recorded('shopscope:error_budget_exhaustion:seconds')}{{{self.selector}}})"

    def bad_of_budget(self) -> str:
        """The two parts of the budget over its window: slow and failed events, as shares of all."""
        return f"max by (outcome) ({recorded('shopscope:sli_error:ratio_rate30d')}{{{self.selector}}})"

    def outcomes(self) -> str:
        """Events per second by outcome."""
        return f"sum by (outcome) ({rate(_EVENTS, self.selector)})"

    def started(self) -> str:
        """Events per second that began."""
        return f"sum({rate(_STARTED, self.selector)})"

    def latency(self, of_all: float) -> str:
        """A quantile of the time that customers wait."""
        return quantile(of_all, rate(bucket(_DURATION), self.selector))

    def distribution(self) -> str:
        """Events by duration."""
        return f"sum by (le) (increase({bucket(_DURATION)}{{{self.selector}}}[$__rate_interval]))"

    # --- for whom

    def events_by(self, *labels: str) -> str:
        """Events per second by labels, also those that ``target_info`` alone has."""
        return self._events(labels)

    def bad_share_by(self, *labels: str) -> str:
        """Share of slow and failed events by labels, also those that ``target_info`` alone has."""
        return self._events(labels, _BAD) + " / " + self._events(labels)

    def latency_by(self, of_all: float, *labels: str) -> str:
        """A quantile of the time that customers wait, by labels, also those that ``target_info`` alone has."""
        by = ("le", *labels)
        return f"histogram_quantile({of_all:g}, {_by_process(rate(bucket(_DURATION), self.selector), by)})"

    def requests_by_route(self) -> str:
        """Requests per second by route."""
        return f"sum by (http_request_method, http_route) ({self._requests(count(_REQUESTS))})"

    def failed_by_route(self) -> str:
        """Share of requests that the service answered with 5xx, by route."""
        failed = self._requests(count(_REQUESTS), ', http_response_status_code=~"5.."')
        return share(failed, self._requests(count(_REQUESTS)), ("http_request_method", "http_route"))

    def latency_by_route(self, of_all: float) -> str:
        """A quantile of the duration of requests, by route."""
        return quantile(of_all, self._requests(bucket(_REQUESTS)), ("http_request_method", "http_route"))

    def requests_by_status(self) -> str:
        """Requests per second by status."""
        return f"sum by (http_response_status_code) ({self._requests(count(_REQUESTS))})"

    # --- which dependency

    def own_time(self) -> str:
        """Seconds that each participant takes of one event, without those that it waits for others.

        Time of calls to a participant less time of its own calls: its work, and the network before it. One that makes
        its calls side by side has less of its own than this says it has.
        """
        calls = rate(total(_CALLS), self.selector)
        served = f'label_replace({rate(total(_DURATION), self.selector)}, "peer", "$1", "service_name", "(.+)")'
        waited = f'label_replace(sum by (service_name) ({calls}), "peer", "$1", "service_name", "(.+)")'
        inside = f"sum by (peer) ({calls} or {served})"
        own = f"clamp_min({inside} - sum by (peer) ({waited}) or {inside}, 0)"
        return f"{own} / scalar(sum({rate(_EVENTS, self.selector)}) > 0)"

    def own_time_growth(self) -> str:
        """How much more that is than in the better quarter of the time range."""
        return f"{self.own_time()} - quantile_over_time(0.25, ({self.own_time()})[$__range:1m])"

    def calls_per_event(self, *labels: str) -> str:
        """Calls for one event."""
        events = f"scalar(sum({rate(_EVENTS, self.selector)}) > 0)"
        return f"sum by ({', '.join(labels)}) ({rate(count(_CALLS), self.selector)}) / {events}"

    def failed_calls(self, *labels: str) -> str:
        """Share of calls that failed; what the other side refused with reason (4xx) has not."""
        failed = rate(count(_CALLS), f'{self.selector}, outcome="error"')
        return share(failed, rate(count(_CALLS), self.selector), labels)

    def call_latency(self, of_all: float) -> str:
        """A quantile of the duration of calls, by who calls whom."""
        return quantile(of_all, rate(bucket(_CALLS), self.selector), ("service_name", "peer"))

    # --- which release

    def processes_by_release(self) -> str:
        """Processes that run of each release of each service that takes part."""
        return f"count by (service_name, service_version) ({processes()}) {self._of_participants()}"

    def release_seen(self) -> str:
        """When each release was first seen within the time range, in milliseconds since 1970."""
        seen = f"min_over_time(timestamp(target_info{{{ENVIRONMENT_IS}}})[$__range:1m])"
        return f"1000 * min by (service_name, service_version) ({seen}) {self._of_participants()}"

    def failed_by_release(self) -> str:
        """Share of a service's requests, of all journeys, that a release answered with 5xx."""
        by = ("service_name", "service_version")
        # Not those that failed over all: a release without a failure has no series of these.
        answered = rate(count(_REQUESTS), f'{ENVIRONMENT_IS}, http_response_status_code!~"5.."')
        every = rate(count(_REQUESTS), ENVIRONMENT_IS)
        return f"1 - {_by_process(answered, by)} / {_by_process(every, by)} {self._of_participants()}"

    def latency_by_release(self, of_all: float) -> str:
        """A quantile of the duration of a service's requests, of all journeys, by release."""
        rates = rate(bucket(_REQUESTS), ENVIRONMENT_IS)
        quantiles = f"histogram_quantile({of_all:g}, {_by_process(rates, ('le', 'service_name', 'service_version'))})"
        return f"{quantiles} {self._of_participants()}"

    # --- show me

    def traces(self, condition: str) -> str:
        """The journey's requests, as their service sees them, of which ``condition`` holds."""
        whose = f'resource.service.name = "{self.journey.service}" && span.shopscope.journey = "{self.journey.name}"'
        return f"{{ {whose} && kind = server && {condition} && {_ENVIRONMENT_OF_TRACES} }}"

    def slow_traces(self) -> str:
        """Requests above the journey's threshold."""
        return self.traces(f"duration > {round(self.journey.latency_seconds * 1000)}ms")

    def failed_traces(self) -> str:
        """Requests that failed."""
        return self.traces("status = error")

    def logs(self, condition: str = "severity_number >= 13") -> str:
        """Lines of every service that were written for this journey; warnings and worse unless it says otherwise."""
        lines = f'{{service_name=~".+", {ENVIRONMENT_IS}}} | shopscope_journey="{self.journey.name}"'
        return f"{lines} | {condition}" if condition else lines

    # --- what does it cost

    def value_per_hour(self, outcome: str) -> str:
        """Value of an hour's events with this outcome, at the average of the file."""
        return self._value_per_hour(f'outcome="{outcome}"')

    def value_at_stake_per_hour(self) -> str:
        """Value of an hour's events that are slow or fail, at the average of the file."""
        return self._value_per_hour('outcome!="good"')

    def _value_per_hour(self, matcher: str) -> str:
        events = rate(_EVENTS, f"{self.selector}, {matcher}")
        return f"sum({events}) * {3600 * self._average:.10g}"

    def value_within(self, outcome: str) -> str:
        """Value of the events with this outcome within the time range, at the average of the file."""
        events = f'{_EVENTS}{{{self.selector}, outcome="{outcome}"}}[$__range]'
        return f"sum(increase({events})) * {self._average:.10g}"

    # --- parts

    @property
    def _average(self) -> float:
        return self.journey.value.average if self.journey.value else 0.0

    def _bad_of_5m(self) -> str:
        bad = f'sum({_EVENTS_5M}{{{self.selector}, outcome!="good"}})'
        return f"{bad} / sum({_EVENTS_5M}{{{self.selector}}})"

    def _events(self, labels: tuple[str, ...], more: str = "") -> str:
        return _by_process(rate(_EVENTS, self.selector + more), labels)

    def _requests(self, series: str, more: str = "") -> str:
        routes = (route.split(" ", 1) for route in self.journey.routes)
        whose = f'service_name="{self.journey.service}", {ENVIRONMENT_IS}{more}'
        return " or ".join(
            rate(series, f'{whose}, http_request_method="{method}", http_route="{path}"') for method, path in routes
        )

    def _of_participants(self) -> str:
        """Keeps the services that take part: who answers the customer, who calls, who is called."""
        calls, events = f"{count(_CALLS)}{{{self.selector}}}", f"{count(_DURATION)}{{{self.selector}}}"
        called = f'label_replace(group by (peer) ({calls}), "service_name", "$1", "peer", "(.+)")'
        return f"and on (service_name) group by (service_name) ({calls} or {events} or {called})"


_OF_PROCESSES: Final = frozenset({"host_name", "service_version"})


def _by_process(rates: str, labels: tuple[str, ...]) -> str:
    """The rates by labels, of which ``target_info`` alone has some."""
    wanted = [label for label in labels if label in _OF_PROCESSES]
    of_series = [label for label in labels if label not in _OF_PROCESSES]
    if not wanted:
        return f"sum by ({', '.join(labels)}) ({rates})"
    of_each = f"sum by ({', '.join(('job', 'instance', *of_series))}) ({rates})"
    return f"sum by ({', '.join(labels)}) ({with_process(of_each, *wanted)})"
