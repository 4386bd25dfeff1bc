"""The measured process. ``BENCH_AGENT`` and ``BENCH_SERVICE`` choose; run by uvicorn, or as a script in-process."""

import asyncio
import gc
import json
import os
import resource
import sys
import time

from fastapi import FastAPI
from services import build
from starlette.types import Message

BODY = b'{"sku":"sku-1","quantity":2}'
HEADERS = [
    (b"host", b"shop.example:8080"),
    (b"user-agent", b"bench/1"),
    (b"content-type", b"application/json"),
    (b"content-length", str(len(BODY)).encode()),
    (b"traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
]
WARM_UP, BATCH, BATCHES = 1000, 500, 16


def make_app() -> FastAPI:
    """For uvicorn's factory option."""
    return build(os.environ["BENCH_AGENT"], os.environ["BENCH_SERVICE"])


async def request(app: FastAPI) -> None:
    """One request without sockets."""

    async def receive() -> Message:
        return {"type": "http.request", "body": BODY, "more_body": False}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] != 200:
            raise RuntimeError(message)

    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http",
        "path": "/checkout/7", "raw_path": b"/checkout/7", "query_string": b"", "root_path": "", "headers": HEADERS,
        "server": ("127.0.0.1", 8080), "client": ("10.0.0.1", 50000),
    }  # fmt: skip
    await app(scope, receive, send)


async def measure() -> None:
    """CPU of the whole process, all threads, per request: the best and the middle batch."""
    app = make_app()
    async with app.router.lifespan_context(app):
        for _ in range(WARM_UP):
            await request(app)
        batches = []
        for _ in range(BATCHES):
            started = time.process_time()
            for _ in range(BATCH):
                await request(app)
            batches.append((time.process_time() - started) / BATCH * 1e6)
    gc.collect()
    memory_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    result = {"best_us": min(batches), "median_us": sorted(batches)[BATCHES // 2], "memory_mib": memory_kib / 1024}
    print(json.dumps(result), file=sys.stderr)


if __name__ == "__main__":
    asyncio.run(measure())
    os._exit(0)  # agents differ in how long they take to say goodbye; that is not what is measured
