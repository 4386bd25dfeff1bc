"""Django under WSGI and ASGI: resolver routes, its own handling of exceptions, and ``init`` in the settings alone."""

import asyncio
import sys
import types

import django
import pytest
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import Http404, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.urls import include, path, re_path
from opentelemetry import trace

ERROR = 2
URLS = "shop_urls_of_the_test"


def order(_request, number):
    trace.get_tracer("test").start_span("below").end()
    return HttpResponse(str(number))


async def later(_request):
    await asyncio.sleep(0)
    trace.get_tracer("test").start_span("below").end()
    return HttpResponse("later")


def fail(_request):
    raise ZeroDivisionError("no good")


def missing(_request):
    raise Http404


@pytest.fixture(scope="module", autouse=True)
def configured():
    module = types.ModuleType(URLS)
    module.urlpatterns = [
        path("orders/<int:number>", order),
        path("api/", include([path("later", later)])),
        re_path(r"^articles/(?P<number>[0-9]{4})/$", order),
        path("fail", fail),
        path("missing", missing),
        path("old", lambda _request: HttpResponseRedirect("/orders/1")),
        path("stream", lambda _request: StreamingHttpResponse(iter([b"a", b"b"]))),
    ]
    sys.modules[URLS] = module
    settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF=URLS, SECRET_KEY="test", LOGGING_CONFIG=None)  # noqa: S106 (a test's)
    django.setup()


@pytest.fixture(params=["wsgi", "asgi"])
def serve(request, ask, call):
    """A function that sends a request to Django by either protocol and returns the status and body."""

    def wsgi(app, address, method="GET"):
        exchange = ask(app, address, method).finish()
        return int(exchange.status[:3]), exchange.content

    def asgi(app, address, method="GET"):
        response = call(app, address, method)
        return response.status_code, response.content

    make, send = (get_wsgi_application, wsgi) if request.param == "wsgi" else (get_asgi_application, asgi)
    return make(), send


@pytest.mark.parametrize(
    ("method", "address", "status", "route"),
    [
        ("GET", "/orders/7", 200, "/orders/<int:number>"),
        ("HEAD", "/orders/7", 200, "/orders/<int:number>"),
        ("GET", "/articles/2026/", 200, "/^articles/(?P<number>[0-9]{4})/$"),
        ("GET", "/old", 302, "/old"),
        ("GET", "/missing", 404, "/missing"),
        ("GET", "/nowhere", 404, ""),
    ],
)
def test_routes(observe, sink, serve, method, address, status, route):
    """The route is the resolver's, with the prefixes of includes; unmatched paths have none."""
    app, send = serve
    observe(app=app)
    assert status == send(app, address, method)[0]
    (span,) = (span for span in sink.spans(1) if span.kind == 2)
    assert (f"{method} {route}".strip(), status, 0) == (
        span.name,
        span.tags["http.response.status_code"],
        span.status.code,
    )


def test_includes_and_asynchronous_views(observe, sink, serve):
    """A view of either kind runs below the request, whatever thread or loop it is moved to."""
    app, send = serve
    observe(app=app)
    assert b"later" == send(app, "/api/later")[1]
    below, request = sorted(sink.spans(2), key=lambda span: span.kind)
    assert ("GET /api/later", request.span_id) == (request.name, below.parent_span_id)


def test_exception(observe, sink, serve, outcomes, shop):
    """Django answers 500 itself: the exception is on the span all the same, once."""
    app, send = serve
    scope = observe(app=app, shop=shop.replace("POST /orders", "GET /fail"))
    assert 500 == send(app, "/fail")[0]
    scope.shutdown()
    span = sink.span()
    assert (ERROR, "ZeroDivisionError: no good", "ZeroDivisionError", 1, {"error": 1}) == (
        span.status.code,
        span.status.message,
        span.tags["error.type"],
        len(span.events),
        outcomes(),
    )


def test_journeys(observe, serve, outcomes, shop):
    """The file names routes as Django does, regular expressions too."""
    app, send = serve
    routes = shop.replace("<int:id>", "<int:number>").replace("POST /orders", "GET /^articles/(?P<number>[0-9]{4})/$")
    scope = observe(app=app, shop=routes)
    for address in ("/orders/7", "/orders/x", "/articles/2026/", "/articles/x/"):
        send(app, address)
    scope.shutdown()
    assert {"good": 2} == outcomes()


def test_stream(observe, sink, ask):
    """A streamed answer passes through whole, as one request."""
    app = get_wsgi_application()
    observe(app=app)
    assert b"ab" == ask(app, "/stream").finish().content
    assert "GET /stream" == sink.span().name


def test_init_without_an_application(observe, sink, serve):
    """With ``init`` alone, as in the settings, every handler is observed, also one that was made before."""
    app, send = serve
    scope = observe()
    send(app, "/orders/7")
    scope.shutdown()
    assert ["GET /orders/<int:number>"] == [span.name for span in sink.spans(2) if span.kind == 2]
    assert 200 == send(app, "/orders/7")[0]
    assert 2 == len(sink.spans())


def test_below_another_application(observe, sink, call):
    """Django mounted in an observed application has no second span, and the mount's prefix in its route."""
    from starlette.applications import Starlette  # noqa: PLC0415 (this test's alone)
    from starlette.routing import Mount  # noqa: PLC0415 (same)

    app = Starlette(routes=[Mount("/shop", get_asgi_application())])
    scope = observe(app=app)
    call(app, "/shop/orders/7")
    assert scope.flush()
    assert ["GET /shop/orders/<int:number>"] == [span.name for span in sink.spans(2) if span.kind == 2]


def test_init_in_settings_of_a_project(program, sink, tmp_path):
    """``shopscope.init`` in the settings module observes the project's handler, whose module comes later."""
    (tmp_path / "project_settings.py").write_text(
        "import shopscope\nshopscope.init('shop')\n"
        "ALLOWED_HOSTS = ['*']\nROOT_URLCONF = 'project_urls'\nSECRET_KEY = 'x'\n"
    )
    (tmp_path / "project_urls.py").write_text(
        "from django.http import HttpResponse\nfrom django.urls import path\n"
        "urlpatterns = [path('orders/<int:number>', lambda request, number: HttpResponse('ok'))]\n"
    )
    running = program(
        """
        from wsgiref.util import setup_testing_defaults
        from django.core.wsgi import get_wsgi_application
        app = get_wsgi_application()
        environ = {"PATH_INFO": "/orders/7"}
        setup_testing_defaults(environ)
        body = app(environ, lambda status, headers: print(status))
        print(b"".join(body).decode())
        body.close()
        """,
        DJANGO_SETTINGS_MODULE="project_settings",
    )
    code, output, errors = running.finish()
    lines = [line for line in output.splitlines() if not line.startswith("{")]
    assert (0, "", ["200 OK", "ok"]) == (code, errors, lines)
    assert ("GET /orders/<int:number>", "shop") == (sink.span().name, sink.span().resource["service.name"])
