"""The lines of servers and workers, in processes of their own: in our form, each once."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter

import pytest


def events_of(output):
    """How often each event was printed; every line that is one of ours."""
    return Counter(json.loads(line)["event"] for line in output.splitlines() if line.startswith("{"))


def test_uvicorn(program):
    """All lines of uvicorn, from the first one, with `init` before the server sets up its logging."""
    running = program(
        """
        import shopscope, uvicorn
        from starlette.applications import Starlette

        app = Starlette()
        shopscope.init("checkout", app=app)

        class Server(uvicorn.Server):
            async def startup(self, sockets=None):
                await super().startup(sockets)
                self.should_exit = True

        Server(uvicorn.Config(app, host="127.0.0.1", port=0)).run()
        """
    )
    code, output, errors = running.finish()
    assert (0, "") == (code, errors)
    lines = [json.loads(line) for line in output.splitlines()]
    assert {"uvicorn.error"} == {line["logger"] for line in lines}
    assert [True, True] == [
        any(line["event"].startswith(start) for line in lines) for start in ("Started server", "Uvicorn running")
    ]


@pytest.fixture
def gunicorn(environment, tmp_path):
    """A function that runs gunicorn until its worker has booted, ends it, and returns output and errors."""
    (tmp_path / "service.py").write_text(
        "import logging, shopscope\n"
        "def answer(environ, start_response):\n    return []\n"
        "scope = shopscope.init('checkout')\n"
        "app = scope.wsgi(answer)\n"
        "logging.getLogger('own').info('loaded')\n",
        encoding="utf-8",
    )

    def run(*options):
        process = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", "--bind", "127.0.0.1:0", *options, "service:app"],
            env={**os.environ, **environment, "PYTHONUNBUFFERED": "1"},
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            first = ""
            while not first.startswith("{") or ("--preload" in options and "Booting worker" not in first):
                line = process.stdout.readline()
                assert line, process.stderr.read()
                first = line
                lines.append(line)
            process.send_signal(signal.SIGTERM)
            output, errors = process.communicate(timeout=20)
        finally:
            process.kill()
            process.communicate()
        return "".join(lines) + output, errors

    lines = []
    return run


def test_gunicorn(gunicorn):
    """Lines of the worker after it has loaded the application; those of the parent stay as they are."""
    output, errors = gunicorn()
    events = events_of(output)
    assert (1, True) == (events["loaded"], any(event.startswith("Worker exiting") for event in events))
    assert ("Listening at" in errors, "Worker exiting" in errors) == (True, False)


def test_gunicorn_with_preload(gunicorn):
    """With the application in the parent all lines after it have our form."""
    output, errors = gunicorn("--preload")
    events = events_of(output)
    starts = ("Listening at", "Booting worker", "Worker exiting", "Shutting down")
    assert [1] * len(starts) == [sum(event.startswith(start) for event in events) for start in starts]
    assert ("loaded" in events, "Booting worker" in errors) == (True, False)


def test_celery_worker(program, sink):
    """A worker's own lines and those of tasks, printed once and sent once; the worker does not take standard output."""
    running = program(
        """
        import warnings
        from celery import Celery, signals
        from celery.utils.log import get_task_logger
        import shopscope

        warnings.simplefilter("ignore")  # of running as root, as containers do
        app = Celery("shop", broker="memory://", backend="cache+memory://")
        app.conf.update(broker_connection_retry_on_startup=False, worker_enable_remote_control=False)
        shopscope.init("worker")

        @app.task(name="pay")
        def pay():
            get_task_logger("shop.pay").warning("paying from %s", "bob@example.com")
            shopscope.get_logger().info("paid")
            print("printed", flush=True)

        @signals.worker_ready.connect
        def send(**_):
            pay.delay()

        @signals.task_postrun.connect
        def stop(**_):
            from celery.worker import state
            state.should_stop = 0

        app.Worker(pool="solo", loglevel="INFO", quiet=True, without_gossip=True, without_mingle=True).start()
        """
    )
    _, output, errors = running.finish()
    events = events_of(output)
    assert (1, 1, True) == (events["paying from [email]"], events["paid"], "printed" in output.splitlines()), errors
    assert 1 == sum(event.startswith("Task pay[") and "succeeded" in event for event in events)
    assert "paying" not in errors
    assert (1, 1) == (len(sink.logs(1, "paying from [email]")), len(sink.logs(1, "paid")))


@pytest.mark.parametrize(
    "order",
    [
        "import celery.signals, shopscope as s; s.init('a')",
        "import shopscope as s; s.init('a'); import celery.app.amqp",
    ],
)
def test_celery_imported_before_or_after(program, order):
    """Whichever comes first, Celery finds that someone else sets up logging; after the end it may do so itself."""
    source = f"{order}\nfrom celery import signals\nprint(len(signals.setup_logging.receivers))\n"
    source += "from shopscope._logging import _logs\n_logs.reset()\nprint(len(signals.setup_logging.receivers))\n"
    assert (0, "1\n0\n", "") == program(source).finish()
