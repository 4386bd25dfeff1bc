"""A real engine on free ports, and a real HTTP server in front of it that changes what passes."""

import contextlib
import os
import subprocess
import sys
import threading
import time
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

import httpx
import pytest

from shopscope_ops.doctor._examine import examine
from shopscope_ops.doctor._target import embedded_target
from shopscope_ops.engines._probes import free_port


class Engine(NamedTuple):
    """A started engine, its ports and its folder."""

    process: subprocess.Popen
    port: int
    page_port: int
    folder: object

    def target(self, port=None):
        """What the doctor examines: this engine, reached at another port if given."""
        return embedded_target(self.folder, port or self.port, self.page_port)


@pytest.fixture
def engine(tmp_path):
    """An engine that runs until the test ends."""
    port, page_port = free_port(), free_port()
    ports = ("--port", str(port), "--page-port", str(page_port))
    command = [sys.executable, "-m", "shopscope_ops.engines.embedded", *ports, "--data", str(tmp_path / "data")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert "engine ready" in process.stdout.readline()
            yield Engine(process, port, page_port, tmp_path)
        finally:
            process.terminate()
            process.wait(30)


@contextlib.contextmanager
def in_front_of(port, *, ahead_seconds=0.0, token=""):
    """A server on a free port that passes requests on; its clock may lie, and OTLP may need a token."""
    client = httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            self.answer(client.get(self.path))

        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            if token and self.headers.get("authorization") != f"Bearer {token}":
                self.answer(httpx.Response(401, text="missing or empty authorization header: Authorization"))
                return
            names = ("content-type", "content-encoding")
            headers = {name: self.headers[name] for name in names if name in self.headers}
            self.answer(client.post(self.path, content=body, headers=headers))

        def answer(self, response):
            self.send_response(response.status_code)
            self.send_header("content-type", response.headers.get("content-type", "text/plain"))
            self.send_header("content-length", str(len(response.content)))
            self.end_headers()
            self.wfile.write(response.content)

        def date_time_string(self, timestamp=None):
            return formatdate((timestamp or time.time()) + ahead_seconds, usegmt=True)

        def log_message(self, *_):
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server, client:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


class Kit(NamedTuple):
    """What the tests of this folder use."""

    in_front_of: object
    examine: object


def examine_shortly(target, patience_seconds=3.0, **variables):
    """An examination as in a shell without OpenTelemetry's variables, but for those given."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    return examine(target, patience_seconds, plain | variables)


@pytest.fixture
def kit():
    """Helpers; test modules cannot import this file."""
    return Kit(in_front_of, examine_shortly)
