"""The shop's services as real processes over a real PostgreSQL and Redis."""

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest

from shopscope_ops.demo.backends import start_postgres, start_redis

EXAMPLES = Path(__file__).parents[2] / "examples"
SERVICES = ("search", "inventory", "bank", "payment", "checkout", "storefront")
# Serves on a socket that the test has bound already: no port can be taken by somebody else in between.
_SERVE = """
import socket, sys, uvicorn
config = uvicorn.Config(f"shop.{sys.argv[1]}:app", access_log=False)
uvicorn.Server(config).run(sockets=[socket.socket(fileno=int(sys.argv[2]))])
"""

sys.path.insert(0, str(EXAMPLES))


@dataclass
class Shop:
    """Starts services, talks to them, and looks into their database."""

    folder: Path
    database_url: str
    redis_url: str
    urls: dict[str, str] = field(default_factory=dict)
    processes: dict[str, subprocess.Popen] = field(default_factory=dict)
    client: httpx.Client = field(
        default_factory=lambda: httpx.Client(timeout=30, limits=httpx.Limits(keepalive_expiry=2))
    )

    @contextlib.contextmanager
    def running(self, *services: str, **settings: str) -> Iterator["Shop"]:
        """A shop over the same databases with these services of its own."""
        shop = Shop(self.folder, self.database_url, self.redis_url, dict(self.urls))
        try:
            for service in services:
                shop._start(service, settings)
            for service in services:
                shop._await_health(service)
            yield shop
        finally:
            shop.client.close()
            for process in shop.processes.values():
                process.terminate()
            for process in shop.processes.values():
                process.wait(timeout=20)

    def log(self, service: str) -> str:
        """What a service has written."""
        return self._log_path(service).read_text(encoding="utf-8")

    def ask(self, service: str, method: str, path: str, **arguments: Any) -> httpx.Response:
        """One request to a service."""
        return self.client.request(method, self.urls[service] + path, **arguments)

    @contextlib.contextmanager
    def fault(self, service: str, **faults: Any) -> Iterator[None]:
        """Faults of a service while the context lasts."""
        answer = self.ask(service, "PUT", "/faults", json=faults)
        assert answer.status_code == 200, answer.text
        try:
            yield
        finally:
            assert self.ask(service, "DELETE", "/faults").status_code == 200

    def fill_cart(self, *skus: str) -> str:
        """A new cart with one piece of each product; its id."""
        cart_id = f"cart-{uuid4()}"
        for sku in skus:
            answer = self.ask("storefront", "POST", f"/carts/{cart_id}/items", json={"sku": sku, "quantity": 1})
            assert answer.status_code == 201, answer.text
        return cart_id

    def buy(self, cart_id: str, card_token: str = "tok_approved") -> httpx.Response:  # noqa: S107  # a test card
        """Check a cart out."""
        return self.ask("storefront", "POST", "/checkout", json={"cart_id": cart_id, "card_token": card_token})

    def sql(self, statement: str, *values: Any) -> list[asyncpg.Record]:
        """The rows of one statement."""

        async def run() -> list[asyncpg.Record]:
            connection = await self.connect()
            try:
                return await connection.fetch(statement, *values)
            finally:
                await connection.close()

        return asyncio.run(run())

    async def connect(self) -> asyncpg.Connection:
        """A database connection of the test's own."""
        return await asyncpg.connect(self.database_url.replace("+asyncpg", ""))

    def available(self, sku: str) -> int:
        """What is in stock of a product."""
        return self.sql("SELECT available FROM inventory.stock WHERE sku = $1", sku)[0]["available"]

    def _start(self, service: str, settings: dict[str, str]) -> None:
        with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
            self.urls[service] = f"http://127.0.0.1:{listener.getsockname()[1]}"
            with self._log_path(service).open("w", encoding="utf-8") as log:
                self.processes[service] = subprocess.Popen(
                    [sys.executable, "-c", _SERVE, service, str(listener.fileno())],
                    env=self._environment() | settings,
                    pass_fds=[listener.fileno()],
                    stdout=log,
                    stderr=subprocess.STDOUT,
                )

    def _environment(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("SHOP_", "OTEL_"))}
        return inherited | {
            "PYTHONPATH": str(EXAMPLES),
            "OTEL_SDK_DISABLED": "true",  # here the shop is tested, not how it is watched
            "SHOP_DATABASE_URL": self.database_url,
            "SHOP_REDIS_URL": self.redis_url,
            **{f"SHOP_{service.upper()}_URL": url for service, url in self.urls.items()},
        }

    def _await_health(self, service: str) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            assert self.processes[service].poll() is None, self.log(service)
            with contextlib.suppress(httpx.TransportError):
                if self.ask(service, "GET", "/healthz", timeout=5).json() == {"status": "ok", "service": service}:
                    return
        pytest.fail(f"{service} did not become healthy: {self.log(service)}")

    def _log_path(self, service: str) -> Path:
        return self.folder / f"{service}-{self.urls[service].rpartition(':')[2]}.log"


@pytest.fixture(scope="session")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A seeded PostgreSQL and an empty Redis of the tests' own, whatever the environment names; no services."""
    folder = tmp_path_factory.mktemp("shop")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("SHOP_DATABASE_URL", raising=False)
        patch.delenv("SHOP_REDIS_URL", raising=False)
        with start_postgres(folder / "postgres") as database_url, start_redis(folder / "redis") as redis_url:
            from shop.seed import seed  # noqa: PLC0415  # the path to it is set above

            asyncio.run(seed(database_url))
            yield Shop(folder, database_url, redis_url)


@pytest.fixture(scope="session")
def shop(databases: Shop) -> Iterator[Shop]:
    """All six services; the bank is quick, and nobody gives up on a busy machine."""
    settings = {"SHOP_DATABASE_POOL_WAIT_SECONDS": "30", "SHOP_BANK_LATENCY_SECONDS": "0.001"}
    with databases.running(*SERVICES, **settings) as running:
        yield running


class ScriptedPeer(ThreadingHTTPServer):
    """A service that answers with the statuses of a script, the last one for ever, and remembers who asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.script = [201]
        self.keys: list[str | None] = []


class _Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ScriptedPeer

    def do_POST(self) -> None:
        """Answer the next status."""
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.keys.append(self.headers["Idempotency-Key"])
        script = self.server.script
        body = json.dumps({"reference": "AUTH-1"}).encode()
        self.send_response(script.pop(0) if len(script) > 1 else script[0])
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Stay quiet."""


@pytest.fixture
def peer() -> Iterator[ScriptedPeer]:
    """A scripted service."""
    with ScriptedPeer() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()
