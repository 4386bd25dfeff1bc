"""Instruments of the OpenTelemetry metrics API: each checks what it is given and hands it to its stream."""

import math
from collections.abc import Generator, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from opentelemetry import metrics
from opentelemetry.metrics import CallbackOptions

from shopscope._metrics._families import Family, Series
from shopscope._metrics._selfmetrics import internal_error, log_once
from shopscope._metrics._streams import Stream, Switch, canonical, capped

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.context import Context
    from opentelemetry.metrics import CallbackT
    from opentelemetry.util.types import Attributes

_NUMBERS = (int, float)
_CALLBACK_TIMEOUT_MILLISECONDS = 10_000.0


class Synchronous:
    """What the service measures in its own time."""

    def __init__(self, stream: Stream, switch: Switch) -> None:
        self._stream = stream
        self._switch = stream.switch = switch

    def restart(self) -> None:
        """Begin at zero."""
        self._stream.restart()

    def family(self) -> Family:
        """What has been measured."""
        return self._stream.family()

    def _measure(
        self,
        put: "Callable[[float, Attributes, Context | None], None]",
        least: float,
        amount: float,
        attributes: "Attributes",
        context: "Context | None",
    ) -> None:
        """Keep a finite number of at least ``least``; whatever else it is must not raise into the service."""
        try:
            if type(amount) not in _NUMBERS:
                amount = float(amount)
            if least <= amount < math.inf:
                put(amount, attributes, context)
                return
            log_once(
                f"measurement {self._stream.name}",
                "shopscope: %s of %r is not counted: a %s takes finite numbers%s; further ones are left out silently",
                *(self._stream.name, amount, self._stream.kind, " of at least 0" if not least else ""),
            )
        except Exception:  # noqa: BLE001 (telemetry never raises into the service)
            internal_error(f"measurement of {self._stream.name}")


class Counter(Synchronous, metrics.Counter):
    """A sum that only grows."""

    def add(self, amount: float, attributes: "Attributes" = None, context: "Context | None" = None) -> None:
        """Add ``amount``, which is not negative."""
        if self._switch.is_recording:
            self._measure(self._stream.add, 0, amount, attributes, context)


class UpDownCounter(Synchronous, metrics.UpDownCounter):
    """A sum that grows and shrinks."""

    def add(self, amount: float, attributes: "Attributes" = None, context: "Context | None" = None) -> None:
        """Add ``amount``."""
        if self._switch.is_recording:
            self._measure(self._stream.add, -math.inf, amount, attributes, context)


class Gauge(Synchronous, metrics._Gauge):  # noqa: SLF001 (the API's name for it)
    """A last value."""

    def set(self, amount: float, attributes: "Attributes" = None, context: "Context | None" = None) -> None:
        """Replace the value."""
        if self._switch.is_recording:
            self._measure(self._stream.set, -math.inf, amount, attributes, context)


class Histogram(Synchronous, metrics.Histogram):
    """A distribution."""

    def record(self, amount: float, attributes: "Attributes" = None, context: "Context | None" = None) -> None:
        """Put ``amount``, which is not negative, into its bucket."""
        if self._switch.is_recording:
            self._measure(self._stream.record, 0, amount, attributes, context)


class Observable:
    """What is read from callbacks at each collection."""

    def __init__(self, stream: Stream, _switch: Switch) -> None:
        self._stream = stream
        self._callbacks: list[CallbackT] = []

    def add_callbacks(self, callbacks: "Sequence[CallbackT] | None") -> None:
        """Ask these too."""
        for callback in callbacks or ():
            if isinstance(callback, Generator):
                # The first value comes only after it has been given its first options.
                next(callback, None)
            self._callbacks.append(callback)

    def restart(self) -> None:
        """Nothing is kept between collections."""

    def family(self) -> Family:
        """What the callbacks say now."""
        stream = self._stream
        return Family(
            stream.name, stream.unit, stream.description, stream.kind, capped(self._observations(), stream.name)
        )

    def _observations(self) -> Iterator[tuple[Any, Series]]:
        options = CallbackOptions(_CALLBACK_TIMEOUT_MILLISECONDS)
        for callback in self._callbacks:
            try:
                observed = callback.send(options) if isinstance(callback, Generator) else callback(options)
                for observation in observed:
                    value = observation.value
                    number = value if type(value) in _NUMBERS else float(value)
                    attributes = dict(observation.attributes or {})
                    yield canonical(attributes), Series(attributes, value=number)
            except StopIteration:
                continue  # a generator that has said all
            except Exception:  # noqa: BLE001 (the service's own code)
                internal_error(f"callback of {self._stream.name}")


class ObservableCounter(Observable, metrics.ObservableCounter):
    """A sum that only grows."""


class ObservableUpDownCounter(Observable, metrics.ObservableUpDownCounter):
    """A sum that grows and shrinks."""


class ObservableGauge(Observable, metrics.ObservableGauge):
    """A value."""
