"""The collector, by its own metrics and its log: what it took, what it dropped, what it cannot get rid of."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from shopscope_ops.doctor._exposition import Exposition
from shopscope_ops.doctor._report import Verdict, failed, passed

__all__ = ["Passage", "explain", "explain_refusal", "judge_queues", "judge_taken", "recent_errors"]

_RECORDS: Final = {"traces": "spans", "metrics": "metric_points", "logs": "log_records"}
_NEAR_FULL: Final = 0.9
_GROWING: Final = 0.1
# An exporter that fails says so at each attempt, at most half a minute apart; older errors may have passed.
_RECENT_SECONDS: Final = 60.0
_INCOMING: Final = "otelcol_processor_incoming_items"
# What a collector says once it has started.
_BEGINS: Final = "Everything is ready. Begin running and processing data."
_SHOWN_CHARACTERS: Final = 240
_ISO: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)")
_LOG: Final = "look at the collector's log (shopscope logs)"


@dataclass(frozen=True, slots=True)
class Passage:
    """What the collector says of the time in which the request passed.

    Attributes:
        before: its metrics before the request was sent.
        after: its metrics now.
        errors: the last recent error of each exporter and signal, from its log.
    """

    before: Exposition
    after: Exposition
    errors: Mapping[tuple[str, str], str]

    def grown(self, name: str, **labels: str) -> float:
        """By how much a counter has grown."""
        return self.after.sum(name, **labels) - self.before.sum(name, **labels)

    def error(self, exporter: str, signal: str) -> str:
        """Why an exporter does not send a signal; "" when it has sent some since, so that the error has passed."""
        records = _RECORDS[signal]
        is_sending = self.grown(f"otelcol_exporter_sent_{records}", exporter=exporter) > 0
        is_losing = self.grown(f"otelcol_exporter_send_failed_{records}", exporter=exporter) > 0
        return "" if is_sending and not is_losing else self.errors.get((exporter, signal), "")


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


def explain(passage: Passage, component: str, signal: str) -> tuple[str, str] | None:
    """Why a signal has not come to a component, and what to do; None when the collector does not know."""
    records = _RECORDS[signal]
    if dropped := list(_dropped(passage, signal)):
        processor, count = dropped[0]
        return (
            f"the collector's processor {processor} dropped {_counted(count, signal)}",
            f"correct {processor} in the collector's configuration",
        )
    exporters = [name for name in _exporters(passage.after, signal) if name.partition("/")[2] == component]
    if not exporters:
        return (
            f"the collector's pipeline of {signal} has no exporter for {component}",
            f"add otlp_http/{component} to it under service.pipelines in the collector's configuration",
        )
    for exporter in exporters:
        if error := passage.error(exporter, signal):
            return f"the collector's exporter {exporter} fails: {error}", _advice(error, component)
        if lost := passage.grown(f"otelcol_exporter_send_failed_{records}", exporter=exporter):
            return f"{component} refused {_counted(lost, signal)} of the collector's exporter {exporter}", _LOG
        if waiting := passage.after.sum("otelcol_exporter_queue_size", exporter=exporter, data_type=signal):
            return f"{_counted(waiting, signal)} wait in the queue of the collector's exporter {exporter}", _LOG
    return None


def judge_queues(passage: Passage) -> Verdict:
    """Whether each exporter gets rid of what it is given: not failing, full, refusing or growing."""
    faults = []
    waiting, queues = 0.0, 0
    for signal in _RECORDS:
        for exporter in _exporters(passage.after, signal):
            waiting += passage.after.sum("otelcol_exporter_queue_size", exporter=exporter, data_type=signal)
            queues += 1
            if told := _queue_fault(passage, exporter, signal):
                faults.append((told, _advice(passage.error(exporter, signal), exporter.partition("/")[2])))
    if faults:
        return failed("; ".join(told for told, _ in faults), faults[0][1])
    if not queues:
        return failed("the collector shows no exporter's queue", "give its exporters a sending_queue")
    return passed(f"{waiting:.0f} items wait in {queues} queues, no exporter fails")


def explain_refusal(passage: Passage, signal: str) -> tuple[str, str] | None:
    """Which processor's failure refuses a signal, and what to do; None when it is none of them."""
    names = dict.fromkeys(labels.get("processor", "") for labels in passage.after.labels(_INCOMING))
    for processor in names:
        if error := passage.errors.get((processor, signal)):
            return (
                f"the collector's processor {processor} fails, and lets no {signal} pass unseen: {error}",
                f"correct {processor} in the collector's configuration",
            )
    return None


def recent_errors(log: str, now_unix: float) -> dict[tuple[str, str], str]:
    """The last recent error of each exporter or processor and signal; lines are JSON, or end with a JSON object."""
    found: dict[tuple[str, str], str] = {}
    for line in log.splitlines():
        if _BEGINS in line:
            found.clear()  # what went before was another process
            continue
        head, brace, rest = line.partition("{")
        try:
            fields = json.loads(brace + rest)
        except ValueError:
            continue
        component, error = fields.get("otelcol.component.id"), fields.get("error")
        when = _time_of(fields, head)
        is_recent = when is None or now_unix - when < _RECENT_SECONDS
        if error and is_recent and fields.get("otelcol.component.kind") in {"exporter", "processor"}:
            found[str(component), str(fields.get("otelcol.signal"))] = " ".join(str(error).split())[:_SHOWN_CHARACTERS]
    return found


def _dropped(passage: Passage, signal: str) -> Iterator[tuple[str, float]]:
    """Processors that let less of a signal out than came in."""
    labels = passage.after.labels(_INCOMING)
    for processor in dict.fromkeys(found.get("processor", "") for found in labels):
        wanted = {"processor": processor, "otel_signal": signal}
        lost = passage.grown(_INCOMING, **wanted) - passage.grown("otelcol_processor_outgoing_items", **wanted)
        if lost > 0:
            yield processor, lost


def _exporters(exposition: Exposition, signal: str) -> list[str]:
    found = exposition.labels("otelcol_exporter_queue_capacity")
    return sorted({labels.get("exporter", "") for labels in found if labels.get("data_type") == signal})


def _queue_fault(passage: Passage, exporter: str, signal: str) -> str:
    labels = {"exporter": exporter, "data_type": signal}
    size = passage.after.sum("otelcol_exporter_queue_size", **labels)
    capacity = passage.after.sum("otelcol_exporter_queue_capacity", **labels)
    refused = passage.grown(f"otelcol_exporter_enqueue_failed_{_RECORDS[signal]}", exporter=exporter)
    error = passage.error(exporter, signal)
    why = f": {error}" if error else ""
    who = f"the collector's exporter {exporter}"
    if refused:
        return f"the queue of {who} is full and refused {_counted(refused, signal)}{why}"
    if size >= capacity * _NEAR_FULL:
        return f"the queue of {who} is full ({size:.0f} of {capacity:.0f} {signal}){why}"
    if size and error:
        return f"{who} fails, {_counted(size, signal)} wait{why}"
    if passage.grown("otelcol_exporter_queue_size", **labels) > 0 and size > capacity * _GROWING:
        return f"the queue of {who} grows ({size:.0f} of {capacity:.0f} {signal})"
    return ""


def _counted(count: float, signal: str) -> str:
    records = _RECORDS[signal].replace("_", " ")
    return f"{count:.0f} {records.removesuffix('s') if count == 1 else records}"


def _advice(error: str, component: str) -> str:
    """What to do about an exporter's error, by the words that Go's HTTP client and the components use."""
    text = error.lower()
    remedies = (
        (
            ("connection refused", "no such host", "i/o timeout", "deadline exceeded", "no route"),
            f"start {component}, or correct the endpoint of otlp_http/{component} in the collector's configuration",
        ),
        (
            ("status code 401", "status code 403", "unauthorized", "forbidden"),
            f"give otlp_http/{component} the token that {component} wants (headers or auth)",
        ),
        (("out of order", "too old", "out of bounds"), "set storage.tsdb.out_of_order_time_window in prometheus.yml"),
        (
            ("status code 404", "not found", "not enabled"),
            "correct the path of the endpoint; Prometheus needs --web.enable-otlp-receiver",
        ),
        (("no space", "disk full"), f"make room on {component}'s disk"),
        (("status code 413", "too large", "max-recv"), "lower sending_queue.batch.max_size"),
        (("status code 429", "rate limit"), f"raise {component}'s limits, or send less"),
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
