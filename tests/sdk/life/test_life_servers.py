"""SIGTERM under servers other than uvicorn alone, and reloaders: every finished span, line and count is delivered."""

import contextlib
import os
import re
import signal
import socket

import httpx
import pytest

FASTAPI = """
import os
from fastapi import FastAPI
import shopscope

app = FastAPI()
shopscope.init("served", app=app)

@app.get("/pid")
async def pid():
    shopscope.get_logger().info("answering")
    return os.getpid()

@app.get("/health")
async def health():
    return os.getpid()
"""
PLAIN = """
import os
import shopscope

async def plain(scope, receive, send):
    assert scope["type"] == "http"
    shopscope.get_logger().info("answering")
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(os.getpid()).encode()})

app = shopscope.init("served").asgi(plain)
"""
IN_LIFESPAN = """
import contextlib, os
from fastapi import FastAPI
import shopscope

@contextlib.asynccontextmanager
async def lifespan(app):
    scope = shopscope.init("served", app=app)
    yield
    scope.shutdown()

app = FastAPI(lifespan=lifespan)

@app.get("/pid")
async def pid():
    shopscope.get_logger().info("answering")
    return os.getpid()
"""
HYPERCORN = ["hypercorn", "--bind", "127.0.0.1:0", "service:app"]
UVICORN = ["uvicorn", "--port", "0", "service:app"]
# Servers write where they listen to standard error, which comes to us as standard output.
LAUNCH = """
import os, sys
os.dup2(1, 2)
os.execv(sys.executable, [sys.executable, "-m", *{arguments!r}])
"""
LATE = {"OTEL_BSP_SCHEDULE_DELAY": "60000", "OTEL_BLRP_SCHEDULE_DELAY": "60000", "PYTHONWARNINGS": "ignore"}


@pytest.fixture
def launch(program, tmp_path):
    """A function that starts a server and returns its program and its address."""

    def start(source, arguments, address=""):
        (tmp_path / "service.py").write_text(source, encoding="utf-8")
        running = program(LAUNCH.format(arguments=arguments), PYTHONPATH=str(tmp_path), **LATE)
        while not (match := re.search(r"http://127\.0\.0\.1:(\d+)", line := running.read_line())):
            assert line, running.finish()
        return running, address or match[0]

    return start


def ask(url, path="/pid"):
    """One request over a connection of its own, as soon as the server answers."""
    while True:
        with contextlib.suppress(httpx.TransportError):
            response = httpx.get(f"{url}{path}")
            assert 200 == response.status_code
            return response.text


def ask_workers(url, count, path="/pid"):
    """Process ids in the answers, until so many workers have answered."""
    answers = [ask(url, path)]
    while len(set(answers)) < count:
        assert len(answers) < 2000
        answers.append(ask(url, path))
    return answers


def assert_delivered(sink, answers):
    """Every request has its span, its lines and its place in the counts, each below its worker's own instance."""
    spans = sink.spans()
    lines = [len(sink.logs(body=body)) for body in ("request", "answering")]
    assert [len(answers)] * 3 == [len(spans), *lines]
    expected = {pid: answers.count(pid) for pid in answers}
    pids = [str(span.resource["process.pid"]) for span in spans]
    assert expected == {pid: pids.count(pid) for pid in pids}
    counts = {
        str(received.resource["process.pid"]): sum(point.count for point in received.item.histogram.data_points)
        for push in sink.pushes()
        for received in push
        if received.item.name == "http.server.request.duration"
    }
    assert expected == {pid: count for pid, count in counts.items() if count}
    assert len(expected) == len({span.resource["service.instance.id"] for span in spans})


@pytest.mark.parametrize("source", [FASTAPI, PLAIN, IN_LIFESPAN], ids=["FastAPI", "no lifespan", "init in lifespan"])
@pytest.mark.parametrize(
    ("options", "workers"),
    [([], 1), (["--workers", "2"], 2), (["--workers", "0"], 1), (["--worker-class", "trio"], 1)],
    ids=["one worker", "two workers", "no child", "trio"],
)
def test_sigterm_under_hypercorn(launch, sink, source, options, workers):
    """Hypercorn is told to end: what its workers have recorded arrives, though its time had not come."""
    running, url = launch(source, [*HYPERCORN, *options])
    answers = ask_workers(url, workers)
    running.process.terminate()
    running.finish()
    assert_delivered(sink, answers)


def test_sigterm_to_all_processes_of_hypercorn(launch, sink):
    """An init system that signals the whole group reaches workers that have no handler of their own: ours flushes."""
    running, url = launch(FASTAPI, [*HYPERCORN, "--workers", "2"])
    answers = ask_workers(url, 2)
    # Nobody waits for requests here: a worker that answers another one, which is not observed, has ended those before.
    ask_workers(url, 2, "/health")
    os.killpg(running.process.pid, signal.SIGTERM)
    running.finish()
    assert_delivered(sink, answers)


def test_sigterm_under_granian(launch, sink):
    """The same under Granian, whose server is no Python."""
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    running, url = launch(FASTAPI, ["granian", "--interface", "asgi", "--port", str(port), "service:app"])
    answers = ask_workers(url, 1)
    running.process.terminate()
    running.finish()
    assert_delivered(sink, answers)


def test_init_in_a_lifespan_under_uvicorn(launch, sink):
    """Who calls ``init`` within the lifespan calls ``shutdown`` there: uvicorn's handler of SIGTERM was first."""
    running, url = launch(IN_LIFESPAN, UVICORN)
    answers = ask_workers(url, 1)
    running.process.terminate()
    running.finish()
    assert_delivered(sink, answers)


@pytest.mark.parametrize("server", [[*UVICORN, "--reload"], [*HYPERCORN, "--reload"]], ids=["uvicorn", "hypercorn"])
def test_reload(launch, sink, tmp_path, server):
    """A reloader replaces the process: what the old one had recorded arrives, and the new one is another instance."""
    running, url = launch(FASTAPI, server)
    answers = [ask(url)]
    (tmp_path / "service.py").write_text(FASTAPI + "\nchanged = True\n", encoding="utf-8")
    while answers[-1] == answers[0]:
        answers.append(ask(url))
    running.process.terminate()
    running.finish()
    assert_delivered(sink, answers)
