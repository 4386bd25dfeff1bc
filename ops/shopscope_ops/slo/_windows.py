"""Windows that errors are counted over, and the burn rates that alerts ask for."""

from dataclasses import dataclass
from typing import Final

from shopscope.config import Journey, Shop, parse_duration

#: Read from the services' own counters: what pages must not lag behind.
FROM_COUNTERS: Final = ("30m", "1h")
#: Read from the recorded rate over five minutes, which is a handful of series whatever the number of replicas.
FROM_MINUTES: Final = ("2h", "6h")
FROM_MINUTES_SLOWLY: Final = ("1d", "3d")
#: Read from the recorded rate over an hour.
PERIOD: Final = "30d"

#: How often each group is evaluated.
MINUTES_SECONDS: Final = 15
HOURS_SECONDS: Final = 30
DAYS_SECONDS: Final = 60

#: Fewer bad events than this in the longer window are too few to tell anything by.
FLOOR_EVENTS: Final = 5
#: More bad events than good ones over five minutes are an outage, whatever the objective.
OUTAGE_RATIO: Final = 0.5


@dataclass(frozen=True, slots=True)
class Burn:
    """An alert's pair of windows.

    Attributes:
        factor: how many times too fast the budget is spent.
        long: what was spent is enough to tell somebody.
        short: it is being spent still; so that the alert ends soon after its cause.
        severity: ``page`` or ``ticket``.
    """

    factor: float
    long: str
    short: str
    severity: str

    @property
    def spent(self) -> float:
        """Share of the budget of 30 days that is gone when the alert fires."""
        return self.factor * parse_duration(self.long) / parse_duration(PERIOD)


#: https://sre.google/workbook/alerting-on-slos/ has these pairs of windows and factors.
BURNS: Final = (
    Burn(14.4, "1h", "5m", "page"),
    Burn(6, "6h", "30m", "page"),
    Burn(3, "1d", "2h", "ticket"),
    Burn(1, "3d", "6h", "ticket"),
)


def period(journey: Journey) -> str:
    """The window of a journey's objective, in whole days."""
    return f"{round(journey.window_seconds / 86400)}d"


def periods(shop: Shop) -> tuple[str, ...]:
    """Every window of an objective; 30 days come first, and are always among them."""
    others = {period(journey) for journey in shop.journeys.values()} - {PERIOD}
    return (PERIOD, *sorted(others, key=parse_duration))


def budget(journey: Journey) -> str:
    """Share of events that may be bad, without what binary fractions add to it."""
    return f"{round(1 - journey.objective, 12):.12f}".rstrip("0")
