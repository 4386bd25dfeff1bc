"""The real collector alone, with the repository's own configuration, before sinks that keep what arrives."""

import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from shopscope_ops.engines._probes import answers_http
from shopscope_ops.engines.native import find_binary, provide

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests" / "sdk"))
from otlp_sink import Sink  # noqa: E402 (found by the line above)

PIPELINES = ("traces", "metrics", "logs")
_DEADLINE_SECONDS = 30.0
_PORTS = {"grpc": 4317, "http": 4318, "health": 13133, "telemetry": 8888}


class RawSink(Sink):
    """A sink that keeps the bodies of requests too: nothing in them escapes a test."""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.bodies: dict[str, list[bytes]] = {}

    def accept(self, path: str, body: bytes) -> None:
        """Keep the body, and what it holds."""
        self.bodies.setdefault(path.removeprefix("/v1/"), []).append(body)
        super().accept(path, body)


class CollectorAlone:
    """A collector in a folder of its own.

    Args:
        folder: holds its configuration, queue and log.
        backends: what stands in the place of an address, such as ``http://tempo:14318``.
        overlays: files of ``collector/`` over agent.yaml.
        changes: a last configuration over all.
        environment: its environment variables.
    """

    def __init__(
        self,
        folder: Path,
        backends: Mapping[str, str],
        overlays: Sequence[str] = (),
        changes: Mapping[str, Any] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self.ports = dict(zip(_PORTS, _free_ports(len(_PORTS)), strict=True))
        self._environment = dict(environment or {})
        self._arguments = self._configure(backends, overlays, changes or {})

    @property
    def url(self) -> str:
        """Where OTLP over HTTP is taken."""
        return f"http://127.0.0.1:{self.ports['http']}"

    @contextlib.contextmanager
    def running(self) -> Iterator["CollectorAlone"]:
        """Run while the context lasts."""
        with (self.folder / "log").open("ab") as log:
            process = subprocess.Popen([str(binary()), *self._arguments], stdout=log, stderr=log, env=self._environment)
            try:
                self._wait_until_ready(process)
                yield self
                assert process.poll() is None, self.log()[-3000:]
            finally:
                process.terminate()
                try:
                    process.wait(_DEADLINE_SECONDS)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()

    def start_and_fail(self) -> str:
        """What it says when it does not start."""
        command = [str(binary()), *self._arguments]
        done = subprocess.run(
            command, capture_output=True, text=True, env=self._environment, timeout=_DEADLINE_SECONDS, check=False
        )
        assert 0 != done.returncode
        return done.stderr

    def log(self) -> str:
        """What it has said."""
        return (self.folder / "log").read_text(encoding="utf-8")

    def metric(self, name: str) -> float:
        """The sum of one of its own counters, 0 while it has none."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.ports['telemetry']}/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.partition("{")[0] == name)

    def _configure(self, backends: Mapping[str, str], overlays: Sequence[str], changes: Mapping[str, Any]) -> list[str]:
        """Copies of the files with this machine's addresses, as the native engine writes them."""
        places = {"/var/lib/otelcol": str(self.folder), **backends, "host: 0.0.0.0": "host: 127.0.0.1"}
        for name, number in _PORTS.items():
            for host in ("0.0.0.0", "collector"):
                places[f"{host}:{number}"] = f"127.0.0.1:{self.ports[name]}"
        places["port: 8888"] = f"port: {self.ports['telemetry']}"
        arguments = []
        for name in ("agent.yaml", *overlays):
            text = (ROOT / "collector" / name).read_text(encoding="utf-8")
            for old, new in places.items():
                text = text.replace(old, new)
            (self.folder / name).write_text(text, encoding="utf-8")
            arguments.append(f"--config={self.folder / name}")
        if changes:
            (self.folder / "changes.yaml").write_text(yaml.safe_dump(dict(changes)), encoding="utf-8")
            arguments.append(f"--config={self.folder / 'changes.yaml'}")
        return arguments

    def _wait_until_ready(self, process: "subprocess.Popen[bytes]") -> None:
        deadline = time.monotonic() + _DEADLINE_SECONDS
        while not answers_http(self.ports["health"], "/"):
            assert process.poll() is None, self.log()[-3000:]
            assert time.monotonic() < deadline, self.log()[-3000:]
            time.sleep(0.05)


def before(sink: Sink, prometheus: Sink | None = None) -> dict[str, str]:
    """Backends that are all one sink, but for Prometheus, if another is given."""
    return {
        "http://tempo:14318": sink.url,
        "http://loki:3100/otlp": sink.url,
        "http://answers:4319": sink.url,
        "http://prometheus:9090/api/v1/otlp": (prometheus or sink).url,
    }


def once() -> dict[str, Any]:
    """A change of the configuration: everything leaves once, to the embedded engine's place."""
    return {"service": {"pipelines": {name: {"exporters": ["otlp_http/answers"]} for name in PIPELINES}}}


def binary() -> Path:
    """The collector: built in CI; elsewhere found, or the test is skipped."""
    if os.environ.get("CI") == "true":
        return provide("collector")
    found = find_binary("collector")
    if found is None:
        pytest.skip("the collector is neither on PATH nor in the cache: run make stack-binaries")
    return found


def post(url: str, body: bytes, headers: Mapping[str, str] | None = None, context: Any = None) -> int:
    """The status of the answer to a request with OTLP."""
    request = urllib.request.Request(  # noqa: S310 (the test's own address)
        url, data=body, headers={"Content-Type": "application/x-protobuf", **(headers or {})}
    )
    try:
        with urllib.request.urlopen(request, timeout=30, context=context) as answer:  # noqa: S310 (as above)
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:  # it holds the connection
            return error.code


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()
