"""The components of the stack, asked: each gives its part of the request's way, and how it is."""

import time
from typing import Final

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from shopscope_ops.doctor import _grafana_labs as grafana_labs
from shopscope_ops.doctor import _prometheus as prometheus
from shopscope_ops.doctor._collector import (
    Passage,
    explain,
    explain_refusal,
    judge_queues,
    judge_taken,
    recent_errors,
)
from shopscope_ops.doctor._exposition import Exposition
from shopscope_ops.doctor._http import Answer, ask
from shopscope_ops.doctor._marked import SERVICE
from shopscope_ops.doctor._report import Verdict, failed
from shopscope_ops.doctor._request import Sent
from shopscope_ops.doctor._steps import Question
from shopscope_ops.doctor._target import Target

__all__ = [
    "Collector",
    "grafana_checks",
    "loki_trail",
    "prometheus_checks",
    "prometheus_sdks",
    "prometheus_skew",
    "prometheus_trail",
    "tempo_trail",
]

_LATE_SECONDS: Final = 60.0
_PROTOBUF: Final = {"content-type": "application/x-protobuf"}
_WITH_HEALTH_CHECK: Final = ("prometheus", "tempo", "loki")


class Collector:
    """The collector before and after the request."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._before = self._scrape()

    def trail(self, sent: Sent) -> list[Question]:
        """Whether it took the request."""
        counts = sent.sent or {}
        return [Question("took the request", "collector", lambda: judge_taken(self._passage(), counts))]

    def checks(self) -> list[Question]:
        """Whether its exporters get rid of what they are given."""
        return [Question("queues empty", "collector", lambda: judge_queues(self._passage()))]

    def explain(self, component: str, signal: str, verdict: Verdict) -> Verdict:
        """Why a component has not got the request, if the collector knows."""
        found = explain(self._passage(), component, signal)
        return failed(f"{verdict.detail}: {found[0]}", found[1]) if found else verdict

    def explain_refusal(self, signal: str, verdict: Verdict) -> Verdict:
        """Why the collector refused the request, if a processor of its is the reason."""
        found = explain_refusal(self._passage(), signal)
        return failed(*found) if found else verdict

    def _passage(self) -> Passage:
        errors = recent_errors(self._target.read_log("collector"), time.time())
        return Passage(self._before, self._scrape(), errors)

    def _scrape(self) -> Exposition:
        return Exposition(ask(self._target.url("collector.telemetry", "/metrics")).text)


def prometheus_trail(target: Target, sent: Sent) -> list[Question]:
    """The event, the exemplar, and the labels of both."""

    def exemplar() -> Verdict:
        now = time.time()
        parameters = {
            "query": prometheus.exemplar_query(sent.mark),
            "start": f"{sent.started_unix_nano / 1e9 - 60:.3f}",
            "end": f"{now + 60:.3f}",
        }
        answer = ask(target.url("prometheus.http", "/api/v1/query_exemplars"), parameters=parameters)
        return prometheus.judge_exemplar(answer, sent.trace_id)

    def events() -> Answer:
        return _query(target, prometheus.marked(prometheus.EVENTS, sent.mark))

    return [
        Question("counted the event", "prometheus", lambda: prometheus.judge_counter(events(), sent.mark), "metrics"),
        Question("keeps the exemplar", "prometheus", exemplar),
        Question("labels the resource", "prometheus", lambda: prometheus.judge_labels(events())),
    ]


def prometheus_checks(target: Target, mark: str, *, has_alertmanager: bool) -> list[Question]:
    """Late samples, alerts, targets and series."""

    def late() -> Verdict:
        now = time.time()
        url = target.url("prometheus.http", "/api/v1/otlp/v1/metrics")
        newer = ask(url, body=_sample(mark, now), headers=_PROTOBUF)
        older = ask(url, body=_sample(mark, now - _LATE_SECONDS), headers=_PROTOBUF)
        return prometheus.judge_late(newer, older, _LATE_SECONDS)

    def alerting() -> Verdict:
        return prometheus.judge_alerting(
            ask(target.url("prometheus.http", "/api/v1/alertmanagers")),
            _query(target, prometheus.FIRING),
            ask(target.url("alertmanager.http", "/api/v2/alerts")),
            prometheus.notifier_errors(target.read_log("prometheus"), time.time()),
            ask(target.url("alertmanager.http", "/api/v2/status")).document["uptime"],
        )

    def targets() -> Verdict:
        return prometheus.judge_targets(ask(target.url("prometheus.http", "/api/v1/targets?state=active")))

    def series() -> Verdict:
        found, past = _query(target, prometheus.SERIES), _query(target, prometheus.OVERFLOWS)
        return prometheus.judge_prometheus_series(found, past)

    checks = [
        Question("takes late samples", "prometheus", late),
        Question("scrapes its targets", "prometheus", targets),
        Question("series per metric", "prometheus", series),
    ]
    if has_alertmanager:
        checks.insert(1, Question("gets the alerts", "alertmanager", alerting))
    return checks


def prometheus_skew(target: Target) -> float | None:
    """How far Prometheus' clock is ahead of ours."""
    return prometheus.skew_seconds(_query(target, "time()"))


def prometheus_sdks(target: Target) -> dict[str, str]:
    """The version of the SDK in each service that sends metrics."""
    return prometheus.sdk_versions(_query(target, prometheus.SDKS))


def tempo_trail(target: Target, sent: Sent) -> list[Question]:
    """The trace."""
    url = target.url("tempo.http", f"/api/traces/{sent.trace_id}")

    def trace() -> Verdict:
        return grafana_labs.judge_trace(ask(url), sent.mark, sent.trace_id)

    return [Question("holds the trace", "tempo", trace, "traces")]


def loki_trail(target: Target, sent: Sent) -> list[Question]:
    """The log line with its ids."""
    url = target.url("loki.http", "/loki/api/v1/query_range")
    parameters = {"query": f'{{service_name="{SERVICE}"}}', "start": str(sent.started_unix_nano), "limit": "100"}

    def line() -> Verdict:
        return grafana_labs.judge_log_line(ask(url, parameters=parameters), sent.mark, sent.trace_id, sent.span_id)

    return [Question("holds the log line", "loki", line, "logs")]


def grafana_checks(target: Target) -> list[Question]:
    """Every data source, as Grafana itself checks it."""

    def sources() -> Verdict:
        settings = ask(target.url("grafana.http", "/api/frontend/settings"))
        if not settings.is_success:
            return failed(f"Grafana does not tell its data sources: {settings.words}", "look at Grafana's log")
        known = [
            source["uid"]
            for source in settings.document["datasources"].values()
            if source.get("type") in _WITH_HEALTH_CHECK
        ]
        answers = {uid: ask(target.url("grafana.http", f"/api/datasources/uid/{uid}/health")) for uid in known}
        return grafana_labs.judge_data_sources(answers, target.left_out)

    return [Question("data sources work", "grafana", sources)]


def _query(target: Target, query: str) -> Answer:
    return ask(target.url("prometheus.http", "/api/v1/query"), parameters={"query": query})


def _sample(mark: str, unix: float) -> bytes:
    """An OTLP request with one value of one series at a time."""
    request = ExportMetricsServiceRequest()
    resource = request.resource_metrics.add()
    for key, value in (("service.name", SERVICE), ("service.instance.id", mark)):
        resource.resource.attributes.add(key=key).value.string_value = value
    metric = resource.scope_metrics.add().metrics.add(name="shopscope.doctor.late", unit="1")
    metric.gauge.data_points.add(time_unix_nano=int(unix * 1e9), as_double=unix)
    encoded: bytes = request.SerializeToString()
    return encoded
