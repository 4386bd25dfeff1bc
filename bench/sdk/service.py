"""The measured process. ``BENCH_AGENT`` and ``BENCH_SERVICE`` choose; run by uvicorn, or as a script in-process.

python service.py SECONDS      requests without sockets for so long; a result on standard error
python service.py 0            200 requests only, to see what an agent sends
"""

import asyncio
import gc
import json
import os
import resource
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from services import build
from fastapi import FastAPI
from starlette.types import Message

BODY = b'{"sku":"sku-1","quantity":2}'
HEADERS = [
    (b"host", b"shop.example:8080"),
    (b"user-agent", b"bench/1"),
    (b"content-type", b"application/json"),
    (b"content-length", str(len(BODY)).encode()),
    (b"traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
]
FEW = 200
# Their spans are whole export batches of 512, so that every batch of requests pays for as many exports as any other.
BATCHES, LEAST_BATCHES = {"plain": 1024, "calling": 256}, 4


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


@asynccontextmanager
async def running(app: FastAPI) -> AsyncIterator[None]:
    """Start and stop the application as a server does."""
    to_app: asyncio.Queue[Message] = asyncio.Queue()
    to_server: asyncio.Queue[Message] = asyncio.Queue()
    task = asyncio.create_task(app({"type": "lifespan", "asgi": {"version": "3.0"}}, to_app.get, to_server.put))
    await to_app.put({"type": "lifespan.startup"})
    await to_server.get()
    yield
    await to_app.put({"type": "lifespan.shutdown"})
    await to_server.get()
    await task


async def some(app: FastAPI, number: int) -> float:
    """CPU of the whole process, all threads, in µs a request."""
    started = time.process_time()
    for _ in range(number):
        await request(app)
    return (time.process_time() - started) / number * 1e6


def peak_memory_mib() -> float:
    """Of this program alone: the limit that ``getrusage`` reports is inherited from what started it."""
    status = Path("/proc/self/status")
    if status.exists():
        (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


async def measure(seconds: float) -> dict[str, float]:
    """CPU a request: of the best batch, and of all until the last span has left."""
    app, batch = make_app(), BATCHES[os.environ["BENCH_SERVICE"]]
    if not seconds:
        async with running(app):
            await some(app, FEW)
        return {"requests": FEW}
    batches: list[float] = []
    async with running(app):
        await some(app, batch)
        began, end = time.process_time(), time.monotonic() + seconds
        while time.monotonic() < end or len(batches) < LEAST_BATCHES:
            batches.append(await some(app, batch))
        gc.collect()
        memory = peak_memory_mib()
    return {
        "requests": batch * (len(batches) + 1),
        "best_us": min(batches),
        "all_us": (time.process_time() - began) / batch / len(batches) * 1e6,
        "memory_mib": memory,
    }


if __name__ == "__main__":
    print(json.dumps(asyncio.run(measure(float(sys.argv[1])))), file=sys.stderr)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # agents differ in how long they take to say goodbye; that is not what is measured
