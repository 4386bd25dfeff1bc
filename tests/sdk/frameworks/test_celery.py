"""Celery with a real broker, worker and beat: one trace and journey from the caller into the task."""

import contextlib
import os
import signal
import subprocess
import sys
import textwrap

import celery
import kombu.exceptions
import pytest
import redis
from opentelemetry import context as context_api
from opentelemetry import trace
from opentelemetry.baggage import set_baggage

from shopscope_ops.demo.backends import start_redis

PRODUCER, CONSUMER, ERROR = 4, 5, 2
TASKS = """
    import celery, redis, shopscope

    app = celery.Celery("shop", broker={url!r}, backend={url!r})
    app.conf.update(worker_hijack_root_logger=False, broker_connection_retry_on_startup=True, result_expires=60)
    shopscope.init("worker", app=app)
    client = redis.Redis.from_url({url!r})

    @app.task(name="shop.reserve")
    def reserve(sku):
        client.set(sku, 1)
        return sku

    @app.task(name="shop.fail")
    def fail():
        raise ZeroDivisionError("no good")

    @app.task(name="shop.retry", bind=True, max_retries=3)
    def again(self):
        if self.request.retries < 1:
            raise self.retry(countdown=0)
        return self.request.retries

    app.conf.beat_schedule = {{"tick": {{"task": "shop.reserve", "schedule": 0.2, "args": ("beat",)}}}}
"""


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    with start_redis(tmp_path_factory.mktemp("redis")) as address:
        yield address


@pytest.fixture
def start(url, environment, tmp_path):
    """A function that starts a worker or a beat with the tasks above."""
    (tmp_path / "tasks.py").write_text(textwrap.dedent(TASKS).format(url=url), encoding="utf-8")
    redis.Redis.from_url(url).flushall()
    with contextlib.ExitStack() as started:

        def run(*arguments):
            process = subprocess.Popen(
                [sys.executable, "-m", "celery", "-A", "tasks", *arguments],
                cwd=tmp_path,
                env={**os.environ, **environment, "PYTHONPATH": str(tmp_path)},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            started.callback(_end, process)
            return process

        yield run


def _end(process):
    if process.poll() is None:
        process.kill()
    process.communicate()


def _stop(process):
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=20)
    return output


@pytest.fixture
def publisher(observe, url):
    """The web service's side: an application that only publishes."""
    app = celery.Celery("web", broker=url, backend=url)
    scope = observe("web", app=app)
    yield app
    app.close()
    scope.shutdown()


def _by_kind(spans, kind, name):
    return [span for span in spans if (span.kind, span.name) == (kind, name)]


def test_task(start, publisher, sink):
    """The task's span is below the publisher's, in its journey; the broker's own commands are no calls."""
    worker = start("worker", "--pool", "prefork", "--concurrency", "1", "--loglevel", "WARNING")
    context = set_baggage("shopscope.journey", "checkout")
    token = context_api.attach(context)
    try:
        with trace.get_tracer("test").start_as_current_span("request"):
            result = publisher.send_task("shop.reserve", args=("sku-1",))
    finally:
        context_api.detach(token)
    assert "sku-1" == result.get(timeout=20)
    _stop(worker)
    sink_spans = sink.spans(4)
    (request,) = (span for span in sink_spans if span.name == "request")
    (sent,) = _by_kind(sink_spans, PRODUCER, "shop.reserve")
    (run,) = _by_kind(sink_spans, CONSUMER, "shop.reserve")
    (command,) = (span for span in sink_spans if span.name == "SET")
    assert (request.span_id, sent.span_id, run.span_id) == (
        sent.parent_span_id,
        run.parent_span_id,
        command.parent_span_id,
    )
    assert {("web", "checkout"), ("worker", "checkout")} == {
        (span.resource["service.name"], span.tags["shopscope.journey"]) for span in (sent, run)
    }
    assert {
        "messaging.system": "celery",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.message.id": result.id,
        "messaging.destination.name": "celery",
        "celery.task.name": "shop.reserve",
        "celery.task.retries": 0,
        "celery.task.state": "SUCCESS",
        "shopscope.outcome": "ok",
        "shopscope.journey": "checkout",
    } == run.tags
    roots = [span.name for span in sink_spans if not span.parent_span_id and span.name != "request"]
    assert set() == set(roots) & {"LPUSH", "BRPOP", "PIPELINE", "MULTI", "SADD", "ZADD"}


def test_failure_and_retry(start, publisher, sink):
    """A failing task is an error with its exception; a retry is a span of its own, below the try before."""
    worker = start("worker", "--pool", "solo", "--loglevel", "CRITICAL")
    with pytest.raises(ZeroDivisionError):
        publisher.send_task("shop.fail").get(timeout=20)
    assert 1 == publisher.send_task("shop.retry").get(timeout=20)
    _stop(worker)
    spans = sink.spans(7)
    (failed,) = _by_kind(spans, CONSUMER, "shop.fail")
    assert (ERROR, "ZeroDivisionError", "error", ["exception"]) == (
        failed.status.code,
        failed.tags["error.type"],
        failed.tags["shopscope.outcome"],
        [event.name for event in failed.events],
    )
    first, second = sorted(_by_kind(spans, CONSUMER, "shop.retry"), key=lambda span: span.tags["celery.task.retries"])
    assert [("retry", 0, 0), ("ok", 1, 0)] == [
        (span.tags["shopscope.outcome"], span.tags["celery.task.retries"], span.status.code) for span in (first, second)
    ]
    (resent,) = (span for span in _by_kind(spans, PRODUCER, "shop.retry") if span.parent_span_id == first.span_id)
    assert resent.span_id == second.parent_span_id


def test_beat(start, sink, wait_until):
    """What beat publishes begins a trace of its own, and arrives when beat is stopped."""
    beat = start("beat", "--schedule", "beat-schedule", "--loglevel", "WARNING")
    wait_until(sink.spans, "a published task")
    _stop(beat)
    spans = sink.spans(1)
    assert {(PRODUCER, "shop.reserve", b"")} == {(span.kind, span.name, span.parent_span_id) for span in spans}


def test_broker_that_is_gone(observe, sink):
    """A task that cannot be published is an error of the queue, and the caller's exception comes through."""
    app = celery.Celery("web", broker="redis://127.0.0.1:9/0")
    app.conf.update(task_publish_retry=False, broker_transport_options={"max_retries": 0, "interval_start": 0})
    scope = observe("web", app=app)
    with pytest.raises((kombu.exceptions.OperationalError, redis.ConnectionError)):
        app.send_task("shop.reserve")
    scope.shutdown()
    assert (ERROR, PRODUCER) == (sink.span().status.code, sink.span().kind)
    (point,) = sink.points("shopscope.dependency.duration")
    assert ("celery", "queue", "write", "error") == tuple(
        point.tags[key] for key in ("peer", "kind", "access", "outcome")
    )
    app.close()


def test_eager_task(observe, sink):
    """A task that runs in the place of its caller is below the caller."""
    app = celery.Celery("web")
    app.conf.task_always_eager = True

    @app.task(name="shop.eager")
    def eager():
        return trace.get_current_span().get_span_context().span_id

    observe("web", app=app)
    with trace.get_tracer("test").start_as_current_span("request") as request:
        inner = eager.delay().get()
        assert request is trace.get_current_span()
    spans = {span.name: span for span in sink.spans(2)}
    assert (CONSUMER, spans["request"].span_id, inner) == (
        spans["shop.eager"].kind,
        spans["shop.eager"].parent_span_id,
        int.from_bytes(spans["shop.eager"].span_id),
    )


def test_application_before_its_parts_are_imported(program):
    """Celery imports its parts when they are needed first, by us too: nothing is amiss then."""
    source = """
        import celery, shopscope
        app = celery.Celery("shop", broker="memory://localhost")
        shopscope.init("worker", app=app)
        app.send_task("shop.reserve")
    """
    assert (0, "", "") == program(source).finish()
