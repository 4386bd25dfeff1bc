"""Requests of spans as the SDK sends them, encoded before anything is measured."""

import random
import time
import zlib

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

BATCH = 512
MARK = b"url.path"  # once in every span, and nowhere else: whoever receives spans can count them without reading them


def batch(rng: random.Random, trace_state: str = "") -> bytes:
    """One request of 512 spans of checkout, eight attributes each."""
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    for key, value in (
        ("service.name", "checkout"),
        ("service.namespace", "demo-shop"),
        ("service.instance.id", "5f0c2c9e-7f0e-4f3c-9f0a-0c6f7a1e2b3d"),
        ("service.version", "1.4.2"),
        ("deployment.environment.name", "bench"),
        ("telemetry.sdk.language", "python"),
    ):
        group.resource.attributes.add(key=key).value.string_value = value
    scoped = group.scope_spans.add()
    scoped.scope.name = "shopscope"
    start = time.time_ns()
    for _ in range(BATCH):
        span = scoped.spans.add(trace_id=rng.randbytes(16), span_id=rng.randbytes(8), parent_span_id=rng.randbytes(8))
        span.name = rng.choice(("POST /checkout", "GET", "SELECT products", "POST /payments"))
        span.kind = rng.choice((2, 3))
        span.trace_state = trace_state
        span.start_time_unix_nano = start + rng.randrange(10**9)
        span.end_time_unix_nano = span.start_time_unix_nano + int(rng.lognormvariate(16, 1))
        for key, text in (
            ("http.request.method", "POST"),
            ("http.route", "/checkout"),
            (MARK.decode(), f"/checkout/{rng.randrange(10**6)}"),
            ("server.address", "checkout.demo-shop.internal"),
            ("shopscope.journey", "checkout"),
            ("network.protocol.version", "1.1"),
        ):
            span.attributes.add(key=key).value.string_value = text
        for key, number in (("http.response.status_code", 200), ("server.port", 8603)):
            span.attributes.add(key=key).value.int_value = number
    return request.SerializeToString()


def packed(body: bytes) -> bytes:
    """A body as gzip, packed fast as exporters do."""
    packer = zlib.compressobj(1, wbits=31)
    return packer.compress(body) + packer.flush()
