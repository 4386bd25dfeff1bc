"""Export when the endpoint is absent, slow, angry or mad: no fault reaches the service, no loss goes uncounted."""

import socket
import threading
import time

import pytest
from exports import delivered, dropped
from opentelemetry import trace
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from otlp_sink import Sink

import shopscope

TRACES = "/v1/traces"


def emit(count=1, name="work"):
    tracer = trace.get_tracer("test")
    for _ in range(count):
        tracer.start_span(name).end()


@pytest.fixture
def free_port():
    with socket.socket() as unused:
        # Bound without listening: nobody else gets the port, and a server that reuses addresses can take it later.
        unused.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        unused.bind(("127.0.0.1", 0))
        yield unused.getsockname()[1]


def test_requests_are_as_the_specification_says(observe, sink):
    """POST of gzipped protobuf with the headers that were set, over one connection."""
    scope = observe(OTEL_EXPORTER_OTLP_HEADERS="api-key=a%20b", OTEL_EXPORTER_OTLP_COMPRESSION="gzip")
    emit()
    assert scope.flush()
    headers = sink.headers[0]
    assert ("application/x-protobuf", "gzip", "a b") == (
        headers["Content-Type"],
        headers["Content-Encoding"],
        headers["api-key"],
    )


def test_without_compression(observe, sink):
    """Compression can be switched off."""
    observe(OTEL_EXPORTER_OTLP_COMPRESSION="none")
    emit()
    assert "work" == sink.span().name
    assert "Content-Encoding" not in sink.headers[0]


def test_own_endpoint_of_a_signal(observe, sink):
    """A signal's own endpoint is used as it is."""
    with Sink.running() as other:
        observe(OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=f"{other.url}/v1/traces", OTEL_EXPORTER_OTLP_ENDPOINT=sink.url + "/")
        emit()
        shopscope.get_logger().info("hello")
        assert ("work", "hello") == (other.span().name, sink.log("hello").body.string_value)
        assert [] == sink.spans()


def test_batches(observe, sink):
    """A full batch leaves at once, in requests of at most that size; a part of one waits for its time."""
    scope = observe(OTEL_BSP_MAX_EXPORT_BATCH_SIZE="10", OTEL_BSP_SCHEDULE_DELAY="60000")
    emit(10)
    assert 10 == len(sink.spans(10))
    emit(25)
    assert scope.flush()
    assert (35, 10, 35) == (len(sink.spans()), max(sink.sizes), delivered("traces"))


def test_scopes_and_resource_of_a_request(observe, sink):
    """Spans of several tracers are in one request, each below its scope, and the resource is the service's."""
    scope = observe(version="3")
    for name in ("a", "b", "a"):
        trace.get_tracer(name).start_span("work").end()
    assert scope.flush()
    assert ["a", "a", "b"] == sorted(span.scope for span in sink.spans(3))
    assert {("checkout", "3")} == {
        (span.resource["service.name"], span.resource["service.version"]) for span in sink.spans()
    }


@pytest.mark.usefixtures("quick_retries")
def test_endpoint_that_is_absent_and_comes(observe, free_port, capsys):
    """The service starts before its collector: what is queued arrives when that is there; one line each way."""
    address = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{free_port}"}
    scope = observe(**address)
    emit(5)
    assert not scope.flush(0.05)
    emit(5)
    with Sink.running(free_port) as late:
        assert 10 == len(late.spans(10))
        assert scope.flush(20)
        shopscope.shutdown()
    output = capsys.readouterr().out
    assert (1, 1) == (output.count("cannot send traces to"), output.count("sends traces to"))
    assert 0 == dropped("traces", "shutdown")


@pytest.mark.usefixtures("quick_retries")
@pytest.mark.parametrize(
    ("status", "header"), [(429, {}), (502, {}), (503, {}), (504, {}), (503, {"Retry-After": "1"})]
)
def test_retry(observe, sink, status, header):
    """What the specification calls retryable is tried again, and each span arrives once."""
    sink.answer("traces", status=status, headers=header)
    scope = observe()
    emit(3)
    assert [status] == sink.wait_for_attempts(TRACES, 1)
    sink.answer("traces")
    assert scope.flush(20)
    attempts = sink.wait_for_attempts(TRACES, 2)
    assert (3, {status}, 200) == (len(sink.spans()), set(attempts[:-1]), attempts[-1])
    assert (3, 0) == (delivered("traces"), dropped("traces", "refused"))


@pytest.mark.parametrize("header", ["9" * 400, "\xb2", "soon", "Wed, 21 Oct 9999 07:28:00 GMT", "-5", "0"])
def test_mad_retry_after(observe, sink, header):
    """A nonsensical Retry-After loses nothing: shutdown still tries again and delivers."""
    sink.answer("traces", status=503, headers={"Retry-After": header})
    observe()
    emit()
    sink.wait_for_attempts(TRACES, 1)
    sink.answer("traces")
    shopscope.shutdown()
    assert "work" == sink.span().name


@pytest.mark.parametrize("status", [400, 401, 404, 413, 500, 301])
def test_refusal_is_counted_and_not_repeated(observe, sink, status, capsys):
    """What is not retryable is dropped and counted; the next batch is tried anew; one line says the status."""
    sink.answer("traces", status=status)
    scope = observe()
    emit(2)
    assert scope.flush()
    sink.answer("traces")
    emit(1, "after")
    assert scope.flush()
    assert (["after"], 2, 1) == (
        [span.name for span in sink.spans()],
        dropped("traces", "refused"),
        delivered("traces"),
    )
    assert 1 == capsys.readouterr().out.count(f"refused: HTTP {status}")


def test_partial_success(observe, sink):
    """Records that the endpoint says it has rejected are counted as lost, the others as delivered."""
    response = ExportTraceServiceResponse()
    response.partial_success.rejected_spans = 3
    response.partial_success.error_message = "too old"
    sink.answer("traces", body=response.SerializeToString())
    scope = observe(OTEL_BSP_SCHEDULE_DELAY="60000")
    emit(5)
    assert scope.flush()
    assert (3, 2) == (dropped("traces", "rejected"), delivered("traces"))


def test_partial_success_as_a_warning(observe, sink):
    """A message without rejected records loses none."""
    response = ExportTraceServiceResponse()
    response.partial_success.error_message = "be careful"
    sink.answer("traces", body=response.SerializeToString())
    scope = observe()
    emit(5)
    assert scope.flush()
    assert (0, 5) == (dropped("traces", "rejected"), delivered("traces"))


@pytest.mark.parametrize("body", [b"\xff" * 100, b"<html>hello</html>", b"\x0a\xff\xff", b'{"a":1}', b"\x00" * 100_000])
def test_garbage_with_a_200(observe, sink, body):
    """An answer that is none counts as accepted; the connection goes on."""
    sink.answer(body=body)
    scope = observe()
    emit(2)
    assert scope.flush()
    emit(3)
    assert scope.flush()
    assert (5, 5) == (len(sink.spans()), delivered("traces"))


@pytest.mark.usefixtures("quick_retries")
def test_reset_connection(observe, sink):
    """A connection that is reset is opened again."""
    sink.answer("traces", misbehaviour="reset")
    scope = observe()
    emit(2)
    sink.wait_for_attempts(TRACES, 1)
    sink.answer("traces")
    assert scope.flush(20)
    assert 2 == len(sink.spans())


def test_endpoint_that_is_no_http(observe, capsys):
    """A port that answers something else is an outage like any other."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def talk():
            for _ in range(2):
                connection, _ = server.accept()
                with connection:
                    connection.recv(10)
                    connection.sendall(b"220 smtp ready\r\n" * 5)

        thread = threading.Thread(target=talk, daemon=True)
        thread.start()
        port = server.getsockname()[1]
        scope = observe(OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=f"http://127.0.0.1:{port}/v1/traces")
        emit()
        scope.shutdown(0.3)
    assert 1 == dropped("traces", "shutdown")
    assert "cannot send traces" in capsys.readouterr().out


def test_hung_endpoint_at_shutdown(observe, sink, capsys):
    """Shutdown keeps its deadline, and what could not be sent is counted, once."""
    sink.answer("traces", misbehaviour="hang")
    scope = observe()
    emit(3)
    sink.wait_for_attempts(TRACES, 1)
    emit(4)
    started = time.monotonic()
    scope.shutdown(0.3)
    assert time.monotonic() - started < 5
    assert 7 == dropped("traces", "shutdown")
    sink.released.set()
    threads = [thread for thread in threading.enumerate() if thread.name == "shopscope-traces"]
    for thread in threads:
        thread.join(10)
    assert 7 == dropped("traces", "shutdown")
    assert 1 == capsys.readouterr().out.count("drops traces (shutdown)")


def test_hung_traces_do_not_hold_up_logs(observe, sink):
    """Each signal has a thread of its own."""
    sink.answer("traces", misbehaviour="hang")
    scope = observe()
    emit()
    sink.wait_for_attempts(TRACES, 1)
    shopscope.get_logger().info("hello")
    assert 1 == len(sink.logs(1, "hello"))
    scope.shutdown(0.2)


def test_absent_endpoint_at_shutdown(observe, free_port):
    """With nobody there shutdown gives up at its deadline and counts all signals."""
    scope = observe(OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{free_port}", SHOPSCOPE_SHUTDOWN_TIMEOUT="300ms")
    emit(3)
    shopscope.get_logger().info("hello")
    scope.shutdown()
    assert (3, True) == (dropped("traces", "shutdown"), dropped("logs", "shutdown") >= 1)


def test_no_thread_to_be_had(observe, sink, monkeypatch):
    """Where no thread can be started, the service goes on; the next span tries again and takes the others along."""
    scope = observe()

    def refuse(_thread):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        emit(2)
    emit()
    assert 3 == len(sink.spans(3))
    scope.shutdown()
    assert 2 == sum(
        point.point.as_double
        for point in sink.points("shopscope.sdk.errors")
        if point.tags["where"] == "thread for traces"
    )


def test_losses_reach_the_metrics(observe, sink):
    """What was lost is in the last push, so that the loss is seen where the data are missed."""
    sink.answer("traces", status=400)
    scope = observe()
    emit(3)
    assert scope.flush()
    scope.shutdown()
    lost = {
        (point.tags["signal"], point.tags["reason"]): point.point.as_double
        for point in sink.points("shopscope.sdk.dropped")
    }
    assert 3 == lost["traces", "refused"]


def test_last_push_comes_although_one_is_on_its_way(observe, sink):
    """A push of metrics that is under way when shutdown comes does not replace the last one."""
    sink.answer("metrics", status=503)
    scope = observe(OTEL_METRIC_EXPORT_INTERVAL="10")
    sink.wait_for_attempts("/v1/metrics", 1)
    sink.answer("metrics")
    shopscope.order_placed(1)
    scope.shutdown()
    assert 1 == sink.points("shopscope.orders")[0].point.as_double


def test_flush_waits_for_what_is_on_its_way(observe, sink):
    """``flush`` returns when the endpoint has the data, and false when that took too long."""
    scope = observe(OTEL_BSP_SCHEDULE_DELAY="60000")
    assert scope.flush()
    emit()
    assert scope.flush()
    assert 1 == len(sink.spans())
    sink.answer("traces", misbehaviour="hang")
    emit()
    assert not scope.flush(0.05)
    scope.shutdown(0.1)


def test_no_thread_outlives_shutdown(observe, sink):
    """Export threads end with the telemetry."""
    before = set(threading.enumerate())  # the page's workers, if its tests ran before in this process
    observe()
    emit()
    shopscope.get_logger().info("hello")
    shopscope.shutdown()
    left = set(threading.enumerate()) - before
    assert [] == [thread.name for thread in left if thread.name.startswith("shopscope")]
    assert 1 == len(sink.spans())


def test_spans_after_shutdown_go_nowhere(observe, sink):
    """A span that ends after shutdown is no error."""
    span = observe()._pipeline.tracer.start_span("late")
    shopscope.shutdown()
    span.end()
    emit()
    assert [] == sink.spans()


def test_flush_under_load(observe, sink):
    """``flush`` waits for what is queued when it is called, not for what others add all the time."""
    scope = observe()
    stop = threading.Event()

    def load():
        while not stop.wait(0.0005):
            emit(name="load")

    thread = threading.Thread(target=load)
    thread.start()
    try:
        emit(name="mine")
        assert scope.flush(10)
        assert 1 == len(sink.spans(name="mine"))
    finally:
        stop.set()
        thread.join()
