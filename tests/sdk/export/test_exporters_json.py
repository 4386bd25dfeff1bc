"""OTLP as JSON over HTTP: every field of every signal, and how answers are read."""

import re
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest
from exports import delivered, dropped, emit, serving
from otlp_json import REQUESTS, parsed

import shopscope
from shopscope._export import _otlp_json

# Fields in development, for profiles and entities: nothing of ours has them.
NOT_SENT = re.compile("strindex|entity_refs")


class _JsonHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    received: ClassVar = []
    answer = b"{}"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.received.append((self.path, self.headers["Content-Type"], body))
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.answer)))
        self.end_headers()
        self.wfile.write(self.answer)

    def log_message(self, *_):
        """Quiet."""


@pytest.fixture
def json_server():
    handler = type("Handler", (_JsonHandler,), {"received": [], "answer": b"{}"})
    with serving(ThreadingHTTPServer(("127.0.0.1", 0), handler)) as server:
        yield handler, f"http://127.0.0.1:{server.server_address[1]}"


def test_json_over_http(observe, json_server):
    """OTEL_EXPORTER_OTLP_PROTOCOL=http/json sends OTLP/JSON of every signal."""
    handler, url = json_server
    scope = observe(OTEL_EXPORTER_OTLP_ENDPOINT=url, OTEL_EXPORTER_OTLP_PROTOCOL="http/json")
    emit()
    shopscope.get_logger().info("hello", n=1)
    scope.shutdown()
    bodies = {path.rpartition("/")[2]: body for path, _, body in handler.received}
    assert {"application/json"} == {kind for _, kind, _ in handler.received}
    messages = {signal: parsed(signal, body) for signal, body in bodies.items()}
    assert "work" == messages["traces"].resource_spans[0].scope_spans[0].spans[0].name
    assert "hello" == messages["logs"].resource_logs[0].scope_logs[0].log_records[0].body.string_value
    assert messages["metrics"].resource_metrics[0].scope_metrics[0].metrics


@pytest.mark.parametrize(
    ("answer", "count"),
    [
        (b'{"partialSuccess": {"rejectedSpans": "1", "errorMessage": "no"}}', 1),
        (b'{"partialSuccess": {"rejectedSpans": 1}}', 1),
        (b'{"partialSuccess": {}}', 0),
        (b'{"partialSuccess": {"rejectedSpans": "x"}}', 0),
        (b"rubbish", 0),
        (b"[]", 0),
    ],
)
def test_partial_success_in_json(observe, json_server, answer, count):
    """What a JSON answer rejects is counted, as a number or as a text; what cannot be read rejects nothing."""
    handler, url = json_server
    handler.answer = answer
    scope = observe(
        OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=f"{url}/v1/traces", OTEL_EXPORTER_OTLP_TRACES_PROTOCOL="http/json"
    )
    emit()
    assert scope.flush()
    assert (count, 1 - count) == (dropped("traces", "rejected"), delivered("traces"))


def full_requests():
    """A request of each signal with every field that OTLP has, as protobuf objects."""
    requests = {}
    for signal, request in REQUESTS.items():
        requests[signal] = fill(request(), 0)
    return requests


def fill(message, depth):
    """Set every field of a message, recursively, to something that is not its default."""
    known = [field for field in message.DESCRIPTOR.fields if not NOT_SENT.search(field.name)]
    for number, field in enumerate(known, 1):
        if field.message_type is not None:
            if depth > 9:
                continue
            target = getattr(message, field.name)
            fill(target.add() if field.is_repeated else target, depth + 1)
            if field.message_type.name == "AnyValue" and not field.is_repeated:
                choose(target, number)
        elif field.is_repeated:
            getattr(message, field.name).extend(value_of(field, number + step) for step in range(2))
        else:
            setattr(message, field.name, value_of(field, number))
    return message


def choose(value, number):
    kinds = {
        0: ("string_value", "ä"),
        1: ("int_value", -(2**63)),
        2: ("double_value", -0.5),
        3: ("bytes_value", b"\x00"),
    }
    name, content = kinds[number % 4]
    setattr(value, name, content)


def value_of(field, number):
    if field.name in {"trace_id", "span_id", "parent_span_id"}:
        return bytes([number]) * (16 if field.name == "trace_id" else 8)
    if field.cpp_type == field.CPPTYPE_STRING:
        return b"\xff\x00" if field.type == field.TYPE_BYTES else f"text {number}"
    if field.cpp_type == field.CPPTYPE_BOOL:
        return True
    if field.cpp_type == field.CPPTYPE_DOUBLE:
        return number + 0.5
    if field.cpp_type == field.CPPTYPE_ENUM:
        return 1
    is_signed = field.cpp_type in {field.CPPTYPE_INT32, field.CPPTYPE_INT64}
    return -number if is_signed else number


@pytest.mark.parametrize("signal", list(REQUESTS))
def test_json_says_what_protobuf_says(signal):
    """Every field of OTLP comes through: read back, the JSON is the message that it was made from."""
    message = full_requests()[signal]
    assert message == parsed(signal, _otlp_json.to_json(signal, message.SerializeToString()))


@pytest.mark.parametrize("number", [float("inf"), float("-inf"), float("nan")])
def test_json_of_numbers_that_json_lacks(number):
    """Infinities and NaN are the texts that protobuf's JSON has for them."""
    message = REQUESTS["traces"]()
    span = message.resource_spans.add().scope_spans.add().spans.add()
    span.attributes.add(key="x").value.double_value = number
    (value,) = (
        parsed("traces", _otlp_json.to_json("traces", message.SerializeToString()))
        .resource_spans[0]
        .scope_spans[0]
        .spans[0]
        .attributes
    )
    assert str(number) == str(value.value.double_value)
