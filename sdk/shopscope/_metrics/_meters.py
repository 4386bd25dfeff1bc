"""The OpenTelemetry metrics API: what the service and its libraries measure leaves with our own metrics.

Source: https://opentelemetry.io/docs/specs/otel/metrics/api/
"""

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from opentelemetry import metrics
from opentelemetry.metrics import Instrument

from shopscope._export import _wire as wire
from shopscope._metrics import _meter_instruments as instruments
from shopscope._metrics._families import ScopeFamilies
from shopscope._metrics._names import BY_OTLP
from shopscope._metrics._selfmetrics import log_once
from shopscope._metrics._streams import DEFAULT_BOUNDS, Stream
from shopscope._tracing._tracer import encode_scope

if TYPE_CHECKING:
    from opentelemetry.metrics import CallbackT
    from opentelemetry.util.types import Attributes

_SCHEMA_URL = wire.tag(3, wire.LENGTH_DELIMITED)
# Their metrics of requests are ours too: that they are not there twice is no news to anyone.
_KNOWN_DOUBLES = ("fastapi", "opentelemetry.instrumentation.")
Kind = TypeVar("Kind", bound=instruments.Synchronous | instruments.Observable)
Observed = TypeVar("Observed", bound=instruments.Observable)


class _Off:
    """The switch of instruments that are not collected."""

    is_recording = has_exemplars = False


class MeterProvider(metrics.MeterProvider):
    """Hands out meters, and collects what was measured while telemetry runs."""

    def __init__(self) -> None:
        #: Before ``init`` and after ``shutdown`` measurements go nowhere.
        self.is_recording = False
        self.has_exemplars = True
        self._meters: dict[tuple[Any, ...], Meter] = {}
        self._renew_locks()

    def get_meter(
        self,
        name: str,
        version: str | None = None,
        schema_url: str | None = None,
        attributes: "Attributes" = None,
    ) -> "Meter":
        """The meter of an instrumentation scope; the same one for the same scope."""
        key = (name, version, schema_url, repr(attributes))
        with self._lock:
            meter = self._meters.get(key)
            if meter is None:
                scope = encode_scope(name or "", version or "", attributes)
                url = wire.message(_SCHEMA_URL, wire.utf8(schema_url)) if schema_url else b""
                meter = self._meters[key] = Meter(self, scope + url, name or "", version, schema_url)
        return meter

    def start(self, *, has_exemplars: bool = True) -> None:
        """Begin at zero and record."""
        self.restart()
        self.has_exemplars = has_exemplars
        self.is_recording = True

    def stop(self) -> None:
        """Record no more."""
        self.is_recording = False

    def restart(self) -> None:
        """Begin at zero: another ``init``, or a child after a fork."""
        self._renew_locks()
        for meter in list(self._meters.values()):
            meter.restart()

    def collect(self) -> list[ScopeFamilies]:
        """What all instruments have measured; runs the callbacks of the observable ones."""
        if not self.is_recording:
            return []
        # A push and a scrape must not run a callback at the same time.
        with self._collecting:
            return [meter.collect() for meter in list(self._meters.values())]

    def _renew_locks(self) -> None:
        self._lock = threading.Lock()
        self._collecting = threading.Lock()


class Meter(metrics.Meter):
    """Makes the instruments of one scope; the same one for the same name, kind, unit and description."""

    def __init__(
        self, provider: MeterProvider, scope: bytes, name: str, version: str | None, schema_url: str | None
    ) -> None:
        super().__init__(name, version, schema_url)
        self._provider = provider
        self._scope = scope
        self._instruments: dict[tuple[str, ...], Any] = {}
        self.restart()

    def restart(self) -> None:
        """Begin at zero, with new locks."""
        self._lock = threading.Lock()
        for instrument in list(self._instruments.values()):
            instrument.restart()

    def collect(self) -> ScopeFamilies:
        """The families of this scope."""
        families = [instrument.family() for instrument in list(self._instruments.values())]
        return ScopeFamilies(self.name, self._scope, families)

    def create_counter(self, name: str, unit: str = "", description: str = "") -> instruments.Counter:
        """A sum that only grows."""
        return self._create(instruments.Counter, Stream(name, unit, description, "counter"))

    def create_up_down_counter(self, name: str, unit: str = "", description: str = "") -> instruments.UpDownCounter:
        """A sum that grows and shrinks."""
        return self._create(instruments.UpDownCounter, Stream(name, unit, description, "updowncounter"))

    def create_gauge(self, name: str, unit: str = "", description: str = "") -> instruments.Gauge:
        """A last value."""
        return self._create(instruments.Gauge, Stream(name, unit, description, "gauge"))

    def create_histogram(
        self,
        name: str,
        unit: str = "",
        description: str = "",
        *,
        explicit_bucket_boundaries_advisory: Sequence[float] | None = None,
    ) -> instruments.Histogram:
        """A distribution, in buckets with these upper bounds or the specification's."""
        bounds = _bounds(name, explicit_bucket_boundaries_advisory)
        return self._create(instruments.Histogram, Stream(name, unit, description, "histogram", bounds))

    def create_observable_counter(
        self, name: str, callbacks: "Sequence[CallbackT] | None" = None, unit: str = "", description: str = ""
    ) -> instruments.ObservableCounter:
        """A sum that only grows, read from callbacks at each collection."""
        return self._observe(instruments.ObservableCounter, Stream(name, unit, description, "counter"), callbacks)

    def create_observable_up_down_counter(
        self, name: str, callbacks: "Sequence[CallbackT] | None" = None, unit: str = "", description: str = ""
    ) -> instruments.ObservableUpDownCounter:
        """A sum that grows and shrinks, read from callbacks at each collection."""
        stream = Stream(name, unit, description, "updowncounter")
        return self._observe(instruments.ObservableUpDownCounter, stream, callbacks)

    def create_observable_gauge(
        self, name: str, callbacks: "Sequence[CallbackT] | None" = None, unit: str = "", description: str = ""
    ) -> instruments.ObservableGauge:
        """A value read from callbacks at each collection."""
        return self._observe(instruments.ObservableGauge, Stream(name, unit, description, "gauge"), callbacks)

    def _observe(self, kind: type[Observed], stream: Stream, callbacks: "Sequence[CallbackT] | None") -> Observed:
        instrument = self._create(kind, stream)
        instrument.add_callbacks(callbacks)
        return instrument

    def _create(self, kind: type[Kind], stream: Stream) -> Kind:
        if self._is_refused(stream):
            return kind(stream, _Off())
        # Names are the same whatever their case: https://opentelemetry.io/docs/specs/otel/metrics/api/#instrument-name-syntax
        name = stream.name.lower()
        key = (name, kind.__name__, stream.unit, stream.description)
        with self._lock:
            instrument: Kind | None = self._instruments.get(key)
            if instrument is None:
                if any(other[0] == name for other in self._instruments):
                    log_once(
                        f"instrument {name}",
                        "instrument %r exists with another kind, unit or description; both are sent, and may clash",
                        stream.name,
                    )
                instrument = self._instruments[key] = kind(stream, self._provider)
        return instrument

    def _is_refused(self, stream: Stream) -> bool:
        """An instrument that nobody could collect works and goes nowhere."""
        checked = Instrument._check_name_unit_description(stream.name, stream.unit, stream.description)  # noqa: SLF001 (the API's own rules)
        if checked["name"] is None or checked["unit"] is None:
            log_once(
                f"instrument {stream.name!r}",
                "instrument %r (unit %r) is not sent: a name starts with a letter, has at most 255 letters, digits, "
                "'_', '.', '-' or '/', a unit at most 63 ASCII characters; rename it",
                *(stream.name, stream.unit),
            )
            return True
        if stream.name.lower() not in BY_OTLP:
            return False
        if not self.name.startswith(_KNOWN_DOUBLES):
            log_once(
                f"instrument {stream.name}", "instrument %r is not sent: shopscope measures it itself", stream.name
            )
        return True


def _bounds(name: str, advisory: Sequence[float] | None) -> Sequence[float]:
    if advisory is None:
        return DEFAULT_BOUNDS
    try:
        bounds = [float(bound) for bound in advisory]
    except (TypeError, ValueError):
        bounds = []
    # An advice of no bounds at all is allowed: count and sum are enough then.
    if bounds == sorted(set(bounds)) and len(bounds) == len(advisory):
        return bounds
    log_once(
        f"bounds {name}", "bucket bounds of %r must be rising numbers: %r; the usual ones are used", name, advisory
    )
    return DEFAULT_BOUNDS


provider = MeterProvider()


def install_meter_provider() -> None:
    """Put our meters behind the OpenTelemetry API, unless the service has put others there."""
    present = metrics.get_meter_provider()
    if present is provider:
        return
    # The API's stand-in until there is one; it has no public name.
    if type(present).__name__ == "_ProxyMeterProvider":
        metrics.set_meter_provider(provider)
        return
    log_once(
        "foreign meter provider",
        "OpenTelemetry has a meter provider already (%s); its meters are not sent by shopscope",
        type(present).__qualname__,
    )
