"""What depends on the engine's state: full queue, slow sender, stopping. The real application, in this process."""

import asyncio
import time

import httpx
import pytest

from shopscope_ops.engines.embedded._alerts import AlertBook
from shopscope_ops.engines.embedded._alerts_api import AlertsApi
from shopscope_ops.engines.embedded._api import Api
from shopscope_ops.engines.embedded._app import create_app
from shopscope_ops.engines.embedded._body import BodyReader
from shopscope_ops.engines.embedded._receiver import Receiver
from shopscope_ops.store import Limits, Store


@pytest.fixture
def make_client(tmp_path):
    """A client of an application over a store with the given limits."""
    stores = []

    def make(limits=None, **bounds):
        store = Store(tmp_path, limits or Limits())
        receiver = Receiver(store, BodyReader(**bounds))
        stores.append((store, receiver))
        alerts = AlertsApi(AlertBook(tmp_path / "alerts.json"))
        app = create_app(receiver, Api(store, receiver, "", time.monotonic()), alerts)
        return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost"), receiver

    yield make
    for store, receiver in stores:
        receiver.close()
        store.close()


def test_full_queue_is_429_with_retry_after(make_client, kit):
    """The second request is asked to come back, the first is acknowledged."""
    client, _ = make_client(Limits(queue_bytes=1, flush_seconds=0.5))

    async def run():
        async with client:
            posts = [client.post("/v1/traces", content=kit.body(), headers=kit.PROTOBUF) for _ in range(2)]
            return await asyncio.gather(*posts)

    answers = asyncio.run(run())
    assert [(answer.status_code, answer.headers.get("retry-after")) for answer in answers] == [(200, None), (429, "1")]


def test_stopping_engine_is_503_with_retry_after(make_client, kit):
    """Senders keep their data for the restart."""
    client, receiver = make_client()
    receiver.is_closing = True

    async def run():
        async with client:
            return await client.post("/v1/traces", content=kit.body(), headers=kit.PROTOBUF)

    answer = asyncio.run(run())
    assert (answer.status_code, answer.headers["retry-after"], answer.content[:2]) == (503, "5", b"\x08\x0e")


def test_slow_body_is_ended(make_client, kit):
    """A body that drips is refused when its time is up, and forgotten."""
    client, receiver = make_client(max_seconds=0.1)

    async def drip():
        yield b"\x0a"
        await asyncio.sleep(20)
        yield b"\x00"

    async def run():
        async with client:
            return await client.post("/v1/traces", content=drip(), headers=kit.PROTOBUF)

    answer = asyncio.run(run())
    assert (answer.status_code, b"body must arrive within 0.1 s: 1 bytes came" in answer.content) == (408, True)
    assert receiver._bodies.waiting_bytes == 0
