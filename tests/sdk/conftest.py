"""A real OTLP/HTTP endpoint, and shopscope running in this process against it."""

import asyncio
import contextlib
import logging
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import hypothesis
import pytest
import structlog

import shopscope
from shopscope import _pipeline, _scope
from shopscope._export import _worker
from shopscope._logging import _logs
from shopscope._metrics import _selfmetrics

sys.path.insert(0, str(Path(__file__).parent))
from otlp_sink import Sink

DEADLINE_SECONDS = 20.0
# A program's own start counts too: with twenty beside it on two cores one took 17 seconds.
_PROGRAM_SECONDS = 60.0

# How long an example takes says how busy the machine is.
hypothesis.settings.register_profile(
    "shopscope", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("shopscope")


def wait_until(condition: Callable[[], Any], what: str = "the condition") -> Any:
    """Poll until ``condition`` returns something true, and return that."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < deadline:
        if result := condition():
            return result
        time.sleep(0.005)
    raise AssertionError(f"{what} did not come true within {DEADLINE_SECONDS} s")


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    """Frameworks set up logging for the process when an application is made; no other test may see it."""
    root = logging.getLogger()
    known = [root, *(one for one in root.manager.loggerDict.values() if isinstance(one, logging.Logger))]
    found = [(one, one.level, one.propagate, one.disabled, list(one.handlers)) for one in known]
    disabled_up_to = root.manager.disable
    yield
    root.manager.disable = disabled_up_to
    for one, level, propagate, disabled, handlers in found:
        one.setLevel(level)
        one.propagate, one.disabled = propagate, disabled
        one.handlers[:] = handlers


@pytest.fixture(name="wait_until")
def _wait_until() -> Callable[..., Any]:
    return wait_until


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink.running() as running:
        yield running


@pytest.fixture
def environment(sink: Sink, tmp_path: Path) -> dict[str, str]:
    """What a service is started with: everything goes to the sink, soon, and no shopscope.toml is found by accident."""
    shop = tmp_path / "shopscope.toml"
    shop.write_text("", encoding="utf-8")
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": sink.url,
        "OTEL_BSP_SCHEDULE_DELAY": "20",
        "OTEL_BLRP_SCHEDULE_DELAY": "20",
        "OTEL_METRIC_EXPORT_INTERVAL": "60000",
        "SHOPSCOPE_CONFIG": str(shop),
        "SHOPSCOPE_LOG_FORMAT": "json",
    }


@pytest.fixture
def observe(
    environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., shopscope.Scope]]:
    """A function that runs ``shopscope.init``; keywords in capitals are environment variables, ``shop`` is the file."""

    def start(service: str | None = "checkout", *, shop: str = "", app: Any = None, **settings: Any) -> shopscope.Scope:
        (tmp_path / "shopscope.toml").write_text(textwrap.dedent(shop), encoding="utf-8")
        variables = environment | {key: value for key, value in settings.items() if key.isupper()}
        for key, value in variables.items():
            monkeypatch.setenv(key, value)
        arguments = {key: value for key, value in settings.items() if not key.isupper()}
        return shopscope.init(service, app=app, **arguments)

    for key in list(os.environ):
        if key.startswith(("OTEL_", "SHOPSCOPE_")):
            monkeypatch.delenv(key)
    with _as_it_was():
        yield start


@contextlib.contextmanager
def _as_it_was() -> Iterator[None]:
    """Stop whatever runs at the end, and put process-wide state back."""
    handler = signal.getsignal(signal.SIGTERM)
    levels = {name: logging.getLogger(name).level for name in ("", *_logs._TOO_TALKATIVE)}
    _selfmetrics.reset()
    try:
        yield
    finally:
        shopscope.shutdown()
        running = _pipeline.active()
        if running is not None:
            running.shutdown(1.0)
        _logs.reset()
        structlog.reset_defaults()
        _selfmetrics.reset()
        signal.signal(signal.SIGTERM, handler)
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
        assert _scope._scope is None


@pytest.fixture
def scope(observe: Callable[..., shopscope.Scope]) -> shopscope.Scope:
    return observe()


@pytest.fixture
def call() -> Callable[..., httpx.Response]:
    """A function that sends one request to an ASGI application, without a network; ``path`` may be an address."""

    def send(app: Any, path: str, method: str = "GET", **options: Any) -> httpx.Response:
        async def run() -> httpx.Response:
            transport = httpx.ASGITransport(app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://shop.example:8080") as client:
                return await client.request(method, path, **options)

        return asyncio.run(run())

    return send


class Program:
    """A Python program in a process of its own, observed by the sink."""

    def __init__(self, source: str, environment: dict[str, str], folder: Path) -> None:
        path = folder / "program.py"
        path.write_text(textwrap.dedent(source), encoding="utf-8")
        self.process = subprocess.Popen(
            [sys.executable, "-X", "faulthandler", "-W", "error", str(path)],
            env={**os.environ, **environment, "PYTHONUNBUFFERED": "1"},
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def read_line(self) -> str:
        """The next line of standard output."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().rstrip("\n")

    def finish(self) -> tuple[int, str, str]:
        """Exit code, standard output and standard error."""
        try:
            output, errors = self.process.communicate(timeout=_PROGRAM_SECONDS)
        except subprocess.TimeoutExpired:
            # Where it hangs, before what it has said is lost.
            self.process.send_signal(signal.SIGABRT)
            output, errors = self.process.communicate()
        return self.process.returncode, output, errors


@pytest.fixture
def program(environment: dict[str, str], tmp_path: Path) -> Iterator[Callable[..., Program]]:
    """A function that starts a Python program; keywords are environment variables."""
    with contextlib.ExitStack() as started:

        def start(source: str, **variables: str) -> Program:
            running = Program(source, environment | variables, tmp_path)
            started.callback(_end, running.process)
            return running

        yield start


@pytest.fixture
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exports that fail are tried again at once."""
    monkeypatch.setattr(_worker, "_FIRST_BACKOFF_SECONDS", 0.02)


def _end(process: subprocess.Popen[str]) -> None:
    # Its children too, which would keep the pipes open.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
