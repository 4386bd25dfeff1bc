"""What the measured service sends to: takes all telemetry at once, and counts it when it is asked.

Speaks OTLP/HTTP and as much of the Datadog agent's protocol as a tracer needs. Requests are kept as they came and read
only for ``GET /counts``, so that counting takes nothing from the machine while something is measured. Started with
``hang`` it takes everything and never answers. Any other path is the peer that the second service calls.
"""

import asyncio
import gzip
import json
import sys
from typing import Any

import msgpack
import uvicorn
from google.protobuf.message import Message as Protobuf
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from starlette.types import Receive, Scope, Send

AGENT_INFO = {"version": "7.70.0", "endpoints": ["/v0.4/traces", "/v0.5/traces"], "client_drop_p0s": False}
received: list[tuple[str, bytes]] = []


async def read_body(scope: Scope, receive: Receive) -> bytes:
    """The whole body, unpacked."""
    body, is_open = b"", True
    while is_open:
        message = await receive()
        body += message.get("body", b"")
        is_open = message.get("more_body", False)
    return gzip.decompress(body) if (b"content-encoding", b"gzip") in scope["headers"] else body


async def answer(scope: Scope, receive: Receive, send: Send) -> None:
    """Keep telemetry, and say what the sender wants to hear."""
    if scope["type"] != "http":
        return
    path, body = scope["path"], await read_body(scope, receive)
    status, kind, content = 200, b"application/json", b"{}"
    if path.startswith("/v1/"):
        received.append((path, body))
        kind, content = b"application/x-protobuf", b""
    elif path in AGENT_INFO["endpoints"]:
        received.append((path, body))
        content = b'{"rate_by_service":{}}'
    elif path == "/info":
        content = json.dumps(AGENT_INFO).encode()
    elif path == "/counts":
        content = json.dumps(counts()).encode()
    elif path.startswith("/v0."):
        status = 404  # remote configuration and the like, which a tracer can do without
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", kind)]})
    await send({"type": "http.response.body", "body": content})


async def hang(scope: Scope, receive: Receive, _send: Send) -> None:
    """Read and never answer."""
    if scope["type"] == "http":
        while (await receive()).get("more_body"):
            pass
        await asyncio.sleep(3600)


def counts() -> dict[str, Any]:
    """What came since the last call: spans, log records, exemplars, and the last sum of each counter."""
    sums: dict[str, dict[bytes, float]] = {}
    result = {"spans": 0, "log_records": 0, "exemplars": 0}
    for path, body in received:
        if path == "/v1/traces":
            result["spans"] += _records(ExportTraceServiceRequest(), body, "resource_spans", "scope_spans", "spans")
        elif path == "/v1/logs":
            logs = ExportLogsServiceRequest()
            result["log_records"] += _records(logs, body, "resource_logs", "scope_logs", "log_records")
        elif path == "/v1/metrics":
            result["exemplars"] += _read_metrics(body, sums)
        else:
            result["spans"] += _datadog_spans(path, body)
    received.clear()
    return result | {"sums": {name: sum(points.values()) for name, points in sums.items()}}


def _records(request: Protobuf, body: bytes, resources: str, scopes: str, records: str) -> int:
    request.ParseFromString(body)
    return sum(
        len(getattr(scope, records)) for resource in getattr(request, resources) for scope in getattr(resource, scopes)
    )


def _read_metrics(body: bytes, sums: dict[str, dict[bytes, float]]) -> int:
    """Keep the newest value of each counter's series; returns the number of exemplars on histograms."""
    request, exemplars = ExportMetricsServiceRequest(), 0
    request.ParseFromString(body)
    metrics = (
        metric for resource in request.resource_metrics for scope in resource.scope_metrics for metric in scope.metrics
    )
    for metric in metrics:
        exemplars += sum(len(point.exemplars) for point in metric.histogram.data_points)
        for point in metric.sum.data_points:
            series = b"".join(sorted(attribute.SerializeToString() for attribute in point.attributes))
            sums.setdefault(metric.name, {})[series] = point.as_double or point.as_int
    return exemplars


def _datadog_spans(path: str, body: bytes) -> int:
    """A list of traces, each a list of spans; since v0.5 behind a table of all texts."""
    content = msgpack.unpackb(body, strict_map_key=False)
    return sum(map(len, content[1] if path == "/v0.5/traces" else content))


if __name__ == "__main__":
    app = hang if sys.argv[2] == "hang" else answer
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", access_log=False, lifespan="off")
