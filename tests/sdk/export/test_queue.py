"""The queue of spans: its bounds, and what is not encoded yet."""

import pytest
from exports import dropped
from opentelemetry import trace
from prometheus_client import REGISTRY

from shopscope import _pipeline


def emit(count=1, name="work"):
    tracer = trace.get_tracer("test")
    for _ in range(count):
        tracer.start_span(name).end()


@pytest.mark.usefixtures("quick_retries")
def test_full_queue_is_counted(observe, sink, capsys):
    """A queue at its bound drops the newest and counts them; memory does not grow."""
    sink.answer("traces", status=503)
    scope = observe(OTEL_BSP_MAX_QUEUE_SIZE="10", OTEL_BSP_MAX_EXPORT_BATCH_SIZE="5", OTEL_BSP_SCHEDULE_DELAY="60000")
    emit(100)
    lost = dropped("traces", "queue_full")
    # One batch may have been taken from the queue in the meantime.
    assert lost in {85, 90}
    sink.answer("traces")
    assert scope.flush(20)
    assert (100 - lost, 1) == (len(sink.spans()), capsys.readouterr().out.count("drops traces (queue_full)"))


def test_queue_is_bounded_in_bytes(observe, sink):
    """Huge spans do not fill memory, whatever their number."""
    sink.answer("traces", status=503)
    scope = observe(OTEL_BSP_SCHEDULE_DELAY="60000")
    # A text alone is cut at 16,384 characters.
    texts = {f"text{number}": "x" * 16_000 for number in range(62)}
    for _ in range(30):
        trace.get_tracer("test").start_span("huge", attributes=texts).end()
    assert 30 - 16 == dropped("traces", "queue_full")
    scope.shutdown(0.1)


def test_spans_that_are_not_encoded_yet(observe, sink):
    """Small spans wait to be encoded several in a row; they keep their order and count as queued."""
    scope = observe(OTEL_BSP_SCHEDULE_DELAY="60000")
    emit(5, "first")
    trace.get_tracer("test").start_span("second", attributes={f"key{number}": number for number in range(20)}).end()
    emit(3, "third")
    queued = REGISTRY.get_sample_value("shopscope_sdk_queue_records", {"signal": "traces"})
    assert scope.flush()
    names = [span.name for span in sink.spans(9)]
    assert (9, ["first"] * 5 + ["second"] + ["third"] * 3) == (queued, names)


def test_spans_that_are_not_encoded_in_time(observe, sink):
    """At the deadline they are lost and counted, as those that are."""
    sink.answer("traces", misbehaviour="hang")
    scope = observe(OTEL_BSP_SCHEDULE_DELAY="60000")
    emit()
    worker = _pipeline.active().spans
    worker._wake.set()
    sink.wait_for_attempts("/v1/traces", 1)
    emit(4)
    scope.shutdown(0.1)
    assert 5 == dropped("traces", "shutdown")
    sink.released.set()
