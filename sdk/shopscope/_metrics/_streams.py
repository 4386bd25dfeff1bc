"""Measurements of OpenTelemetry instruments, aggregated by attributes: sums, last values, histograms.

Source: https://opentelemetry.io/docs/specs/otel/metrics/sdk/
"""

import threading
import time
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from opentelemetry.context import Context
from opentelemetry.trace import get_current_span

from shopscope._metrics._families import Example, Family, Series
from shopscope._metrics._selfmetrics import overflowed

# https://opentelemetry.io/docs/specs/otel/metrics/sdk/#cardinality-limits; the overflow series is one of them.
MAX_SERIES = 2000
OVERFLOW: Mapping[str, Any] = {"otel.metric.overflow": True}
# https://opentelemetry.io/docs/specs/otel/metrics/sdk/#explicit-bucket-histogram-aggregation
DEFAULT_BOUNDS = (
    *(0.0, 5.0, 10.0, 25.0, 50.0, 75.0, 100.0, 250.0, 500.0, 750.0),
    *(1000.0, 2500.0, 5000.0, 7500.0, 1e4),
)
_MAX_SPELLINGS = 4 * MAX_SERIES

Attributes = Mapping[str, Any] | None


class Switch(Protocol):
    """Says what is wanted now."""

    is_recording: bool
    has_exemplars: bool


class _Cell:
    """The running aggregate of one set of attributes."""

    __slots__ = ("attributes", "counts", "examples", "extremes", "generation", "start_unix_nano", "value")

    def __init__(self, attributes: Mapping[str, Any], start_unix_nano: int, buckets: int) -> None:
        self.attributes = attributes
        self.start_unix_nano = start_unix_nano
        self.value: float = 0
        self.counts = [0] * buckets
        self.extremes: tuple[float, float] | None = None
        #: One exemplar for each bucket, and the collection for which it was taken.
        self.examples: list[Example | None] = [None] * max(1, buckets)
        self.generation = [-1] * max(1, buckets)


class Stream:
    """One metric: where measurements go, and the families that come out."""

    def __init__(self, name: str, unit: str, description: str, kind: str, bounds: Sequence[float] = ()) -> None:
        self.name = name
        self.unit = unit or ""
        self.description = description or ""
        self.kind = kind
        self._bounds = tuple(bounds)
        #: Its instrument's; says whether exemplars are wanted.
        self.switch: Switch | None = None
        self.restart()

    def restart(self) -> None:
        """Begin at zero, with a new lock: after a fork another thread of the parent may hold the old one."""
        self._lock = threading.Lock()
        self._cells: dict[Any, _Cell] = {}
        # The same attributes in another order, or under another spelling, lead to the same cell.
        self._spellings: dict[Any, _Cell] = {}
        self._generation = 0

    def add(self, amount: float, attributes: Attributes, context: Context | None) -> None:
        """Add to a sum."""
        with self._lock:
            cell = self._cell(attributes)
            cell.value += amount
            if cell.generation[0] != self._generation:
                self._exemplify(cell, 0, amount, context)

    def set(self, amount: float, attributes: Attributes, context: Context | None) -> None:
        """Replace the last value."""
        with self._lock:
            cell = self._cell(attributes)
            cell.value = amount
            if cell.generation[0] != self._generation:
                self._exemplify(cell, 0, amount, context)

    def record(self, amount: float, attributes: Attributes, context: Context | None) -> None:
        """Put into a histogram."""
        index = bisect_left(self._bounds, amount)
        with self._lock:
            cell = self._cell(attributes)
            cell.value += amount
            cell.counts[index] += 1
            extremes = cell.extremes
            if extremes is None:
                cell.extremes = amount, amount
            elif not extremes[0] <= amount <= extremes[1]:
                cell.extremes = min(amount, extremes[0]), max(amount, extremes[1])
            if cell.generation[index] != self._generation:
                self._exemplify(cell, index, amount, context)

    def family(self) -> Family:
        """What has been measured until now; the next exemplars are for the next collection."""
        with self._lock:
            self._generation += 1
            series = [self._series(cell) for cell in self._cells.values()]
        return Family(self.name, self.unit, self.description, self.kind, series)

    def _series(self, cell: _Cell) -> Series:
        examples = [example for example in cell.examples if example is not None]
        if self.kind != "histogram":
            return Series(cell.attributes, cell.start_unix_nano, cell.value, examples=examples)
        return Series(
            cell.attributes,
            cell.start_unix_nano,
            count=sum(cell.counts),
            total=float(cell.value),
            bounds=self._bounds,
            counts=tuple(cell.counts),
            extremes=cell.extremes,
            examples=examples,
        )

    def _cell(self, attributes: Attributes) -> _Cell:
        attributes = attributes or {}
        # The types belong to the key, because 1 == 1.0 == True.
        spelling = tuple(attributes.items()), tuple(map(type, attributes.values()))
        try:
            cell = self._spellings.get(spelling)
        except TypeError:  # a list among the values
            return self._canonical_cell(attributes)
        if cell is None:
            cell = self._canonical_cell(attributes)
            if len(self._spellings) >= _MAX_SPELLINGS:
                self._spellings.clear()
            if cell.attributes is not OVERFLOW:
                self._spellings[spelling] = cell
        return cell

    def _canonical_cell(self, attributes: Mapping[str, Any]) -> _Cell:
        key = canonical(attributes)
        cell = self._cells.get(key)
        if cell is None:
            if len(self._cells) >= MAX_SERIES - 1:
                overflowed(self.name)
                key, attributes = None, OVERFLOW
                if key in self._cells:
                    return self._cells[key]
            buckets = len(self._bounds) + 1 if self.kind == "histogram" else 0
            kept = attributes if attributes is OVERFLOW else dict(attributes)
            cell = self._cells[key] = _Cell(kept, time.time_ns(), buckets)
        return cell

    def _exemplify(self, cell: _Cell, index: int, amount: float, context: Context | None) -> None:
        """Keep the first measurement since the last collection that was made in a span which is sent."""
        span = get_current_span(context)
        if not span.is_recording() or self.switch is None or not self.switch.has_exemplars:
            return
        identity = span.get_span_context()
        if identity.trace_flags.sampled:
            ids = f"{identity.trace_id:032x}", f"{identity.span_id:016x}"
            cell.examples[index] = Example(amount, time.time_ns(), *ids, {})
            cell.generation[index] = self._generation


def canonical(attributes: Mapping[str, Any]) -> Any:
    """A key that is the same for the same attributes in any order."""
    return tuple(sorted((str(key), type(value).__name__, _frozen(value)) for key, value in attributes.items()))


def _frozen(value: Any) -> str:
    # Text, because values of different types cannot be sorted; it is unique together with the type's name.
    return repr(list(value)) if isinstance(value, list | tuple) else repr(value)


def capped(observed: Iterator[tuple[Any, Series]], name: str) -> list[Series]:
    """Observed series up to the cap; what is past it is left out, because it cannot be summed up, and counted."""
    kept: dict[Any, Series] = {}
    for key, series in observed:
        if key in kept or len(kept) < MAX_SERIES:
            kept[key] = series
        else:
            overflowed(name)
    return list(kept.values())
