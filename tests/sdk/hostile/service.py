"""A service that is given the corpus; its answers go to the file that is named, all else to the sink and stdout."""

import asyncio
import itertools
import json
import logging
import re
import sys
from pathlib import Path
from typing import Any

from corpus import Hostile, corpus
from opentelemetry import trace
from prometheus_client import Counter
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

import shopscope

_NOTES = Counter("hostile_notes", "Notes.", ["note"])
_LONGEST_LABEL = 1000
_now: list[Hostile] = []


class _RefusedError(Exception):
    """Whatever the corpus has, as the text of an exception."""


def _act(hostile: Hostile) -> None:
    key, value = hostile.key, hostile.value
    if key == "user_password":
        # Known by its key alone.
        with trace.get_tracer("hostile").start_as_current_span("work", attributes={key: value}) as span:
            span.add_event("tried", {key: value})
            shopscope.get_logger().warning("said", **{key: value})
            logging.getLogger("lib").error("said", extra={key: value, "nested": [{key: value}]})
        return
    match hostile.action:
        case "log":
            shopscope.get_logger().warning("said", **{key: value})
            shopscope.get_logger().warning(value)
        case "stdlib":
            logging.getLogger("lib").error("got %s", value, extra={key: value})
            logging.getLogger("lib").error("%d of %s", value)  # noqa: PLE1206 (careless, as services are)
        case "span":
            name = value if isinstance(value, str) else "work"
            with trace.get_tracer("hostile").start_as_current_span(name) as span:
                span.set_attribute(key, value)
                span.add_event(name, {key: value})
                span.set_status(trace.StatusCode.ERROR, name)
        case "metric" if isinstance(value, str) and len(value) < _LONGEST_LABEL:
            _NOTES.labels(value).inc()
        case "raise":
            raise _RefusedError(value)
        case "handled":
            try:
                try:
                    raise _RefusedError(value)  # noqa: TRY301 (to be a cause)
                except _RefusedError as error:
                    raise KeyError(key) from error
            except KeyError as error:
                shopscope.get_logger("own").exception("failed")
                trace.get_current_span().record_exception(error)


async def _answer(request: Request) -> JSONResponse:
    _act(_now[0])
    return JSONResponse({"length": len(request.url.path)})


async def _send_one(app: Any, hostile: Hostile) -> list[Any]:
    raw, _, query = hostile.path.partition(b"?")
    path = raw.decode("utf-8", "surrogateescape")
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": raw,
        "query_string": query,
        "root_path": "",
        "headers": hostile.headers,
        "client": ("192.0.2.7", 5000),
        "server": ("shop.example", 80),
    }
    answered: list[Any] = [hostile.number]

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b""}

    async def send(message: dict[str, Any]) -> None:
        answered.append(message["status"] if "status" in message else message["body"].decode())

    try:
        await app(scope, receive, send)
    except _RefusedError:
        answered.append("refused")
    return answered


async def _run(count: int) -> list[Any]:
    app = Starlette(
        routes=[Route("/plain", _answer), Route("/items/{name:path}", _answer), Route("/a/{rest:path}", _answer)]
    )
    scope = shopscope.init("checkout", app=app)
    answers = []
    for hostile in itertools.islice(corpus(), count):
        _now[:] = [hostile]
        answers.append(await _send_one(app, hostile))
        if hostile.number % 100 == 0:
            scope.flush()
    scope.shutdown()
    return answers


if __name__ == "__main__":
    done = asyncio.run(_run(int(sys.argv[2])))
    # Not ru_maxrss: that begins with the memory of the process which started this one.
    (peak_kib,) = re.findall(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text(encoding="ascii"))
    Path(sys.argv[1]).write_text(json.dumps({"answers": done, "peak_kib": int(peak_kib)}), encoding="utf-8")
