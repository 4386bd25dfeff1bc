"""Real servers around applications, and applications that ``init`` does not know."""

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import textwrap

import pytest

import shopscope

FLASK = """
    import flask, shopscope, time

    app = flask.Flask("shop")
    shopscope.init("shop", app=app)

    @app.get("/orders/<int:id>")
    def order(id):
        return flask.send_file(__file__) if id == 2 else {"id": id}

    @app.get("/stream")
    def stream():
        def endless():
            while True:
                yield b"x" * 65536
        return flask.Response(endless())
"""


@contextlib.contextmanager
def gunicorn(folder, environment, *arguments):
    """Gunicorn on a free port, told by the socket that it inherits."""
    (folder / "shop_app.py").write_text(textwrap.dedent(FLASK), encoding="utf-8")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.set_inheritable(True)
        number = listener.fileno()
        process = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", "--bind", f"fd://{number}", *arguments, "shop_app:app"],
            cwd=folder,
            env=environment,
            pass_fds=[number],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        try:
            yield process, listener.getsockname()[1]
        finally:
            if process.poll() is None:
                process.kill()
            process.communicate()


def get(port, path):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("GET", path)
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return response.status, body


@pytest.mark.parametrize("worker", ["sync", "gthread"])
def test_flask_below_gunicorn(environment, tmp_path, sink, worker):
    """Answers, files that the server sends itself, a client that leaves a stream: each is one span, none is lost."""
    variables = {**os.environ, **environment, "OTEL_BSP_SCHEDULE_DELAY": "60000"}
    with gunicorn(tmp_path, variables, "--worker-class", worker, "--threads", "2") as (process, port):
        assert (200, b'{"id":1}\n') == get(port, "/orders/1")
        assert b"shopscope.init" in get(port, "/orders/2")[1]
        with socket.create_connection(("127.0.0.1", port), timeout=20) as leaving:
            leaving.sendall(b"GET /stream HTTP/1.1\r\nHost: shop\r\n\r\n")
            assert leaving.recv(100).startswith(b"HTTP/1.1 200")
        assert 404 == get(port, "/nowhere")[0]
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)
    spans = sink.spans(4)
    assert sorted(["GET /orders/<int:id>", "GET /orders/<int:id>", "GET /stream", "GET"]) == sorted(
        span.name for span in spans
    )
    assert {0} == {span.status.code for span in spans}


def asgi_function(scope, receive, send):
    """Take the arguments of an ASGI application."""


def wsgi_function(environ, start_response):
    """Take the arguments of a WSGI application."""


@pytest.mark.parametrize(
    ("app", "advice"),
    [
        (asgi_function, r"leave it out and use app = scope\.asgi\(app\)$"),
        (wsgi_function, r"leave it out and use app = scope\.wsgi\(app\)$"),
        (object(), r"builtins\.object; leave it out and use app = scope\.asgi\(app\) or app = scope\.wsgi\(app\)$"),
    ],
)
def test_unknown_application(observe, app, advice):
    """The error names the kind and says what to write instead; nothing keeps running."""
    with pytest.raises(shopscope.ConfigError, match=advice):
        observe(app=app)


def test_no_framework_is_imported(program):
    """To know what an application is none of the frameworks is imported."""
    running = program(
        """
        import sys
        import shopscope
        scope = shopscope.init("x")
        app = scope.wsgi(lambda environ, start_response: [])
        app = scope.asgi(app)
        try:
            scope.instrument(object())
        except shopscope.ConfigError:
            pass
        names = ("flask", "django", "celery", "litestar", "starlette", "fastapi", "asyncpg", "requests")
        print([name for name in names if name in sys.modules])
        """
    )
    code, output, errors = running.finish()
    assert (0, "", "[]") == (code, errors, output.splitlines()[-1])
