"""What a test asks about captured telemetry."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from shopscope._export._transport import Outcome, Reply
from shopscope._scope import Scope
from shopscope._testing._clock import Clock
from shopscope._testing._found import CapturedLog, CapturedMetric, CapturedSpan, logs_in, metrics_in, spans_in

T = TypeVar("T")
_OUTCOMES = ("good", "slow", "error")


class Memory:
    """Stands where the requests of one signal would be sent, and keeps them."""

    url = "memory"

    def __init__(self) -> None:
        self.bodies: list[bytes] = []

    def post(self, body: bytes) -> Reply:
        """Accept and keep."""
        self.bodies.append(body)
        return Reply(Outcome.ACCEPTED)

    def close(self) -> None:
        """Nothing is open."""

    forget = close


class Captured:
    """Telemetry of a service while it is captured, and after; ``capture`` makes it.

    Attributes:
        clock: the time of all telemetry; stands still unless it is advanced.
        scope: what ``shopscope.init`` would have returned.
    """

    def __init__(self, clock: Clock, scope: Scope, memory: Mapping[str, Memory], collect: Callable[[], bytes]) -> None:
        self.clock = clock
        self.scope = scope
        self._memory = memory
        self._collect = collect

    @property
    def spans(self) -> tuple[CapturedSpan, ...]:
        """All spans that have ended, in the order of their start."""
        found = [span for body in self._read("traces") for span in spans_in(body)]
        return tuple(sorted(found, key=lambda span: (span.start_unix_nano, span.span_id)))

    @property
    def metrics(self) -> tuple[CapturedMetric, ...]:
        """All series of all metrics as they stand now, or stood at the end."""
        return tuple(metrics_in(self._collect()))

    @property
    def logs(self) -> tuple[CapturedLog, ...]:
        """All log records, in the order they were written."""
        return tuple(log for body in self._read("logs") for log in logs_in(body))

    def span(self, name: str) -> CapturedSpan:
        """The one span of this name.

        Args:
            name: such as ``POST /checkout``.

        Raises:
            AssertionError: there is none, or more than one; the message lists all spans.
        """
        return _only([span for span in self.spans if span.name == name], f"span {name!r}", self.spans)

    def spans_of(self, journey: str) -> tuple[CapturedSpan, ...]:
        """All spans of a journey.

        Args:
            journey: its name.
        """
        return tuple(span for span in self.spans if span.journey == journey)

    def metric(self, name: str, /, **labels: Any) -> CapturedMetric:
        """The one series of this metric whose labels are these; others that it has do not matter.

        Args:
            name: as OpenTelemetry (``shopscope.slo.events``) or Prometheus (``shopscope_slo_events_total``) writes it.
            labels: values by key; an underscore also stands for the dot of ``http.route``.

        Raises:
            AssertionError: there is none, or more than one; the message lists the metric's series, or all names.
        """
        metrics = self.metrics
        series = [metric for metric in metrics if name in _spellings(metric)]
        fitting = [metric for metric in series if _has(metric, labels)]
        what = f"metric {name} with {labels}"
        return _only(fitting, what, series or sorted({metric.name for metric in metrics}))

    def log(self, event: str) -> CapturedLog:
        """The one log record of this event.

        Args:
            event: its text.

        Raises:
            AssertionError: there is none, or more than one; the message lists all records.
        """
        return _only([log for log in self.logs if log.event == event], f"log record {event!r}", self.logs)

    def tree(self) -> str:
        """All spans as text, one a line, each below its parent and two blanks to the right."""
        spans = self.spans
        known = {(span.trace_id, span.span_id) for span in spans}
        lines: list[str] = []

        def grow(span: CapturedSpan, depth: int) -> None:
            lines.append(f"{'  ' * depth}{span}")
            for child in spans:
                if (child.trace_id, child.parent_id) == (span.trace_id, span.span_id):
                    grow(child, depth + 1)

        for span in spans:
            if (span.trace_id, span.parent_id) not in known:
                grow(span, 0)
        return "\n".join(lines)

    def assert_journey(self, journey: str, *, outcome: str = "good", times: int = 1) -> None:
        """Check that the journey had this outcome so many times; its other outcomes do not matter.

        Args:
            journey: a journey that the service answers for.
            outcome: ``good``, ``slow`` or ``error``.
            times: how many SLO events.

        Raises:
            AssertionError: it had not; the message says what was counted.
            ValueError: there is no such outcome.
        """
        if outcome not in _OUTCOMES:
            raise ValueError(f"outcome must be one of {', '.join(_OUTCOMES)}: {outcome!r}; correct the test")
        events = [metric for metric in self.metrics if metric.name == "shopscope.slo.events"]
        counted = {
            str(metric.attributes["outcome"]): int(metric.value or 0)
            for metric in events
            if metric.attributes.get("journey") == journey
        }
        if not counted:
            there = ", ".join(sorted({str(metric.attributes.get("journey")) for metric in events})) or "none"
            raise AssertionError(
                f"journey {journey!r} is not one of service {self.scope.service!r}; there are: {there}"
            )
        if counted.get(outcome, 0) != times:
            found = ", ".join(f"{counted.get(name, 0)} {name}" for name in _OUTCOMES)
            raise AssertionError(f"journey {journey!r} should have been {outcome} {times} times; it was: {found}")

    def _read(self, signal: str) -> list[bytes]:
        if not self.scope.flush():
            raise AssertionError("captured telemetry was not encoded within 5 s; the machine may be overloaded")
        return list(self._memory[signal].bodies)


def _only(fitting: list[T], what: str, there: Iterable[object]) -> T:
    if len(fitting) == 1:
        return fitting[0]
    listed = "".join(f"\n  {item}" for item in there) or " nothing"
    raise AssertionError(f"expected one {what}, found {len(fitting)}; there is:{listed}")


def _spellings(metric: CapturedMetric) -> set[str]:
    plain = metric.name.replace(".", "_")
    measured = f"{plain}_seconds" if metric.unit == "s" else plain
    return {metric.name, plain, measured, f"{plain}_total", f"{measured}_total"}


def _has(metric: CapturedMetric, labels: dict[str, Any]) -> bool:
    found = {key.replace(".", "_"): value for key, value in metric.attributes.items()} | dict(metric.attributes)
    return all(key in found and found[key] == value for key, value in labels.items())
