"""Several workers of one service, as real processes of gunicorn and uvicorn: each is an instance of its own."""

import contextlib
import re

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families as parse

APP = """
import os
from fastapi import FastAPI
from opentelemetry import metrics
import shopscope

app = FastAPI()
shopscope.init("served", app=app, metrics_path="/metrics")
things = metrics.get_meter("team").create_counter("team.things")

@app.get("/pid")
async def pid():
    things.add(1)
    return os.getpid()
"""
GUNICORN = ["gunicorn", "--workers", "2", "--bind", "127.0.0.1:0", "--worker-class", "uvicorn_worker.UvicornWorker"]
SERVERS = {
    "uvicorn": ["uvicorn", "--workers", "2", "--port", "0", "service:app"],
    "gunicorn": [*GUNICORN, "service:app"],
    "gunicorn preload": [*GUNICORN, "--preload", "service:app"],
}
# Servers write where they listen to standard error, which comes to us as standard output.
LAUNCH = """
import os, sys
os.dup2(1, 2)
os.execv(sys.executable, [sys.executable, "-m", *{arguments!r}])
"""


@pytest.fixture(params=list(SERVERS))
def served(request, program, tmp_path):
    """A server with two workers: its program and its address."""
    (tmp_path / "service.py").write_text(APP, encoding="utf-8")
    running = program(
        LAUNCH.format(arguments=SERVERS[request.param]),
        PYTHONPATH=str(tmp_path),
        PYTHONWARNINGS="ignore",
        SHOPSCOPE_LOG_LEVEL="error",
    )
    while not (match := re.search(r"http://127\.0\.0\.1:(\d+)", line := running.read_line())):
        assert line, running.finish()
    return running, f"http://127.0.0.1:{match[1]}"


def ask_until(condition, url, path):
    """Answers to requests over connections of their own, which the workers take in turns or by chance."""
    answers = []
    while not condition(answers):
        assert len(answers) < 2000
        with contextlib.suppress(httpx.TransportError):
            answers.append(httpx.get(f"{url}{path}").text)
    return answers


def samples(page):
    return {
        (sample.name, sample.labels["service_instance_id"]): sample.value
        for family in parse(page)
        for sample in family.samples
        if sample.name in ("http_server_request_duration_seconds_count", "team_things_total")
    }


def test_workers(served, sink):
    """All requests arrive, each worker pushes its own under its own id, and a scrape says whose page it is."""
    running, url = served
    pids = ask_until(lambda answers: len(set(answers)) == 2, url, "/pid")
    pages = ask_until(lambda answers: len({key[1] for page in answers for key in samples(page)}) == 2, url, "/metrics")
    running.process.terminate()
    running.process.communicate(timeout=20)

    requests, things, process_of = {}, {}, {}
    for push in sink.pushes():
        for received in push:
            instance = received.resource["service.instance.id"]
            process_of[instance] = str(received.resource["process.pid"])
            if received.item.name == "http.server.request.duration":
                requests[instance] = sum(point.count for point in received.item.histogram.data_points)
            elif received.item.name == "team.things":
                things[instance] = received.item.sum.data_points[0].as_int
    expected = {pid: pids.count(pid) for pid in pids}
    assert expected == {process_of[instance]: count for instance, count in requests.items()}
    assert expected == {process_of[instance]: count for instance, count in things.items()}
    assert len(pids) == len(sink.spans(name="GET /pid"))

    shown = {}
    for page in pages:
        found = samples(page)
        assert 1 == len({instance for _, instance in found})
        shown |= found
    assert {("http_server_request_duration_seconds_count", instance): count for instance, count in requests.items()} | {
        ("team_things_total", instance): count for instance, count in things.items()
    } == shown
