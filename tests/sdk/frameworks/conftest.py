"""The fixtures of the SDK's tests are at hand here, too; and a WSGI server's part, played strictly."""

import io
import wsgiref.validate

import pytest

SHOP = """
[journeys.order]
routes = ["GET /orders/<int:id>", "POST /orders"]
service = "checkout"
latency = "10s"
objective = 0.99
"""


class Exchange:
    """One request to a WSGI application, as a server sees it."""

    def __init__(self, app, method, path, headers, environ):
        self.status, self.headers, self.written, self.chunks = "", [], [], []
        self.error = None
        environment = {
            "REQUEST_METHOD": method,
            "SCRIPT_NAME": "",
            "PATH_INFO": path,
            "QUERY_STRING": "",
            "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": "8000",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "10.0.0.9",
            "HTTP_HOST": "shop.example:8080",
            "HTTP_USER_AGENT": "test/1",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(),
            "wsgi.errors": io.StringIO(),
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }
        environment |= {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()} | environ
        self.body = app(environment, self._start_response)

    def _start_response(self, status, headers, exc_info=None):
        if exc_info and self.written + self.chunks:
            raise exc_info[1]
        self.status, self.headers = status, headers
        return self.written.append

    @property
    def content(self):
        """All that has arrived."""
        return b"".join(self.written + self.chunks)

    def finish(self):
        """Take what is left of the body, then close it."""
        try:
            self.chunks += list(self.body)
        finally:
            self.close()
        return self

    def close(self):
        """Do what a server does at the end, also when the client is gone."""
        if hasattr(self.body, "close"):
            self.body.close()


@pytest.fixture
def ask():
    """A function that begins a request; ``finish`` takes the whole answer. Both sides are held to PEP 3333."""

    def begin(app, path="/x", method="GET", headers=(), *, strict=False, **environ):
        return Exchange(wsgiref.validate.validator(app) if strict else app, method, path, dict(headers), environ)

    return begin


@pytest.fixture
def shop():
    return SHOP


@pytest.fixture
def outcomes(sink):
    """A function that returns the SLO events of the last push."""

    def read():
        return {
            point.tags["outcome"]: int(point.point.as_double)
            for point in sink.points("shopscope.slo.events")
            if point.point.as_double
        }

    return read
