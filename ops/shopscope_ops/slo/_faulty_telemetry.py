"""Tests of the rules against telemetry that breaks off, begins again, or cannot be true."""

from collections.abc import Iterator
from typing import Final

from shopscope.config import Journey
from shopscope_ops.slo._series import PER_MINUTE, Ask, Instance, Scenario, Traffic, selector

_HOUR: Final = 60
_RATE: Final = 40.0
_SILENT: Final = 'count_over_time(ALERTS{alertstate="firing"}[1d])'


def scenarios(journey: Journey) -> Iterator[Scenario]:
    """All of them."""
    yield _counter_reset(journey)
    yield _missing_telemetry(journey)
    yield _replica_restart(journey)
    yield _clock_skip(journey)
    yield Scenario(
        "a journey that was never seen: nothing fires",
        "The rules are there before the service is.",
        [],
        [Ask(_HOUR / 2, _SILENT)],
    )
    yield Scenario(
        "a trial of five minutes: nothing fires when it ends",
        "Whoever tries the service for a moment wakes nobody.",
        [Instance("a", [Traffic(5, good=_RATE)])],
        [Ask(_HOUR, _SILENT)],
    )
    yield _more_good_than_all(journey)
    yield _two_processes_of_one_name(journey)


def _fires(journey: Journey, name: str, more: str = "") -> str:
    return f'group(ALERTS{{alertname="{name}", alertstate="firing", {selector(journey)}{more}}})'


def _events(journey: Journey, window: str) -> str:
    """Events of a window, by the counters' usual rate: 1 is all of them."""
    counted = f"sum(shopscope:slo_events:increase{window}{{{selector(journey)}}})"
    return f"round({counted} / {_RATE * PER_MINUTE * _HOUR:g}, 0.02)"


def _counter_reset(journey: Journey) -> Scenario:
    parts = [Traffic(_HOUR, good=_RATE), Traffic(_HOUR, good=_RATE, is_restart=True)]
    return Scenario(
        "counter reset: no event is lost and none is made up",
        f"The process begins again at zero in minute {_HOUR}, under the same name.",
        [Instance("a", parts)],
        [Ask(1.5 * _HOUR, _events(journey, "1h"), 1), Ask(2 * _HOUR - 1, _SILENT)],
    )


def _missing_telemetry(journey: Journey) -> Scenario:
    parts = [
        Traffic(_HOUR, good=_RATE),
        Traffic(20, good=_RATE, is_sent=False),
        Traffic(_HOUR, good=_RATE),
    ]
    return Scenario(
        "missing telemetry: pages within five minutes, and ends when it comes back",
        f"Nothing arrives from minute {_HOUR} to {_HOUR + 20}; the service goes on counting.",
        [Instance("a", parts)],
        [
            Ask(_HOUR + 2, _SILENT),
            Ask(_HOUR + 5, _fires(journey, "ShopscopeJourneyAbsent", ', severity="page"'), 1),
            Ask(_HOUR + 19, _fires(journey, "ShopscopeJourneyAbsent"), 1),
            Ask(_HOUR + 21, _fires(journey, "ShopscopeJourneyAbsent")),
            Ask(
                2 * _HOUR + 19,
                'count_over_time(ALERTS{alertname!="ShopscopeJourneyAbsent", alertstate="firing"}[1d])',
            ),
        ],
    )


def _replica_restart(journey: Journey) -> Scenario:
    before = [Traffic(_HOUR, good=_RATE)]
    after = [Traffic(_HOUR + 0.5, is_sent=False), Traffic(_HOUR, good=_RATE)]
    rate = f"sum(shopscope:slo_events:rate5m{{{selector(journey)}}})"
    return Scenario(
        "replica restart: another process goes on, nothing fires",
        f"One instance sends its last in minute {_HOUR}, the next begins half a minute later at zero.",
        [Instance("a", before), Instance("b", after)],
        [
            Ask(_HOUR + 10, f"round({rate} / {_RATE / 60 * PER_MINUTE:.9g}, 0.1)", 1),
            Ask(1.5 * _HOUR, _events(journey, "1h"), 1),
            Ask(2 * _HOUR, _SILENT),
        ],
    )


def _clock_skip(journey: Journey) -> Scenario:
    parts = [Traffic(_HOUR, good=_RATE), Traffic(3, good=_RATE, is_sent=False), Traffic(_HOUR, good=_RATE)]
    return Scenario(
        "clock skip: three minutes that never were, nothing fires",
        "A clock set forward leaves a gap, one set back has its samples refused until it is there again: a gap too.\n"
        "The counters have gone on.",
        [Instance("a", parts)],
        [Ask(1.5 * _HOUR, _events(journey, "1h"), 1), Ask(2 * _HOUR, _SILENT)],
    )


def _more_good_than_all(journey: Journey) -> Scenario:
    twice = [Instance(name, [Traffic(_HOUR, good=_RATE)]) for name in ("a", "b")]
    series = [line for instance in twice for line in instance.lines(journey)]
    # What the second process measured did not arrive.
    return Scenario(
        "more good events than events: a ticket",
        "Two processes count, and the durations of one of them are lost.",
        [],
        [
            Ask(4, _SILENT),
            Ask(25, _fires(journey, "ShopscopeJourneyImpossible", ', severity="ticket"'), 1),
            Ask(59, 'count_over_time(ALERTS{alertname!="ShopscopeJourneyImpossible", alertstate="firing"}[1d])'),
        ],
        extra=series[:-2],
    )


def _two_processes_of_one_name(journey: Journey) -> Scenario:
    turns = [part for _ in range(10) for part in (Traffic(1, good=_RATE, is_restart=True), Traffic(1, good=2 * _RATE))]
    return Scenario(
        "counts that run backwards: a ticket",
        "Two processes share one service.instance.id: every other minute the counter falls to what the other has.",
        [Instance("a", turns)],
        [Ask(5, _SILENT), Ask(15, _fires(journey, "ShopscopeJourneyImpossible", ', severity="ticket"'), 1)],
    )
