"""Any WSGI application: the request lasts until its last byte, whatever way it answers, fails or is left."""

import json
import sys
import threading
import wsgiref.util

import pytest
from opentelemetry import trace

ERROR = 2
JOURNEY = """
[journeys.order]
routes = ["GET /x"]
service = "checkout"
latency = "10s"
objective = 0.99
"""


def hello(_environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]


@pytest.fixture
def serve(observe):
    """A function that makes an application observed."""
    scope = observe(shop=JOURNEY)
    return scope.wsgi


def stop(outcomes):
    import shopscope  # noqa: PLC0415 (shut down in the moment that the test wants to read)

    shopscope.shutdown()
    return outcomes()


def test_attributes_and_line(serve, sink, ask, outcomes, capsys):
    """A request has what the conventions ask for, one line, one observation and one good event."""
    assert b"hello" == ask(serve(hello), strict=True).finish().content
    assert {"good": 1} == stop(outcomes)
    span = sink.span()
    assert ("GET", 2, 0, b"") == (span.name, span.kind, span.status.code, span.parent_span_id)
    assert {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "url.scheme": "http",
        "url.path": "/x",
        "server.address": "shop.example",
        "server.port": 8080,
        "client.address": "10.0.0.9",
        "network.protocol.version": "1.1",
        "user_agent.original": "test/1",
        "shopscope.journey": "order",
    } == span.tags
    (line,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert ("request", span.trace_id.hex(), "/x") == (line["event"], line["trace_id"], line["url.path"])
    (point,) = sink.points("http.server.request.duration")
    assert (1, span.trace_id) == (point.point.count, point.point.exemplars[0].trace_id)


def test_context_of_the_caller(serve, sink, ask):
    """Trace context and journey come from the caller's headers, and are what the application sees."""
    seen = []

    def app(environ, start_response):
        seen.append(trace.get_current_span().get_span_context().trace_id)
        return hello(environ, start_response)

    headers = {"traceparent": f"00-{'a' * 32}-{'b' * 16}-01", "baggage": "shopscope.journey=order"}
    ask(serve(app), "/other", headers=headers).finish()
    span = sink.span()
    assert (bytes.fromhex("b" * 16), "order", [int("a" * 32, 16)]) == (
        span.parent_span_id,
        span.tags["shopscope.journey"],
        seen,
    )
    assert not trace.get_current_span().get_span_context().is_valid


def test_generator(serve, sink, ask):
    """A generator's spans are below the request, which ends with the last chunk; the generator is closed."""
    events = []

    def app(_environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        try:
            for number in range(3):
                with trace.get_tracer("test").start_as_current_span("chunk"):
                    yield b"%d" % number
        finally:
            events.append("closed")

    exchange = ask(serve(app), strict=True)
    assert [] == sink.spans()
    assert (b"012", ["closed"]) == (exchange.finish().content, events)
    spans = sink.spans(4)
    (request,) = (span for span in spans if span.name == "GET")
    assert {request.span_id} == {span.parent_span_id for span in spans if span.name == "chunk"}
    assert all(span.end_time_unix_nano <= request.end_time_unix_nano for span in spans)


def test_body_on_another_thread(serve, sink, ask):
    """A server may ask for the body on another thread than it called the application on."""

    def app(_environ, start_response):
        start_response("200 OK", [])
        yield str(trace.get_current_span().get_span_context().span_id).encode()

    exchange = ask(serve(app))
    thread = threading.Thread(target=exchange.finish)
    thread.start()
    thread.join()
    assert int.from_bytes(sink.span().span_id) == int(exchange.content)


def test_client_that_leaves(serve, sink, ask, outcomes):
    """A server that closes the body before its end has lost its client: no error of the service."""
    closed = []

    def app(_environ, start_response):
        start_response("200 OK", [])
        try:
            while True:
                yield b"x"
        except GeneratorExit:
            closed.append(True)
            raise

    exchange = ask(serve(app))
    assert b"x" == next(iter(exchange.body))
    exchange.close()
    assert (0, [True], {"good": 1}) == (sink.span().status.code, closed, stop(outcomes))


def test_exception_before_the_response(serve, sink, ask, outcomes):
    """An application that raises has no status, and is an error with the exception on record."""

    def app(_environ, _start_response):
        raise ZeroDivisionError("no good")

    with pytest.raises(ZeroDivisionError):
        ask(serve(app))
    span = sink.span()
    assert (ERROR, "ZeroDivisionError", ["exception"]) == (
        span.status.code,
        span.tags["error.type"],
        [event.name for event in span.events],
    )
    assert ({"error": 1}, False) == (stop(outcomes), trace.get_current_span().get_span_context().is_valid)


def test_exception_in_the_middle_of_the_body(serve, sink, ask, outcomes):
    """A response that breaks off is one error, whatever its status says, and is recorded once."""

    def app(_environ, start_response):
        start_response("200 OK", [])
        yield b"x"
        raise OSError("database is gone")

    with pytest.raises(OSError, match="gone"):
        ask(serve(app)).finish()
    assert ({"error": 1}, ERROR, 200) == (
        stop(outcomes),
        sink.span().status.code,
        sink.span().tags["http.response.status_code"],
    )


def test_exception_at_close(serve, sink, ask, outcomes):
    """The customer has the whole answer when closing fails: the request is good, the server gets the exception."""

    class Body:
        def __iter__(self):
            return iter([b"x"])

        def close(self):
            raise ValueError("late")

    def app(_environ, start_response):
        start_response("200 OK", [])
        return Body()

    with pytest.raises(ValueError, match="late"):
        ask(serve(app)).finish()
    assert ({"good": 1}, 0) == (stop(outcomes), sink.span().status.code)


def test_exception_at_an_early_close(serve, sink, ask):
    """A body that fails when it is closed before its end has failed the request."""

    def app(_environ, start_response):
        start_response("200 OK", [])
        try:
            yield b"x"
        finally:
            raise ValueError("cannot close")

    exchange = ask(serve(app))
    assert b"x" == next(iter(exchange.body))
    with pytest.raises(ValueError, match="cannot close"):
        exchange.close()
    assert (ERROR, "ValueError") == (sink.span().status.code, sink.span().tags["error.type"])


def test_start_response_again_with_exc_info(serve, sink, ask):
    """The second status replaces the first while nothing has been sent."""

    def app(_environ, start_response):
        start_response("200 OK", [])
        try:
            {}["k"]
        except KeyError:
            start_response("500 Internal Server Error", [], sys.exc_info())
        return [b"sorry"]

    assert "500 Internal Server Error" == ask(serve(app)).finish().status
    assert (500, "500") == (sink.span().tags["http.response.status_code"], sink.span().tags["error.type"])


def test_start_response_too_late_for_exc_info(serve, sink, ask):
    """After the first byte the server raises; the status that was sent is the one on record."""

    def app(_environ, start_response):
        start_response("200 OK", [])(b"first")
        try:
            {}["k"]
        except KeyError:
            start_response("500 Internal Server Error", [], sys.exc_info())
        return []

    with pytest.raises(KeyError):
        ask(serve(app))
    assert (200, ERROR, "KeyError") == (
        sink.span().tags["http.response.status_code"],
        sink.span().status.code,
        sink.span().tags["error.type"],
    )


def test_write_callable(serve, sink, ask):
    """What an application writes by the callable of old reaches the server."""

    def app(_environ, start_response):
        write = start_response("201 Created", [])
        write(b"a")
        write(b"b")
        return []

    assert b"ab" == ask(serve(app)).finish().content
    assert 201 == sink.span().tags["http.response.status_code"]


def test_body_with_a_length(serve, ask):
    """A server may ask how many chunks there are, to know the length of the response."""
    assert 1 == len(ask(serve(hello)).body)


def test_file_wrapper_stays_what_it_is(serve, sink, ask, tmp_path):
    """A server that sends files by itself finds its own wrapper, and the request ends when it closes that."""
    (tmp_path / "f").write_bytes(b"content")

    def app(environ, start_response):
        start_response("200 OK", [])
        return environ["wsgi.file_wrapper"]((tmp_path / "f").open("rb"))

    exchange = ask(serve(app), **{"wsgi.file_wrapper": wsgiref.util.FileWrapper})
    assert wsgiref.util.FileWrapper is type(exchange.body)
    exchange.close()
    assert (True, 1) == (exchange.body.filelike.closed, len(sink.spans(1)))


def test_mounted_prefix_and_names_beyond_ascii(serve, sink, ask):
    """The path is the client's: with the prefix of the server's mount, and decoded."""
    ask(serve(hello), "/caf\xc3\xa9", SCRIPT_NAME="/shop").finish()
    assert "/shop/café" == sink.span().tags["url.path"]


@pytest.mark.parametrize(
    "environ",
    [
        {"HTTP_HOST": "\xff" * 1000, "HTTP_USER_AGENT": "\xff\x00" * 1000},
        {"HTTP_BAGGAGE": "\xff=,;;", "HTTP_TRACEPARENT": "\xff" * 55},
        {"HTTP_TRACESTATE": "a" * 9000, "HTTP_TRACEPARENT": f"00-{'a' * 32}-{'b' * 16}-01"},
        {"SERVER_PORT": "", "SERVER_PROTOCOL": "", "HTTP_HOST": ""},
        {"REQUEST_METHOD": "HACK"},
    ],
)
def test_hostile_requests(serve, sink, ask, outcomes, environ):
    """Whatever a client sends, the request is served and observed once, without a fault of ours."""
    assert b"hello" == ask(serve(hello), **environ).finish().content
    stop(outcomes)
    assert (1, []) == (len(sink.spans(1)), sink.points("shopscope.sdk.errors"))


def test_status_that_is_no_number(serve, sink, ask):
    """An application's odd status goes to the server as it is."""

    def app(_environ, start_response):
        start_response("fine", [])
        return [b"x"]

    assert "fine" == ask(serve(app)).finish().status
    assert "http.response.status_code" not in sink.span().tags


def test_health_checks_are_not_traced(observe, sink, ask):
    """Neither the check nor what it calls."""
    scope = observe()

    def app(environ, start_response):
        trace.get_tracer("test").start_span("below").end()
        return hello(environ, start_response)

    ask(scope.wsgi(app), "/healthz").finish()
    assert scope.flush()
    assert [] == sink.spans()


def test_application_inside_an_application(observe, sink, ask):
    """Of two observed applications the outer one has the request; after shutdown neither has."""
    scope = observe()
    app = scope.wsgi(scope.wsgi(hello))
    ask(app).finish()
    assert scope.flush()
    assert 1 == len(sink.spans(1))
    scope.shutdown()
    assert b"hello" == ask(app).finish().content


def test_excluded_addresses_captured_headers_and_metrics(observe, sink, ask):
    """What the environment asks of HTTP servers holds for WSGI as for ASGI."""
    scope = observe(
        OTEL_PYTHON_EXCLUDED_URLS="/internal",
        OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_REQUEST="x-shop",
        OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_RESPONSE="content-type",
        SHOPSCOPE_METRICS_PATH="/scrape",
    )
    app = scope.wsgi(hello)
    ask(app, "/internal/x").finish()
    ask(app, headers={"X-Shop": "7"}).finish()
    assert b"http_server_request_duration_seconds" in ask(app, "/scrape", strict=True).finish().content
    assert scope.flush()
    tags = sink.span().tags
    assert (["7"], ["text/plain"]) == (tags["http.request.header.x-shop"], tags["http.response.header.content-type"])


def test_foreign_propagation(observe, sink, ask):
    """B3 headers name the parent where the environment chooses them."""
    scope = observe(OTEL_PROPAGATORS="b3multi")
    ask(scope.wsgi(hello), headers={"X-B3-TraceId": "a" * 32, "X-B3-SpanId": "b" * 16, "X-B3-Sampled": "1"}).finish()
    assert bytes.fromhex("b" * 16) == sink.span().parent_span_id
