"""PromQL of a shop's orders: how many, of which value, and how many of those who came."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from shopscope.config import Journey
from shopscope_dashboards import count, metric, total
from shopscope_dashboards.boards._promql import ENVIRONMENT_IS, rate

_ORDERS: Final = metric("shopscope_orders_total")
_VALUE: Final = metric("shopscope_order_value_total")
_STARTED: Final = metric("shopscope_journey_started_total")
_DURATION: Final = "shopscope_journey_duration_seconds"
_BEFORE: Final = (("a day before", "1d"), ("a week before", "7d"))
#: Where the bands of latency end, as multiples of a journey's threshold.
_BANDS: Final = (0.125, 0.25, 0.5, 1.0, 2.0)


@dataclass(frozen=True, slots=True)
class BusinessQueries:
    """The queries of the business board.

    Attributes:
        currency: the shop's.
    """

    currency: str

    @property
    def _of_shop(self) -> str:
        return f'currency="{self.currency}", {ENVIRONMENT_IS}'

    def orders_per_minute(self) -> str:
        """Orders a minute, in the shop's currency."""
        return f"60 * {self._orders()}"

    def value_per_hour(self) -> str:
        """Value of an hour's orders."""
        return f"3600 * sum({rate(_VALUE, self._of_shop)})"

    def value_per_hour_by_currency(self) -> str:
        """Value of an hour's orders, of each currency."""
        return f"3600 * sum by (currency) ({rate(_VALUE, ENVIRONMENT_IS)})"

    def average_order(self) -> str:
        """Value of an order."""
        return f"sum({rate(_VALUE, self._of_shop)}) / ({self._orders()} > 0)"

    def orders_and_before(self) -> str:
        """Orders a minute now and, where Prometheus remembers, at the same time before."""
        now = _called("when", "now", f"60 * {self._orders()}")
        before = [
            _called("when", name, f"60 * sum(rate({_ORDERS}{{{self._of_shop}}}[$__rate_interval] offset {age}))")
            for name, age in _BEFORE
        ]
        return " or ".join([now, *before])

    def funnel(self) -> str:
        """Events that began within the time range, by journey, and orders; the most first."""
        begun = f"sum by (journey) (increase({_STARTED}{{{ENVIRONMENT_IS}}}[$__range]))"
        orders = f"sum(increase({_ORDERS}{{{self._of_shop}}}[$__range]))"
        steps = f'label_replace({begun}, "step", "$1", "journey", "(.+)") or {_called("step", "orders", orders)}'
        return f"sort_desc(sum by (step) ({steps}))"

    def conversion(self, journey: Journey) -> str:
        """Orders per event of a journey that began."""
        return f"{self._orders()} / ({_started(journey)} > 0)"

    def conversion_by_latency(self, journey: Journey) -> str:
        """Orders per event of a journey, over the minutes in which it took so long on average.

        Minutes are weighted by their events. A band in which the shop never was is left out.
        """
        begun = _started(journey)
        return self._by_band(journey, lambda within: f"{_over(self._orders(), within)} / {_over(begun, within)}")

    def events_by_latency(self, journey: Journey) -> str:
        """Events of a journey in those minutes: what the figures above stand on."""
        return self._by_band(journey, lambda within: f"60 * {_over(_started(journey), within)}")

    def mean_latency(self, journey: Journey) -> str:
        """How long an event of a journey takes on average."""
        selector = _of_journey(journey)
        return f"sum({rate(total(_DURATION), selector)}) / sum({rate(count(_DURATION), selector)})"

    def _orders(self) -> str:
        return f"sum({rate(_ORDERS, self._of_shop)})"

    def _by_band(self, journey: Journey, query: Callable[[str], str]) -> str:
        """The query of each band of mean latency, called by it; one band after the other."""
        ends = [0.0, *(float(f"{journey.latency_seconds * share:.2g}") for share in _BANDS)]
        bands = zip(ends, [*ends[1:], None], strict=True)
        return " or ".join(
            _called("latency", _band(lower, upper), query(self._within(journey, lower, upper)))
            for lower, upper in bands
        )

    def _within(self, journey: Journey, lower: float, upper: float | None) -> str:
        mean = f"{self.mean_latency(journey)} >= {lower:g}"
        return mean if upper is None else f"{mean} < {upper:g}"


def _over(rates: str, condition: str) -> str:
    """The sum of rates over the minutes of the time range in which the condition holds."""
    return f"sum_over_time(({rates} and ({condition}))[$__range:1m])"


def _of_journey(journey: Journey) -> str:
    return f'journey="{journey.name}", {ENVIRONMENT_IS}'


def _started(journey: Journey) -> str:
    return f"sum({rate(_STARTED, _of_journey(journey))})"


def _band(lower: float, upper: float | None) -> str:
    if upper is None:
        return f"over {lower * 1000:g} ms"
    return f"{lower * 1000:g} to {upper * 1000:g} ms" if lower else f"under {upper * 1000:g} ms"


def _called(label: str, value: str, vector: str) -> str:
    """A series of its own name."""
    return f'label_replace({vector}, "{label}", "{value}", "", "")'
