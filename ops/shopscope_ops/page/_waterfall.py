"""One trace as a waterfall: spans in calling order, the critical path, the gaps between client and server, the logs."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from shopscope_ops.answers import Forest, critical_paths, plant
from shopscope_ops.page._format import MINUS, NANOS, NO_BREAK, count_text, duration_text, stamp_text

if TYPE_CHECKING:
    import pyarrow as pa

    from shopscope.config import Shop

MAX_ROWS: Final = 1_000
SLOTS: Final = 8
_TICKS: Final = 5
# On every line of the trace the same: no news.
_JOURNEY: Final = "shopscope.journey"
_NOTED_SHIFT_NANO: Final = 1_000_000
_NICE_STEPS: Final = (1, 2, 2.5, 5, 10)


@dataclass(frozen=True, slots=True)
class Interval:
    """A stretch of time, unix nanoseconds."""

    start: int
    end: int

    @property
    def length(self) -> int:
        """Nanoseconds between start and end."""
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Bar:
    """A stretch of the time axis, in per cent of the whole trace."""

    left: float
    width: float


@dataclass(frozen=True, slots=True)
class SpanRow:
    """One line of the waterfall.

    Attributes:
        slot: number of the service's colour.
        call: whom a client span calls, or an empty string.
        covered: where the server's own span covers this client span; what is left of the bar is the gap.
        critical: where the customer waited for this very span.
        gap: the uncovered time of a client span in words, or an empty string.
        fault: what went wrong, or an empty string.
        details: attributes and events, by name.
    """

    span_id: str
    depth: int
    service: str
    slot: int
    name: str
    kind: str
    call: str
    bar: Bar
    covered: Bar | None
    critical: tuple[Bar, ...]
    offset: str
    duration: str
    critical_time: str
    gap: str
    fault: str
    details: tuple[tuple[str, str], ...]
    events: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class PlaceShare:
    """A place's part of the critical path: a service's own work, or what it calls that sends no spans of its own.

    Attributes:
        slot: number of the colour of the service.
        is_outside: the time is spent in what the service calls, a database or another party.
    """

    name: str
    slot: int
    is_outside: bool
    share: float
    time: str


@dataclass(frozen=True, slots=True)
class LogRow:
    """One log line of the trace; ``level`` is error, warn or info, ``brief`` its attributes on one line."""

    key: str
    at: str
    offset: str
    service: str
    slot: int
    severity: str
    level: str
    body: str
    brief: str
    details: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class TraceView:
    """All that the page of one trace shows; ``state`` is ok, slow or failing, ``doubts`` what the spans leave open."""

    trace_id: str
    service: str
    name: str
    journey: str
    state: str
    verdict: str
    started: str
    start_nano: int
    end_nano: int
    duration: str
    span_count: int
    hidden_count: int
    doubts: tuple[str, ...]
    places: tuple[PlaceShare, ...]
    ticks: tuple[tuple[float, str], ...]
    rows: tuple[SpanRow, ...]
    logs: tuple[LogRow, ...]


def trace_view(spans: "pa.Table", logs: "pa.Table", shop: "Shop") -> TraceView | None:
    """The waterfall of the spans of one trace, or None where there are none.

    Args:
        spans: rows of the span table that share one trace id.
        logs: log rows of the same trace.
        shop: for the threshold of the trace's journey.
    """
    return _Waterfall(plant(spans), shop).view(logs.to_pylist()) if len(spans) else None


def service_slots(services: Sequence[str]) -> dict[str, int]:
    """A colour for each service: the one its name asks for, the next free one where two ask for the same.

    The name decides, so that a service keeps its colour from trace to trace.
    """
    slots: dict[str, int] = {}
    for service in sorted(set(services)):
        wanted = sum(service.encode()) % SLOTS
        free = (slot for step in range(SLOTS) if (slot := (wanted + step) % SLOTS) not in slots.values())
        slots[service] = next(free, wanted)
    return slots


def pairs(document: str) -> tuple[tuple[str, str], ...]:
    """Names and values of a JSON object, as text; what is no JSON object is shown as it came."""
    if not document:
        return ()
    try:
        parsed = json.loads(document)
    except ValueError:
        return (("", document),)
    if not isinstance(parsed, dict):
        return (("", document),)
    return tuple((str(key), value if isinstance(value, str) else json.dumps(value)) for key, value in parsed.items())


def nice_ticks(total_nano: int) -> tuple[tuple[float, str], ...]:
    """Round times on the axis of a trace: position in per cent and text."""
    if total_nano <= 0:
        return ((0.0, "0"),)
    rough = total_nano / _TICKS
    size = 10 ** (len(str(int(rough))) - 1)
    step = next(factor * size for factor in _NICE_STEPS if factor * size >= rough)
    count = int(total_nano // step)
    return tuple((round(i * step / total_nano * 100, 3), _tick_text(i * step)) for i in range(count + 1))


def _tick_text(nano: float) -> str:
    for unit, size in (("s", NANOS), ("ms", 1_000_000), ("µs", 1_000)):
        if nano >= size:
            return f"{nano / size:g}{NO_BREAK}{unit}"
    return f"{nano:g}{NO_BREAK}ns" if nano else "0"


class _Waterfall:
    """Works on the spans of one trace; every method reads, ``__init__`` alone writes."""

    def __init__(self, forest: Forest, shop: "Shop") -> None:
        self.shop = shop
        self.spans: list[dict[str, Any]] = forest.table.to_pylist()
        starts, durations = forest.start.tolist(), forest.duration.tolist()
        self.intervals = [Interval(start, start + length) for start, length in zip(starts, durations, strict=True)]
        parents: list[int] = forest.parent.tolist()
        self.children: dict[int, list[int]] = {}
        for row in sorted(range(len(parents)), key=lambda row: (starts[row], -durations[row])):
            self.children.setdefault(parents[row], []).append(row)
        # a trace whose parents form a ring has no top; its first span stands in
        self.tops = self.children.get(-1, [0])
        entry = max(self.tops, key=lambda row: (self.spans[row]["parent_span_id"] == "", durations[row]))
        self.entry = self.spans[entry]
        self.start = min(starts)
        self.total = max(max(interval.end for interval in self.intervals) - self.start, 1)
        self.slots = service_slots([span["service"] for span in self.spans])
        self.critical, shift = _critical_intervals(forest, entry) if parents[entry] < 0 else ({}, 0)
        self.doubts = tuple(_doubts(forest, shift))

    def view(self, logs: list[dict[str, Any]]) -> TraceView:
        ordered = self.ordered()
        journey = next((span["journey"] for span in (self.entry, *self.spans) if span["journey"]), "")
        state, verdict = self.verdict(journey)
        by_time = sorted(logs, key=lambda log: log["time_unix_nano"])
        return TraceView(
            trace_id=self.entry["trace_id"],
            service=self.entry["service"],
            name=self.entry["name"],
            journey=journey,
            state=state,
            verdict=verdict,
            started=stamp_text(self.start),
            start_nano=self.start,
            end_nano=self.start + self.total,
            duration=duration_text(self.entry["duration_nano"] / NANOS),
            span_count=len(self.spans),
            hidden_count=max(0, len(ordered) - MAX_ROWS),
            doubts=self.doubts,
            places=self.places(),
            ticks=nice_ticks(self.total),
            rows=tuple(self.row(row, depth) for row, depth in ordered[:MAX_ROWS]),
            logs=tuple(self.log(number, log) for number, log in enumerate(by_time)),
        )

    def ordered(self) -> list[tuple[int, int]]:
        """Rows in calling order with their depth; each once, and what hangs on a ring of parents at the end."""
        found: dict[int, int] = {}
        todo = [(row, 0) for row in (*reversed(range(len(self.spans))), *reversed(self.tops))]
        while todo:
            row, depth = todo.pop()
            if row not in found:
                found[row] = depth
                todo += [(child, depth + 1) for child in reversed(self.children.get(row, ()))]
        return list(found.items())

    def verdict(self, journey: str) -> tuple[str, str]:
        seconds = self.entry["duration_nano"] / NANOS
        limit = self.shop.journeys[journey].latency_seconds if journey in self.shop.journeys else None
        if self.entry["status"] == "error":
            return "failing", self.entry["status_message"] or "the request failed"
        if limit is not None and seconds > limit:
            return "slow", f"{duration_text(seconds - limit)} over the {duration_text(limit)} that {journey} may take"
        return "ok", "" if limit is None else f"within the {duration_text(limit)} that {journey} may take"

    def places(self) -> tuple[PlaceShare, ...]:
        """Where the customer's time went, most first; adds up to the length of the critical path."""
        times: dict[tuple[str, str], int] = {}
        for row, intervals in self.critical.items():
            span = self.spans[row]
            outside = span["peer"] if span["kind"] == "client" and self.covered(row) is None else ""
            place = (span["service"], outside)
            times[place] = times.get(place, 0) + sum(interval.length for interval in intervals)
        whole = sum(times.values()) or 1
        return tuple(
            PlaceShare(
                name=f"{service} → {outside}" if outside else service,
                slot=self.slots[service],
                is_outside=outside != "",
                share=time / whole,
                time=duration_text(time / NANOS),
            )
            for (service, outside), time in sorted(times.items(), key=lambda item: -item[1])
        )

    def row(self, row: int, depth: int) -> SpanRow:
        span, own = self.spans[row], self.intervals[row]
        covered = self.covered(row) if span["kind"] == "client" else None
        critical = self.critical.get(row, [])
        return SpanRow(
            span_id=span["span_id"],
            depth=depth,
            service=span["service"],
            slot=self.slots[span["service"]],
            name=span["name"],
            kind=span["kind"],
            call=span["peer"] if span["kind"] in {"client", "producer"} else "",
            bar=self.bar(own),
            covered=None if covered is None else self.bar(covered),
            critical=tuple(self.bar(interval) for interval in critical),
            offset=duration_text((own.start - self.start) / NANOS),
            duration=duration_text(own.length / NANOS),
            critical_time=duration_text(sum(interval.length for interval in critical) / NANOS) if critical else "",
            gap="" if covered is None else duration_text((own.length - covered.length) / NANOS),
            fault=(span["status_message"] or "failed") if span["status"] == "error" else "",
            details=_details(span),
            events=tuple(self.event(event) for event in _events(span["events"])),
        )

    def covered(self, row: int) -> Interval | None:
        """The part of a client span in which the called service was at work, by its own span."""
        servers = [
            self.intervals[child] for child in self.children.get(row, ()) if self.spans[child]["kind"] == "server"
        ]
        if not servers:
            return None
        own = self.intervals[row]
        start = max(own.start, min(server.start for server in servers))
        end = min(own.end, max(server.end for server in servers))
        # clocks that disagree by more than the call took leave nothing to draw
        return Interval(start, end) if start < end else None

    def bar(self, interval: Interval) -> Bar:
        left = (interval.start - self.start) / self.total * 100
        return Bar(round(left, 3), round(interval.length / self.total * 100, 3))

    def event(self, event: Mapping[str, Any]) -> tuple[str, str]:
        offset = duration_text((int(event.get("time_unix_nano", self.start)) - self.start) / NANOS)
        attributes = event.get("attributes")
        words = (
            " ".join(f"{name}={value}" for name, value in attributes.items()) if isinstance(attributes, dict) else ""
        )
        return offset, f"{event.get('name', '')} {words}".strip()

    def log(self, number: int, log: Mapping[str, Any]) -> LogRow:
        offset = (log["time_unix_nano"] - self.start) / NANOS
        details = pairs(log["attributes"])
        return LogRow(
            key=str(number),
            at=stamp_text(log["time_unix_nano"]),
            offset=f"{'+' if offset >= 0 else MINUS}{duration_text(abs(offset))}",
            service=log["service"],
            slot=self.slots.get(log["service"], 0),
            severity=log["severity"] or "INFO",
            level=_level(log["severity_number"] or 0),
            body=log["body"],
            brief=" ".join(f"{name.rpartition('.')[2]}={value}" for name, value in details if name != _JOURNEY),
            details=details,
        )


def _critical_intervals(forest: Forest, entry: int) -> tuple[dict[int, list[Interval]], int]:
    """When the customer waited for each span and for nothing below it; and the largest clock shift, in nanoseconds."""
    paths = critical_paths(forest, np.array([entry], dtype=np.int64))
    below: dict[int, list[Interval]] = {}
    starts, ends = paths.start.tolist(), paths.end.tolist()
    for start, end, parent in sorted(zip(starts, ends, paths.parent.tolist(), strict=True)):
        below.setdefault(parent, []).append(Interval(start, end))
    found = {}
    for position, row in enumerate(paths.row.tolist()):
        cursor, own = starts[position], []
        for child in (*below.get(position, ()), Interval(ends[position], ends[position])):
            if cursor < child.start:
                own.append(Interval(cursor, child.start))
            cursor = max(cursor, child.end)
        found[row] = own
    return found, paths.largest_shift


def _doubts(forest: Forest, shift: int) -> Iterator[str]:
    """What a reader has to know before trusting the picture."""
    quality = forest.quality
    if quality.rootless_traces:
        yield "The first span of this trace is not here: it was not sent, or is still on its way."
    elif quality.orphan_spans:
        yield f"{count_text(quality.orphan_spans, 'span')} name a parent that is not here; drawn at the left edge."
    if shift > _NOTED_SHIFT_NANO:
        yield f"Clocks of the services disagree by up to {duration_text(shift / NANOS)}."
    if quality.cyclic_spans:
        yield f"{count_text(quality.cyclic_spans, 'span')} are their own ancestors; drawn at the end."


def _details(span: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    known = (("kind", "kind"), ("protection", "protection"), ("span id", "span_id"), ("instance", "instance"))
    return (*((label, span[name]) for label, name in known if span[name]), *pairs(span["attributes"]))


def _events(document: str) -> list[dict[str, Any]]:
    try:
        parsed = json.loads(document or "[]")
    except ValueError:
        return []
    return [event for event in parsed if isinstance(event, dict)] if isinstance(parsed, list) else []


def _level(severity_number: int) -> str:
    # OpenTelemetry's numbers: 13 to 16 are warnings, 17 and more are errors
    return "error" if severity_number >= 17 else "warn" if severity_number >= 13 else "info"  # noqa: PLR2004 - see above
