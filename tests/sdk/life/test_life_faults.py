"""Every fault of an endpoint, to its recovery: the service does not notice it, and nothing is lost uncounted."""

import datetime as dt
import email.utils
import threading

import pytest
from exports import delivered, dropped, emit
from fastapi import FastAPI
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from otlp_sink import Sink
from prometheus_client.parser import text_string_to_metric_families as parse

from shopscope._export import _worker
from shopscope._metrics._selfmetrics import REASONS

TRACES = "/v1/traces"
REQUESTS = 5


def later(seconds):
    """An HTTP date."""
    when = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=seconds)
    return email.utils.format_datetime(when, usegmt=True)


def partial_success():
    response = ExportTraceServiceResponse()
    response.partial_success.rejected_spans = 1
    return response.SerializeToString()


# How the endpoint misbehaves, what of the spans of that time is lost and why, and whether it is an outage.
FAULTS = {
    "hung": ({"misbehaviour": "hang"}, "", True),
    "slow": ({"delay_seconds": 0.1}, "", False),
    "resetting": ({"misbehaviour": "reset"}, "", True),
    "garbage": ({"body": b"\xff\x00<html>" * 100}, "", False),
    "unavailable": ({"status": 503}, "", True),
    "too many requests": ({"status": 429}, "", True),
    "Retry-After in seconds": ({"status": 503, "headers": {"Retry-After": "1"}}, "", True),
    "Retry-After as a date": ({"status": 429, "headers": {"Retry-After": later(1)}}, "", True),
    "refusing": ({"status": 400}, "refused", False),
    "partial success": ({"body": partial_success()}, "rejected", False),
}


@pytest.fixture
def app():
    application = FastAPI()

    @application.get("/x")
    async def x():
        return "ok"

    return application


@pytest.mark.usefixtures("quick_retries")
@pytest.mark.parametrize("fault", list(FAULTS))
def test_fault_and_recovery(observe, sink, app, call, capsys, fault):
    """Requests are answered all the time; what was recorded arrives when the endpoint is well again, or is counted."""
    how, reason, is_outage = FAULTS[fault]
    scope = observe(app=app, OTEL_EXPORTER_OTLP_TIMEOUT="200", OTEL_LOGS_EXPORTER="none")
    sink.answer("traces", **how)
    for _ in range(REQUESTS):
        assert 200 == call(app, "/x").status_code
    sink.wait_for_attempts(TRACES, 1)
    if not is_outage:
        assert scope.flush(20)
    sink.answer("traces")
    assert 200 == call(app, "/x").status_code
    assert scope.flush(20)
    lost = {reason: dropped("traces", reason) for reason in REASONS if dropped("traces", reason)}
    assert REQUESTS + 1 == delivered("traces") + sum(lost.values())
    assert ({reason} if reason else set()) == set(lost)
    # What the endpoint rejects of a request that it accepts it has all the same received.
    received = REQUESTS + 1 - (lost.get("refused", 0))
    assert received == len({span.span_id for span in sink.spans()})
    output = capsys.readouterr().out
    lines = output.count("cannot send traces to"), output.count("sends traces to")
    assert ((1, 1) if is_outage else (0, 0)) == lines


@pytest.mark.usefixtures("quick_retries")
def test_every_outage_has_its_lines(observe, sink, capsys):
    """One line when it begins and one when it ends, each time, however many attempts there were."""
    scope = observe()
    for outage in (1, 2, 3):
        sink.answer("traces", status=503)
        emit()
        sink.wait_for_attempts(TRACES, 4 * outage)
        sink.answer("traces")
        assert scope.flush(20)
    output = capsys.readouterr().out
    assert (3, 3) == (output.count("cannot send traces to"), output.count("sends traces to"))
    assert (3, 0) == (len(sink.spans()), dropped("traces", "unreachable"))


@pytest.mark.parametrize("header", ["60", later(3600)], ids=["seconds", "date"])
def test_retry_after_is_kept(observe, sink, monkeypatch, header):
    """The endpoint is not asked again before the time that it named, though our own would be sooner."""
    monkeypatch.setattr(_worker, "_FIRST_BACKOFF_SECONDS", 0.001)
    sink.answer("traces", status=503, headers={"Retry-After": header})
    scope = observe(OTEL_LOGS_EXPORTER="none")
    emit()
    sink.wait_for_attempts(TRACES, 1)
    assert not scope.flush(0.3)
    assert [503] == sink.wait_for_attempts(TRACES, 1)
    sink.answer("traces")
    scope.shutdown()
    assert "work" == sink.span().name


def test_bound_of_the_queue(observe, sink):
    """With a hung endpoint the queue holds no more than its bound, and one for each thread; each loss counts."""
    sink.answer("traces", misbehaviour="hang")
    limits = {"OTEL_BSP_MAX_QUEUE_SIZE": "50", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "10"}
    scope = observe(**limits, OTEL_LOGS_EXPORTER="none")
    queue, most = scope._pipeline.spans, []

    def load():
        for _ in range(500):
            emit()
            most.append(queue.figures().records)

    threads = [threading.Thread(target=load) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    figures = queue.figures()
    assert max(most) in range(50, 50 + len(threads))
    # Those queued are waiting, or on their way: one batch at most, which may have left after the last was added.
    assert figures.records in range(40, 50 + len(threads))
    assert 2000 == figures.queued + dropped("traces", "queue_full")
    assert figures.queued - figures.records <= 10
    scope.shutdown(0.1)
    assert 2000 == dropped("traces", "queue_full") + dropped("traces", "shutdown")


def test_loss_is_seen_in_both_ways_out(observe, sink, app, call):
    """The counts of what was lost, by signal and reason, are on the page and in the push, zero where nothing was."""
    scope = observe(app=app, metrics_path="/metrics")
    sink.answer("traces", status=400)
    emit()
    emit()
    assert scope.flush()
    page = call(app, "/metrics").text
    shown = {
        (sample.labels["signal"], sample.labels["reason"]): sample.value
        for family in parse(page)
        for sample in family.samples
        if sample.name == "shopscope_sdk_dropped_total"
    }
    scope.shutdown()
    pushed = {
        (point.tags["signal"], point.tags["reason"]): point.point.as_double
        for point in sink.points("shopscope.sdk.dropped")
    }
    assert 2 == shown["traces", "refused"]
    expected = {(signal, reason): 0 for signal in ("traces", "metrics", "logs") for reason in REASONS}
    assert expected | {("traces", "refused"): 2} == shown == pushed


def test_endpoint_that_comes_and_goes(observe, app, call):
    """A collector that restarts between requests: each span arrives, or was counted when shutdown gave up."""
    with Sink.running() as first:
        port = int(first.url.rpartition(":")[2])
        # A process that ends takes its connections along.
        first.answer(headers={"Connection": "close"})
        scope = observe(app=app, OTEL_EXPORTER_OTLP_ENDPOINT=first.url, OTEL_LOGS_EXPORTER="none")
        call(app, "/x")
        assert scope.flush()
    call(app, "/x")
    with Sink.running(port) as second:
        second.answer(headers={"Connection": "close"})
        assert scope.flush(20)
        call(app, "/x")
        assert scope.flush(20)
    assert (1, 2) == (len(first.spans()), len(second.spans()))
    assert 3 == delivered("traces")
    call(app, "/x")
    scope.shutdown(0.2)
    assert 1 == dropped("traces", "shutdown")
