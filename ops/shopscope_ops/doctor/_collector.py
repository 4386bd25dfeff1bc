"""The collector, by its own metrics and its log: what it took, what it dropped, what it cannot get rid of."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from shopscope_ops.doctor._exposition import Exposition
from shopscope_ops.doctor._report import Verdict, failed, passed

__all__ = ["Passage", "explain", "export_errors", "judge_queues", "judge_taken"]

_RECORDS: Final = {"traces": "spans", "metrics": "metric_points", "logs": "log_records"}
_NEAR_FULL: Final = 0.9
_GROWING: Final = 0.1
# An exporter that fails says so at each attempt, at most half a minute apart; older errors may have passed.
_RECENT_SECONDS: Final = 120.0
_SHOWN_CHARACTERS: Final = 240
_ISO: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)")
_LOG: Final = "look at the collector's log (shopscope logs)"


@dataclass(frozen=True, slots=True)
class Passage:
    """What the collector says of the time in which the request passed.

    Attributes:
        before: its metrics before the request was sent.
        after: its metrics now.
        errors: the last recent error of each exporter, from its log.
    """

    before: Exposition
    after: Exposition
    errors: Mapping[str, str]

    def grown(self, name: str, **labels: str) -> float:
        """By how much a counter has grown."""
        return self.after.sum(name, **labels) - self.before.sum(name, **labels)


def judge_taken(passage: Passage, sent: Mapping[str, int]) -> Verdict:
    """Whether the receiver counted as many records as the SDK has sent; other services may have added to them."""
    taken = {signal: passage.grown(f"otelcol_receiver_accepted_{records}") for signal, records in _RECORDS.items()}
    short = [signal for signal, count in taken.items() if count < sent[signal]]
    told = ", ".join(f"{_RECORDS[signal].replace('_', ' ')} {count:.0f}" for signal, count in taken.items())
    if short:
        return failed(
            f"the collector accepted fewer {' and '.join(short)} than the SDK sent ({told})",
            "another program may listen on its OTLP port: see who with shopscope status",
        )
    return passed(f"accepted: {told}")


def explain(passage: Passage, component: str) -> tuple[str, str] | None:
    """Why the request has not come to a component, and what to do; None when the collector does not know."""
    if dropped := list(_dropped(passage)):
        processor, signal, count = dropped[0]
        return (
            f"the collector's processor {processor} dropped {count:.0f} {_RECORDS.get(signal, signal)}",
            f"correct {processor} in the collector's configuration",
        )
    exporters = [name for name in _exporters(passage.after) if name.partition("/")[2] == component]
    if not exporters:
        return (
            f"the collector has no exporter for {component} in its pipelines",
            f"add otlp_http/{component} to service.pipelines in the collector's configuration",
        )
    for exporter in exporters:
        if error := passage.errors.get(exporter):
            return f"the collector's exporter {exporter} fails: {error}", _advice(error, component)
        for records in _RECORDS.values():
            if lost := passage.grown(f"otelcol_exporter_send_failed_{records}", exporter=exporter):
                return f"the collector's exporter {exporter} lost {lost:.0f} {records}: {component} refused them", _LOG
        if waiting := passage.after.sum("otelcol_exporter_queue_size", exporter=exporter):
            return f"{waiting:.0f} items wait in the queue of the collector's exporter {exporter}", _LOG
    return None


def judge_queues(passage: Passage) -> Verdict:
    """Whether each exporter gets rid of what it is given: not failing, full, refusing or growing."""
    faults = []
    waiting, exporters = 0.0, _exporters(passage.after)
    for exporter in exporters:
        component = exporter.partition("/")[2]
        waiting += passage.after.sum("otelcol_exporter_queue_size", exporter=exporter)
        if told := _queue_fault(passage, exporter):
            error = passage.errors.get(exporter, "")
            faults.append((told, _advice(error, component)))
    if faults:
        return failed("; ".join(told for told, _ in faults), faults[0][1])
    if not exporters:
        return failed("the collector shows no exporter's queue", "give its exporters a sending_queue")
    return passed(f"{waiting:.0f} items wait in {len(exporters)} queues, no exporter fails")


def export_errors(log: str, now_unix: float) -> dict[str, str]:
    """The last recent error of each exporter; lines are JSON, or end with a JSON object."""
    found = {}
    for line in log.splitlines():
        head, brace, rest = line.partition("{")
        try:
            fields = json.loads(brace + rest)
        except ValueError:
            continue
        exporter, error = fields.get("otelcol.component.id"), fields.get("error")
        when = _time_of(fields, head)
        is_recent = when is None or now_unix - when < _RECENT_SECONDS
        if error and is_recent and fields.get("otelcol.component.kind") == "exporter":
            found[str(exporter)] = " ".join(str(error).split())[:_SHOWN_CHARACTERS]
    return found


def _dropped(passage: Passage) -> Iterator[tuple[str, str, float]]:
    """Processors that let less out than came in, with signal and count."""
    pairs = {
        (labels.get("processor", ""), labels.get("otel_signal", "")): None
        for labels in passage.after.labels("otelcol_processor_incoming_items")
    }
    for processor, signal in pairs:
        labels = {"processor": processor, "otel_signal": signal}
        lost = passage.grown("otelcol_processor_incoming_items", **labels) - passage.grown(
            "otelcol_processor_outgoing_items", **labels
        )
        if lost > 0:
            yield processor, signal, lost


def _exporters(exposition: Exposition) -> list[str]:
    return sorted({labels.get("exporter", "") for labels in exposition.labels("otelcol_exporter_queue_capacity")})


def _queue_fault(passage: Passage, exporter: str) -> str:
    size = passage.after.sum("otelcol_exporter_queue_size", exporter=exporter)
    capacity = passage.after.sum("otelcol_exporter_queue_capacity", exporter=exporter)
    grown = passage.grown("otelcol_exporter_queue_size", exporter=exporter)
    refused = sum(
        passage.grown(f"otelcol_exporter_enqueue_failed_{records}", exporter=exporter) for records in _RECORDS.values()
    )
    error = passage.errors.get(exporter, "")
    why = f": {error}" if error else ""
    if refused:
        return f"the queue of the collector's exporter {exporter} is full and refused {refused:.0f} items{why}"
    if size >= capacity * _NEAR_FULL:
        return f"the queue of the collector's exporter {exporter} is full ({size:.0f} of {capacity:.0f} items){why}"
    if size and error:
        return f"the collector's exporter {exporter} fails, {size:.0f} of {capacity:.0f} items wait{why}"
    if grown > 0 and size > capacity * _GROWING:
        return f"the queue of the collector's exporter {exporter} grows ({size:.0f} of {capacity:.0f} items)"
    return ""


def _advice(error: str, component: str) -> str:
    """What to do about an exporter's error, by the words that Go's HTTP client and the components use."""
    text = error.lower()
    remedies = (
        (
            ("connection refused", "no such host", "i/o timeout", "deadline exceeded", "no route"),
            f"start {component}, or correct the endpoint of otlp_http/{component} in the collector's configuration",
        ),
        (
            ("401", "403", "unauthorized", "forbidden"),
            f"give otlp_http/{component} the token that {component} wants (headers or auth)",
        ),
        (("out of order", "too old", "out of bounds"), "set storage.tsdb.out_of_order_time_window in prometheus.yml"),
        (
            ("404", "not found", "not enabled"),
            "correct the path of the endpoint; Prometheus needs --web.enable-otlp-receiver",
        ),
        (("no space", "disk full"), f"make room on {component}'s disk"),
        (("413", "too large", "max-recv"), "lower sending_queue.batch.max_size"),
        (("429", "rate limit"), f"raise {component}'s limits, or send less"),
    )
    return next((remedy for words, remedy in remedies if any(word in text for word in words)), _LOG)


def _time_of(fields: Mapping[str, Any], head: str) -> float | None:
    stamp = fields.get("ts")
    if isinstance(stamp, int | float):
        return float(stamp)
    match = _ISO.search(str(stamp or head))
    if match is None:
        return None
    return datetime.fromisoformat(match[0]).astimezone(UTC).timestamp()
