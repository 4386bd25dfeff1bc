"""The marked request: a program of its own, in which the real SDK serves one request and sends what it recorded.

``python -m shopscope_ops.doctor._marked ENDPOINT MARK FOLDER`` prints one JSON document as its last line.
"""

import asyncio
import json
import logging
import sys
import time
from pathlib import Path
from typing import Any, Final

from opentelemetry import trace
from prometheus_client import REGISTRY

import shopscope
from shopscope._metrics._selfmetrics import SIGNALS

__all__ = ["JOURNEY", "ROUTE", "SDK_NAME", "SERVICE"]

SERVICE: Final = "shopscope-doctor"
SDK_NAME: Final = "shopscope"
JOURNEY: Final = "doctor"
ROUTE: Final = "/doctor/{mark}"
_SEND_SECONDS: Final = 5.0
_SHOP_FILE: Final = f"""
[shop]
namespace = "shopscope"

[journeys.{JOURNEY}]
routes = ["GET {ROUTE}"]
service = "{SERVICE}"
objective = 0.99
latency = "10s"
"""


class _Messages(logging.Handler):
    """Keeps what the SDK warns of."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a message."""
        self.texts.append(record.getMessage())


def main(endpoint: str, mark: str, folder: Path) -> None:
    """Serve one request, send what it left, and print what became of it."""
    shop_file = folder / "shopscope.toml"
    shop_file.write_text(_SHOP_FILE, encoding="utf-8")
    messages = _Messages()
    logging.getLogger("shopscope").addHandler(messages)
    started = time.time_ns()
    scope = shopscope.init(SERVICE, endpoint=endpoint, environment=JOURNEY, config=shop_file)
    ids = asyncio.run(_serve(scope, mark))
    served = time.time_ns()
    scope.shutdown(_SEND_SECONDS)
    document = {
        **ids,
        "started_unix_nano": started,
        "served_unix_nano": served,
        "sdk_version": shopscope.__version__,
        "sent": {signal: _value("shopscope_sdk_spans_total", signal=signal) for signal in SIGNALS},
        "dropped": {signal: _dropped(signal) for signal in SIGNALS},
        "messages": messages.texts,
    }
    print(json.dumps(document), flush=True)  # noqa: T201 (for who started it)


async def _serve(scope: shopscope.Scope, mark: str) -> dict[str, str]:
    """One request to an ASGI application, without a socket: the SDK sees what a server would give it."""
    ids: dict[str, str] = {}

    async def application(asgi: Any, _receive: Any, send: Any) -> None:
        asgi["shopscope.route"] = ROUTE
        context = trace.get_current_span().get_span_context()
        ids["trace_id"], ids["span_id"] = f"{context.trace_id:032x}", f"{context.span_id:016x}"
        shopscope.get_logger().info("doctor's marked line", mark=mark)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(_: Any) -> None:
        """Nobody reads the answer."""

    request = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": f"/doctor/{mark}",
        "raw_path": f"/doctor/{mark}".encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [],
        "client": ("127.0.0.1", 0),
        "server": ("127.0.0.1", 80),
    }
    await scope.asgi(application)(request, receive, send)
    return ids


def _value(name: str, **labels: str) -> int:
    return int(REGISTRY.get_sample_value(name, labels) or 0)


def _dropped(signal: str) -> int:
    return sum(
        int(sample.value)
        for family in REGISTRY.collect()
        for sample in family.samples
        if sample.name == "shopscope_sdk_dropped_total" and sample.labels["signal"] == signal
    )


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
