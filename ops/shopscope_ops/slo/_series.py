"""What services would have sent, in promtool's notation, and what is asked of it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from shopscope._metrics._names import JOURNEY_DURATION
from shopscope.config import Journey
from shopscope_ops.slo._recording import ENVIRONMENT, EVENTS, GROUPS
from shopscope_ops.slo._yaml import indented, quoted

STEP_SECONDS: Final = 15
PER_MINUTE: Final = 60 // STEP_SECONDS
OUTCOMES: Final = ("good", "slow", "error")


@dataclass(frozen=True, slots=True)
class Traffic:
    """Events at a steady rate for some time.

    Attributes:
        minutes: how long.
        good, slow, error: events from one sample to the next.
        is_sent: whether telemetry arrives.
        is_restart: the counters begin again at zero.
    """

    minutes: float
    good: float = 0
    slow: float = 0
    error: float = 0
    is_sent: bool = True
    is_restart: bool = False


@dataclass(frozen=True, slots=True)
class Instance:
    """A process of the service, and what it sees; at the start its counters are zero."""

    name: str
    traffic: Sequence[Traffic]
    step_seconds: int = STEP_SECONDS

    def lines(self, journey: Journey) -> Iterable[str]:
        """Its series as items of ``input_series``."""
        for outcome in OUTCOMES:
            values = self._values([getattr(part, outcome) for part in self.traffic])
            yield from _series(EVENTS, f'outcome="{outcome}", ', journey, self.name, values)
        all_events = [part.good + part.slow + part.error for part in self.traffic]
        yield from _series(f"{JOURNEY_DURATION.family}_count", "", journey, self.name, self._values(all_events))

    def _values(self, increments: Sequence[float]) -> str:
        """A counter: ``start+increment x times`` for each part."""
        values: list[str] = []
        value = 0.0
        for part, increment in zip(self.traffic, increments, strict=True):
            count = round(part.minutes * 60 / self.step_seconds)
            if part.is_sent:
                first = 0.0 if part.is_restart or not values else value + increment
                values.append(f"{_number(first)}+{_number(increment)}x{count - 1}")
                value = first + (count - 1) * increment
            else:
                values.append(f"_x{count}")
                value += count * increment
        return " ".join(values)


@dataclass(frozen=True, slots=True)
class Ask:
    """A query at a minute, and the value it must have; None: it has no result."""

    minute: float
    query: str
    value: float | None = None
    labels: str = "{}"

    def lines(self) -> Iterable[str]:
        """The item of ``promql_expr_test``."""
        yield f"- expr: {quoted(self.query)}"
        yield f"  eval_time: {clock(self.minute)}"
        if self.value is None:
            yield "  exp_samples: []"
        else:
            yield f"  exp_samples: [{{labels: {quoted(self.labels)}, value: {_number(self.value)}}}]"


@dataclass(frozen=True, slots=True)
class Alarm:
    """An alert at a minute with all its labels and annotations."""

    minute: float
    name: str
    labels: dict[str, str]
    annotations: dict[str, str]

    def lines(self) -> Iterable[str]:
        """The item of ``alert_rule_test``."""
        yield f"- alertname: {self.name}"
        yield f"  eval_time: {clock(self.minute)}"
        yield "  exp_alerts:"
        for lead, key, table in (("- ", "exp_labels", self.labels), ("  ", "exp_annotations", self.annotations)):
            yield f"    {lead}{key}:"
            yield from (f"        {name}: {quoted(text)}" for name, text in table.items())


@dataclass(frozen=True, slots=True)
class Scenario:
    """One test: what happened, and what the rules make of it."""

    name: str
    comment: str
    instances: Sequence[Instance]
    asks: Sequence[Ask]
    alarms: Sequence[Alarm] = ()
    extra: Sequence[str] = ()

    def lines(self, journey: Journey) -> Iterable[str]:
        """The item of ``tests``."""
        yield from (f"# {line}" for line in self.comment.splitlines())
        yield f"- name: {quoted(self.name)}"
        step = self.instances[0].step_seconds if self.instances else STEP_SECONDS
        yield f"  interval: {step}s"
        series = [*(line for instance in self.instances for line in instance.lines(journey)), *self.extra]
        for key, lines in (
            ("input_series", series),
            ("alert_rule_test", [line for alarm in self.alarms for line in alarm.lines()]),
            ("promql_expr_test", [line for ask in self.asks for line in ask.lines()]),
        ):
            if lines:
                yield f"  {key}:"
                yield from indented(indented(lines))


def document(head: str, evaluated: str, journey: Journey, scenarios: Iterable[Scenario]) -> str:
    """A file of tests of the rules."""
    parts = ["\n".join(indented(scenario.lines(journey))) for scenario in scenarios]
    return (
        f"{head}\nrule_files:\n  - ../rules/slo.yml\n\n"
        "# promtool takes groups in any order otherwise, and may then see an alert one evaluation later.\n"
        f"group_eval_order: [{', '.join(GROUPS)}]\n\nevaluation_interval: {evaluated}\n\ntests:\n"
        + "\n\n".join(parts)
        + "\n"
    )


def selector(journey: Journey, instance: str = "") -> str:
    """Labels of a journey's series as the stack has them."""
    process = f', service_name="{journey.service}", service_instance_id="{instance}"' if instance else ""
    return f'journey="{journey.name}", {ENVIRONMENT}="production"{process}'


def clock(minute: float) -> str:
    """A minute as promtool writes it."""
    return f"{round(minute * 60)}s" if minute % 1 else f"{minute:.0f}m"


def _series(metric: str, label: str, journey: Journey, instance: str, values: str) -> Iterable[str]:
    yield f"- series: '{metric}{{{label}{selector(journey, instance)}}}'"
    yield f"  values: '{values}'"


def _number(value: float) -> str:
    return f"{value:.9f}".rstrip("0").rstrip(".")
