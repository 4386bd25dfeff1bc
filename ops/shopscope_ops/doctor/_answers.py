"""The answers engine, asked: the marked request's span, event, exemplar and line, and how the engine is."""

import time
from collections.abc import Iterator, Mapping
from typing import Any, Final

import orjson

from shopscope._metrics._names import METRICS, SDK_OVERFLOW, SDK_QUEUE_RECORDS
from shopscope_ops.doctor import _stored as stored
from shopscope_ops.doctor._http import ask
from shopscope_ops.doctor._judge import SeriesCount, judge_engine_queue, judge_series
from shopscope_ops.doctor._marked import SDK_NAME, SERVICE
from shopscope_ops.doctor._report import Verdict, failed, passed
from shopscope_ops.doctor._request import Sent
from shopscope_ops.doctor._steps import Question
from shopscope_ops.doctor._target import Target

__all__ = ["engine_queue", "engine_sdks", "engine_series", "engine_status", "engine_trail"]

_NAME: Final = "answers"
_EVENTS: Final = "shopscope.slo.events"
_RECENT_NANO: Final = 60 * 10**9
_LONGER_NANO: Final = 15 * 60 * 10**9


def engine_status(target: Target) -> Mapping[str, Any]:
    """The engine's status document; empty when there is none."""
    document = ask(target.url("answers.otlp-http", "/api/status")).document
    return document if isinstance(document, dict) else {}


def engine_trail(target: Target, sent: Sent, before: Mapping[str, Any]) -> list[Question]:
    """What to ask the engine for the marked request; ``before`` is its status before it was sent."""
    endpoint = target.url("answers.otlp-http")
    since = str(sent.started_unix_nano)

    def span() -> Verdict:
        return stored.judge_span(*stored.read_rows(endpoint, "spans", trace_id=sent.trace_id), sent)

    def metric() -> Verdict:
        found = stored.read_rows(endpoint, "metric_points", name=_EVENTS, service=SERVICE, since=since)
        return stored.judge_metric(*found, sent)

    def exemplar() -> Verdict:
        return stored.judge_exemplar(*stored.read_rows(endpoint, "exemplars", trace_id=sent.trace_id), sent)

    def line() -> Verdict:
        return stored.judge_line(*stored.read_rows(endpoint, "logs", trace_id=sent.trace_id), sent)

    # Behind a collector the engine gets what is not ours too, and its counts say nothing of the request.
    took = Question("took the request", _NAME, lambda: stored.judge_accepted(before, engine_status(target)))
    return [
        *([took] if target.endpoint_port.startswith(_NAME) else []),
        Question("holds the span", _NAME, span, "traces"),
        Question("counted the event", _NAME, metric, "metrics"),
        Question("keeps the exemplar", _NAME, exemplar, "metrics"),
        Question("holds the log line", _NAME, line, "logs"),
        Question("shows the page", _NAME, lambda: _page(target.url("answers.page", "/"))),
    ]


def engine_queue(target: Target) -> Verdict:
    """Whether the engine writes down what it takes."""
    return judge_engine_queue(engine_status(target))


def engine_series(target: Target) -> Verdict:
    """Series of the metrics whose labels come from data, and those past the SDK's cap."""
    endpoint = target.url("answers.otlp-http")
    now = time.time_ns()
    counts: list[SeriesCount] = []
    for metric in METRICS:
        if metric.unbounded:
            counts += _counts(metric.otlp, _points(endpoint, metric.otlp, now - _RECENT_NANO))
    past = {
        (str(orjson.loads(row["attributes"]).get("metric", "")), row["service"])
        for row in _points(endpoint, SDK_OVERFLOW.otlp, now - _LONGER_NANO)
        if row["value"]
    }
    return judge_series(counts, sorted(past))


def engine_sdks(target: Target) -> dict[str, str]:
    """The version of the SDK in each service that sent metrics within the last minute."""
    rows = _points(target.url("answers.otlp-http"), SDK_QUEUE_RECORDS.otlp, time.time_ns() - _RECENT_NANO)
    resources = {row["service"]: orjson.loads(row["resource"]) for row in rows}
    return {
        service: str(resource.get("telemetry.sdk.version", ""))
        for service, resource in resources.items()
        if resource.get("telemetry.sdk.name") == SDK_NAME
    }


def _points(endpoint: str, name: str, since_nano: int) -> list[dict[str, Any]]:
    return stored.read_rows(endpoint, "metric_points", name=name, since=str(since_nano))[1]


def _counts(metric: str, rows: list[dict[str, Any]]) -> Iterator[SeriesCount]:
    series: dict[tuple[str, str], set[str]] = {}
    for row in rows:
        series.setdefault((row["service"], row["instance"]), set()).add(row["attributes"])
    for (service, instance), labels in series.items():
        yield SeriesCount(metric, service, instance, len(labels))


def _page(url: str) -> Verdict:
    answer = ask(url)
    if answer.is_success:
        return passed(f"{url} answers")
    return failed(f"the answers page at {url} does not answer: {answer.words}", "look at the engine's log")
