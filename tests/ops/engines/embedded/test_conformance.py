"""OTLP/HTTP as the specification says it, each answer from a real engine over a real connection."""

import gzip
import json
import socket
import zlib

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

JSON = "application/json"


def raw_deflate(body):
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(body) + packer.flush()


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [
        ("gzip", gzip.compress),
        ("gzip", lambda body: gzip.compress(body[:40]) + gzip.compress(body[40:])),
        ("deflate", zlib.compress),
        ("deflate", raw_deflate),
        ("identity", bytes),
        ("GZIP", gzip.compress),
    ],
)
def test_content_encodings(engine, kit, encoding, pack):
    """Accepted in every encoding, answered with an empty success, and stored."""
    before = engine.rows()
    answer = engine.post(pack(kit.body(3)), content_encoding=encoding)
    assert (answer.status_code, answer.headers["content-type"], answer.content) == (200, "application/x-protobuf", b"")
    assert engine.rows() == before + 3


def test_json_is_answered_in_json(engine):
    """The response has the request's encoding; charset parameters do not matter."""
    answer = engine.post(b'{"resourceSpans": []}', content_type="application/json; charset=utf-8")
    assert (answer.status_code, answer.headers["content-type"], answer.json()) == (200, JSON, {})


def test_metrics_and_logs_are_stored(engine, kit):
    """The other two signals arrive in their tables."""
    metrics = ExportMetricsServiceRequest()
    metric = metrics.resource_metrics.add().scope_metrics.add().metrics.add(name="orders")
    point = metric.sum.data_points.add(time_unix_nano=kit.NOW, as_int=1)
    point.exemplars.add(time_unix_nano=kit.NOW, as_int=1)
    logs = ExportLogsServiceRequest()
    logs.resource_logs.add().scope_logs.add().log_records.add(time_unix_nano=kit.NOW).body.string_value = "hello"
    answers = [
        engine.post(metrics.SerializeToString(), "/v1/metrics").status_code,
        engine.post(logs.SerializeToString(), "/v1/logs").status_code,
    ]
    assert answers == [200, 200]
    assert [engine.rows(table) for table in ("metric_points", "exemplars", "logs")] == [1, 1, 1]


def test_partial_success_counts_and_explains(engine, kit):
    """Good spans are kept, the others counted, in both encodings."""
    request = kit.spans(3)
    request.resource_spans[0].scope_spans[0].spans[1].trace_id = b"short"
    before = engine.rows()
    answer = engine.post(request.SerializeToString())
    partial = ExportTraceServiceResponse.FromString(answer.content).partial_success
    assert (answer.status_code, partial.rejected_spans) == (200, 1)
    assert partial.error_message == ("1 rejected; the first: span 'POST /checkout': trace_id must be 16 bytes: 5 bytes")
    assert engine.rows() == before + 2
    body = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [{"name": "x"}]}]}]})
    answer = engine.post(body, content_type=JSON)
    assert answer.json() == {
        "partialSuccess": {
            "rejectedSpans": "1",
            "errorMessage": "1 rejected; the first: span 'x': trace_id must be 16 bytes: 0 bytes",
        }
    }


@pytest.mark.parametrize(
    ("body", "headers", "status", "message"),
    [
        (b"\xff\xff", {}, 400, "body must be a protobuf ExportTraceServiceRequest"),
        (b"{", {"content_type": JSON}, 400, "body must be an OTLP JSON ExportTraceServiceRequest"),
        (b"no gzip", {"content_encoding": "gzip"}, 400, "body must be gzip data"),
        (gzip.compress(b"x" * 99)[:-9], {"content_encoding": "gzip"}, 400, "it ends early"),
        (b"", {"content_encoding": "gzip"}, 400, "it ends early"),
        (b"", {"content_encoding": "br"}, 415, "content-encoding must be gzip, deflate or identity: 'br'"),
        (b"", {"content_type": "text/plain"}, 415, "content-type must be application/x-protobuf or application/json"),
        (bytes(20 * 2**20 + 1), {}, 413, "body must be at most 20971520 bytes: 20971521 bytes"),
        (gzip.compress(bytes(20 * 2**20 + 1)), {"content_encoding": "gzip"}, 413, "more when decompressed"),
    ],
)
def test_what_is_wrong_is_refused_for_good(engine, kit, body, headers, status, message):
    """A google.rpc.Status in the request's encoding, no Retry-After, and the engine works on."""
    answer = engine.post(body, **headers)
    assert (answer.status_code, "retry-after" in answer.headers) == (status, False)
    if headers.get("content_type"):
        assert message in answer.json()["message"]
    else:
        assert answer.headers["content-type"] == "application/x-protobuf"
        code = {400: 3, 413: 8, 415: 3}[status]
        assert answer.content.startswith(bytes([8, code, 18]))
        assert message in answer.content.decode(errors="replace")
    assert engine.post(kit.body()).status_code == 200


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS", "HEAD"])
def test_other_methods_are_not_allowed(engine, method):
    """Only POST; a browser's preflight is not answered either."""
    answer = engine.client.request(method, "/v1/traces")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_unknown_path_is_not_found(engine):
    """With a Status body, as any error."""
    answer = engine.client.post("/v1/profiles")
    assert (answer.status_code, answer.json()) == (404, {"code": 5, "message": "Not Found"})


def test_bomb_does_not_expand_in_memory(engine, kit):
    """A gigabyte in a megabyte is refused after 20 MiB of it."""
    packer = zlib.compressobj(9, wbits=31)
    bomb = b"".join(packer.compress(bytes(2**20)) for _ in range(1024)) + packer.flush()
    before = peak_kilobytes(engine)
    answers = [engine.post(bomb, content_encoding="gzip").status_code for _ in range(3)]
    assert answers == [413, 413, 413]
    assert peak_kilobytes(engine) - before < 200 * 1024
    assert engine.post(kit.body()).status_code == 200


def peak_kilobytes(engine):
    with open(f"/proc/{engine.process.pid}/status") as status:  # noqa: PTH123  # a kernel file
        return int(next(line for line in status if line.startswith("VmHWM")).split()[1])


def test_chunked_body_is_counted_as_it_comes(engine):
    """Without a Content-Length the limit holds too."""
    answer = engine.client.post(
        "/v1/traces", content=(bytes(2**20) for _ in range(30)), headers={"content-type": "application/x-protobuf"}
    )
    assert answer.status_code == 413


def test_sender_that_vanishes_hurts_nobody(engine, kit):
    """Half a request, then a closed connection."""
    port = int(engine.address.rpartition(":")[2])
    head = b"POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-protobuf\r\n"
    head += b"Content-Length: 999\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(head + b"half")
    assert engine.post(kit.body()).status_code == 200
