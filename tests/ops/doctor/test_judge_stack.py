"""What the stack's answers mean: where a real fault takes minutes to show, or the component cannot be had everywhere.

Documents are those of the real components; Tempo's, Loki's and Grafana's are as their references give them.
"""

import json

import pytest

from shopscope_ops.doctor._collector import Passage, explain, judge_queues, judge_taken, recent_errors
from shopscope_ops.doctor._exposition import Exposition
from shopscope_ops.doctor._grafana_labs import judge_data_sources, judge_log_line, judge_trace
from shopscope_ops.doctor._http import Answer
from shopscope_ops.doctor._identity import IDENTITIES, judge_identities, last_error
from shopscope_ops.doctor._prometheus import (
    judge_alerting,
    judge_counter,
    judge_prometheus_series,
    judge_targets,
    notifier_errors,
    skew_seconds,
)
from shopscope_ops.doctor._report import Outcome, passed

TRACE, SPAN, MARK = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", "abcdefghijklmnop"
MANAGER = "http://127.0.0.1:9093/api/v2/alerts"


def answer(document, status=200, **fields):
    return Answer("http://x", status, json.dumps(document).encode(), **fields)


def vector(*series):
    return answer({"data": {"result": [{"metric": labels, "value": [0, str(value)]} for labels, value in series]}})


def exposition(**values):
    """The collector's metrics; a name is a metric's rest, a value its figure for metrics at otlp_http/prometheus."""
    labels = 'data_type="metrics",exporter="otlp_http/prometheus"'
    lines = [f"otelcol_{name}{{{labels}}} {value}" for name, value in values.items()]
    return Exposition("\n".join(["# TYPE otelcol_exporter_queue_size gauge", *lines, ""]))


def passage(before, after, errors=None):
    return Passage(exposition(**before), exposition(**after), errors or {})


FULL = {"exporter_queue_size": 950, "exporter_queue_capacity": 1000}
GROWN = {"exporter_queue_size": 150, "exporter_queue_capacity": 1000}
SMALL = {"exporter_queue_size": 50, "exporter_queue_capacity": 1000}
ERROR = {("otlp_http/prometheus", "metrics"): "connect: connection refused"}


@pytest.mark.parametrize(
    ("before", "after", "errors", "told"),
    [
        (FULL, FULL, {}, "the queue of the collector's exporter otlp_http/prometheus is full (950 of 1000 metrics)"),
        (SMALL, GROWN, {}, "the queue of the collector's exporter otlp_http/prometheus grows (150 of 1000 metrics)"),
        (
            SMALL,
            SMALL,
            ERROR,
            "the collector's exporter otlp_http/prometheus fails, 50 metric points wait: connect: connection refused",
        ),
        (
            FULL,
            FULL | {"exporter_enqueue_failed_metric_points": 7},
            {},
            "the queue of the collector's exporter otlp_http/prometheus is full and refused 7 metric points",
        ),
        (SMALL, SMALL | {"exporter_sent_metric_points": 3}, ERROR, ""),
        (GROWN, GROWN, {}, ""),
    ],
)
def test_queues_of_the_collector(before, after, errors, told):
    """Full, growing, failing and refusing queues are told; a steady one, or an error that has passed, is not."""
    verdict = judge_queues(passage(before, after, errors))
    assert told == (verdict.detail if verdict.outcome is Outcome.FAILED else "")


def test_what_the_collector_took():
    """Fewer records than the SDK sent went elsewhere."""
    taken = {
        "receiver_accepted_spans": 1,
        "receiver_accepted_metric_points": 60,
        "receiver_accepted_log_records": 2,
    }
    sent = {"traces": 1, "metrics": 60, "logs": 2}
    assert passed("accepted: spans 1, metric points 60, log records 2") == judge_taken(passage({}, taken), sent)
    verdict = judge_taken(passage(taken, taken), sent)
    assert "the collector accepted fewer traces and metrics and logs than the SDK sent" in verdict.detail


def test_a_pipeline_without_the_exporter():
    """A component that no exporter leads to is told as such; one that leads there and says nothing explains nothing."""
    assert ("the collector's pipeline of traces has no exporter for tempo") == explain(
        passage({}, SMALL), "tempo", "traces"
    )[0]
    idle = SMALL | {"exporter_queue_size": 0}
    assert explain(passage(idle, idle), "prometheus", "metrics") is None


def test_errors_in_the_collectors_log():
    """Both encodings are read; old lines, other kinds of components and a former process do not count."""
    now = 1_795_530_000.0
    fields = {"otelcol.component.id": "otlp_http/loki", "otelcol.component.kind": "exporter", "otelcol.signal": "logs"}
    console = "2026-11-24T14:19:50.000Z\terror\tretry.go:1\tExporting failed.\t"
    line = console + json.dumps(fields | {"error": "dial tcp:\n refused"})
    assert {("otlp_http/loki", "logs"): "dial tcp: refused"} == recent_errors(line, now)
    structured = json.dumps(fields | {"ts": "2026-11-24T14:19:55.000Z", "error": "EOF"})
    assert {("otlp_http/loki", "logs"): "EOF"} == recent_errors(f"{line}\n{structured}", now)
    started = '{"msg": "Everything is ready. Begin running and processing data."}'
    assert {} == recent_errors(f"{line}\n{started}", now)
    assert {} == recent_errors(line, now + 60)
    assert {} == recent_errors(line.replace('"exporter"', '"extension"'), now)


def test_an_event_whose_labels_were_removed():
    """A series that is there without journey and outcome points at what took them away."""
    verdict = judge_counter(vector(({"service_instance_id": MARK}, 1)), MARK)
    assert f"shopscope_slo_events_total of {MARK} came with the labels service_instance_id alone" == verdict.detail
    twice = judge_counter(vector(({"journey": "doctor", "outcome": "good"}, 2)), MARK)
    assert "Prometheus counts 2 events for one request" == twice.detail


def managers(*urls):
    return answer({"data": {"activeAlertmanagers": [{"url": url} for url in urls]}})


def test_alerts_that_do_not_arrive():
    """What fires and is not in Alertmanager is told with the error, if Prometheus has one for that address."""
    fired = vector(({"alertname": "ShopscopeHeartbeat"}, 1))
    nothing = answer([], received_unix=1_795_530_000.0)
    long_ago, just_now = "2026-11-24T14:00:00.000Z", "2026-11-24T14:19:30.000Z"
    unknown = judge_alerting(managers(MANAGER), fired, nothing, {}, long_ago)
    assert f"Alertmanager has not got it (Prometheus sends to {MANAGER})" in unknown.detail
    known = judge_alerting(managers(MANAGER), fired, nothing, {MANAGER: "EOF", "http://y": "?"}, just_now)
    assert "Prometheus fires ShopscopeHeartbeat, and Alertmanager has not got it: EOF" == known.detail
    fresh = judge_alerting(managers(MANAGER), fired, nothing, {}, just_now)
    assert passed(f"Prometheus sends to {MANAGER}; no alert has fired for a minute yet") == fresh
    there = answer([{"labels": {"alertname": "ShopscopeHeartbeat"}}], received_unix=1_795_530_000.0)
    arrived = judge_alerting(managers(MANAGER), fired, there, {}, long_ago)
    assert passed(f"Prometheus sends to {MANAGER}, and Alertmanager has ShopscopeHeartbeat") == arrived
    assert "Prometheus knows no Alertmanager" == judge_alerting(managers(), fired, there, {}, long_ago).detail


def test_errors_of_the_notifier():
    """The line that Prometheus 3.16 writes; it counts for a minute and a half."""
    line = (
        'time=2026-11-24T14:19:45.751Z level=ERROR source=sendloop.go:239 msg="Error sending alerts" '
        f'component=notifier alertmanager={MANAGER} count=1 err="Post \\"{MANAGER}\\": connect: connection refused"'
    )
    assert {MANAGER: f'Post "{MANAGER}": connect: connection refused'} == notifier_errors(line, 1_795_530_000.0)
    assert {} == notifier_errors(line, 1_795_530_100.0)


def test_targets_that_cannot_be_scraped():
    """A limit of labels or samples is an error of the target, in Prometheus' words."""
    target = {"labels": {"job": "shop"}, "scrapeUrl": "http://shop/metrics", "health": "up", "lastError": ""}
    limit = target | {"health": "down", "lastError": "label_limit exceeded (metric: 31, limit: 30)"}
    assert passed("1 targets are scraped") == judge_targets(answer({"data": {"activeTargets": [target]}}))
    verdict = judge_targets(answer({"data": {"activeTargets": [target, limit]}}))
    assert (
        "Prometheus cannot scrape shop at http://shop/metrics: label_limit exceeded (metric: 31, limit: 30)"
        == verdict.detail
    )


def test_series_in_prometheus():
    """Counts come with name, service and instance; overflows with the metric and its service."""
    labels = {"__name__": "a_total", "service_name": "cart", "service_instance_id": "1"}
    assert "a_total of cart has 900 of 1000 series" == judge_prometheus_series(vector((labels, 900)), vector()).detail
    past = vector(({"metric": "a", "service_name": "cart"}, 3))
    assert "further ones share one: a of cart" in judge_prometheus_series(vector((labels, 5)), past).detail


def test_the_clock_of_prometheus():
    """``time()`` is compared with the middle between question and answer."""
    told = answer({"data": {"result": [105.0, "105.0"]}}, sent_unix=99.0, received_unix=101.0)
    assert 5.0 == skew_seconds(told)
    assert skew_seconds(answer({}, 503)) is None


def test_a_trace_in_tempo():
    """The trace has the mark; what Tempo does not know it answers with 404, anything else is trouble."""
    found = answer({"batches": [{"resource": {"attributes": [{"value": {"stringValue": MARK}}]}}]})
    assert passed(f"trace {TRACE}") == judge_trace(found, MARK, TRACE)
    assert f"Tempo has no trace {TRACE}" == judge_trace(answer({}, 404), MARK, TRACE).detail
    assert "Tempo cannot be asked: HTTP 500: no" == judge_trace(Answer("x", 500, b"no"), MARK, TRACE).detail


def test_a_line_in_loki():
    """The line carries mark, trace and span id as structured metadata."""
    stream = {"service_name": "shopscope-doctor", "mark": MARK, "trace_id": TRACE, "span_id": SPAN}

    def judged(labels):
        document = {"data": {"result": [{"stream": labels, "values": [["1", "the line"]]}]}}
        return judge_log_line(answer(document), MARK, TRACE, SPAN)

    assert passed("'the line' with trace and span id") == judged(stream)
    assert "the line came to Loki without its trace and span id" == judged({"mark": MARK}).detail
    assert f"Loki has no line marked {MARK}" == judged({}).detail


def test_data_sources_of_grafana():
    """Each is as Grafana says; one whose component cannot run here does not count."""
    well = answer({"status": "OK", "message": "Successfully queried the Prometheus API."})
    ill = answer({"status": "ERROR", "message": "connection refused"}, 400)
    assert passed("prometheus are healthy") == judge_data_sources({"prometheus": well, "tempo": ill}, {"tempo": "?"})
    verdict = judge_data_sources({"prometheus": well, "loki": ill}, {})
    assert "Grafana's data source loki: HTTP 400: connection refused" == verdict.detail


def test_who_answers():
    """A component is recognised by its own answer, and a stranger's is none."""
    versions = {
        "prometheus": {"status": "success", "data": {"version": "3.16.0"}},
        "tempo": {"version": "v3.0.3"},
        "loki": {"version": "3.7.6"},
        "alertmanager": {"versionInfo": {"version": "0.31.1"}},
        "grafana": {"database": "ok", "version": "13.2.0"},
        "answers": {"engine": "embedded", "version": "0.1.0"},
    }
    found = {name: IDENTITIES[name].version(answer(document)) for name, document in versions.items()}
    assert ["3.16.0", "3.0.3", "3.7.6", "0.31.1", "13.2.0", "0.1.0"] == list(found.values())
    assert [None] * 7 == [identity.version(answer({"hello": 1})) for identity in IDENTITIES.values()]


def test_a_component_that_ended_with_an_error():
    """The last error in the log of one that does not answer stands beside it."""
    log = "level=INFO msg=hello\nError loading config: field compactor not found\n\n"
    words = {"tempo": last_error(log)}
    here, gone = answer({"version": "3.7.6"}), Answer("http://x", error="Connection refused", is_refused=True)
    verdict = judge_identities({"loki": here, "tempo": gone}, {"loki": 1, "tempo": 2}, {}, words, "shopscope up")
    assert (
        "Tempo does not answer on port 2: Connection refused "
        "(its log says: Error loading config: field compactor not found)"
    ) == verdict.detail
    assert "" == last_error("level=INFO msg=fine")
