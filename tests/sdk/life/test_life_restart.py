"""Applications that end and start again in one process: test clients, reloaders, suites, several at once."""

import asyncio
import contextlib
import signal
import threading

import httpx
import pytest
import trio
from fastapi import FastAPI
from litestar import Litestar, get
from opentelemetry import metrics, trace
from prometheus_client import CollectorRegistry, Counter

import shopscope
from shopscope import _scope

SHOP = """
[journeys.product]
routes = ["GET /x"]
service = "checkout"
latency = "10s"
objective = 0.99
"""


def make(**options):
    app = FastAPI(**options)

    @app.get("/x")
    async def x():
        shopscope.get_logger().info("answering")
        shopscope.order_placed(1)
        return "ok"

    return app


@contextlib.asynccontextmanager
async def served(app):
    """Run an application from startup to shutdown, as a server does; what it yields asks for a page."""
    events, sent = asyncio.Queue(), asyncio.Queue()
    scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}
    life = asyncio.create_task(app(scope, events.get, sent.put))
    await events.put({"type": "lifespan.startup"})
    if "lifespan.startup.complete" != (await sent.get())["type"]:
        await life
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://shop.example") as client:

        async def ask():
            assert 200 == (await client.get("/x")).status_code

        yield ask
    await events.put({"type": "lifespan.shutdown"})
    assert "lifespan.shutdown.complete" == (await sent.get())["type"]
    await life


def serve(app):
    """One request in one life."""

    async def run():
        async with served(app) as ask:
            await ask()

    asyncio.run(run())


def shopscope_threads():
    return sorted(thread.name for thread in threading.enumerate() if thread.name.startswith("shopscope"))


def test_an_application_that_starts_again_reports_again(observe, sink):
    """Its second and third life send spans, lines and metrics like the first, without another ``init``."""
    app = make()
    scope = observe(app=app, shop=SHOP)
    for life in (1, 2, 3):
        serve(app)
        assert (life, life) == (len(sink.spans(name="GET /x")), len(sink.logs(body="answering")))
        assert life == sink.points("shopscope.orders")[0].point.as_double
    assert 3 == len(sink.pushes())
    assert 1 == len({span.resource["service.instance.id"] for span in sink.spans()})
    counts = {point.tags["outcome"]: point.point.as_double for point in sink.points("shopscope.slo.events")}
    assert {"good": 3, "slow": 0, "error": 0} == counts
    assert (None, None) == (_scope._scope, scope._pipeline)


def test_nothing_is_left_between_two_lives(observe, sink):
    """Threads, handlers, collectors and processors of the first life are gone before the second begins."""
    app = make()
    threads = shopscope_threads()
    observe(app=app)
    handler = signal.getsignal(signal.SIGTERM)
    found = []
    for _ in range(3):
        serve(app)
        found.append((shopscope_threads(), signal.getsignal(signal.SIGTERM)))
    assert [(threads, handler)] * 3 == found
    assert 3 == len(sink.spans(name="GET /x"))


def test_what_an_application_does_while_it_starts_and_ends(observe, sink):
    """Each startup and each shutdown of the application itself is observed, and what is open then still arrives."""

    @contextlib.asynccontextmanager
    async def lifespan(_app):
        with trace.get_tracer("test").start_as_current_span("starting"):
            pass
        yield
        with trace.get_tracer("test").start_as_current_span("ending"):
            pass

    app = make(lifespan=lifespan)
    observe(app=app)
    for _ in range(2):
        serve(app)
    names = ["ending", "starting", "GET /x"]
    assert dict.fromkeys(names, 2) == {name: len(sink.spans(name=name)) for name in names}


def test_shutdown_by_the_application_itself(observe, sink):
    """Neither does telemetry stay away that the application's own lifespan has shut down."""

    @contextlib.asynccontextmanager
    async def lifespan(_app):
        yield
        shopscope.shutdown()

    app = make(lifespan=lifespan)
    observe(app=app)
    for _ in range(2):
        serve(app)
    assert 2 == len(sink.spans(name="GET /x"))


def test_shutdown_outside_of_an_application_is_for_good(observe, sink):
    """What was shut down while nothing ran starts with the next ``init`` alone."""
    app = make()
    observe(app=app).shutdown()
    serve(app)
    assert ([], None) == (sink.spans(), _scope._scope)


def test_another_init_in_between(observe, sink):
    """The scope that ``init`` returned last is the one that serves the application, once."""
    app = make()
    observe("first", app=app)
    serve(app)
    observe("second", app=app)
    for _ in range(2):
        serve(app)
    assert ["first", "second", "second"] == [span.resource["service.name"] for span in sink.spans(name="GET /x")]


def test_an_init_for_each_test_leaves_one_middleware(observe, sink):
    """A suite that calls ``init`` for every test does not wrap its application deeper and deeper."""
    app = make()
    for _ in range(5):
        observe(app=app)
        serve(app)
    depth, layer = 0, app.middleware_stack
    while type(layer).__module__.startswith("shopscope"):
        depth, layer = depth + 1, layer.app
    assert (1, 5) == (depth, len(sink.spans(name="GET /x")))


def test_two_applications_end_one_after_the_other(observe, sink):
    """Telemetry ends with the last application of a process, not with the first."""
    shop, admin = make(), make()
    scope = observe(app=shop)
    scope.instrument(admin)

    async def run():
        async with served(shop) as ask:
            async with served(admin) as ask_admin:
                await ask_admin()
            await ask()

    for _ in range(2):
        asyncio.run(run())
        assert None is _scope._scope
    assert 4 == len(sink.spans(name="GET /x"))


def test_startup_that_fails(observe, sink):
    """It ends no telemetry and leaves the count of running applications right."""
    fails = [True]

    @contextlib.asynccontextmanager
    async def lifespan(_app):
        if fails.pop():
            raise RuntimeError("no database")
        yield

    app = make(lifespan=lifespan)
    scope = observe(app=app)
    with pytest.raises(RuntimeError, match="no database"):
        serve(app)
    assert scope is _scope._scope
    fails += [False, False]
    serve(app)
    assert None is _scope._scope
    serve(app)
    assert 2 == len(sink.spans(name="GET /x"))


def test_metrics_of_the_service_itself(observe, sink):
    """Its registries and meters are sent in the second life too."""
    app = make()
    registry = CollectorRegistry()
    carts = Counter("carts", "Carts.", registry=registry)
    observe(app=app).add_registry(registry)
    things = metrics.get_meter("test").create_counter("things")

    async def run(count):
        async with served(app):
            carts.inc()
            things.add(count)

    for count in (1, 2):
        asyncio.run(run(count))
    assert 2 == sink.points("carts_total")[0].point.as_double
    assert 2 == sink.points("things")[0].point.as_int


def test_after_an_endpoint_that_hung(observe, sink):
    """A thread that still hangs in the first life's endpoint takes nothing of the second's."""
    app = make()
    observe(app=app, SHOPSCOPE_SHUTDOWN_TIMEOUT="200ms")
    sink.answer("traces", misbehaviour="hang")
    serve(app)
    sink.answer("traces")
    serve(app)
    sink.released.set()
    for thread in threading.enumerate():
        if thread.name == "shopscope-traces":
            thread.join(10)
    assert 1 == len(sink.spans(name="GET /x"))


def test_a_child_that_starts_the_application_of_its_parent(program, sink):
    """Forked after the application ended, the child that starts it is an instance of its own."""
    running = program(
        """
        import asyncio, os
        import shopscope

        async def plain(scope, receive, send):
            assert scope["type"] == "http"

        app = shopscope.init("forked").asgi(plain)

        async def run():
            events = iter(("startup", "shutdown"))
            async def receive():
                shopscope.order_placed(1)
                return {"type": f"lifespan.{next(events)}"}
            async def send(message):
                pass
            await app({"type": "lifespan"}, receive, send)

        asyncio.run(run())
        child = os.fork()
        if child:
            raise SystemExit(os.waitpid(child, 0)[1])
        asyncio.run(run())
        """
    )
    assert (0, "") == running.finish()[::2]
    parent, child = sink.pushes(2)
    assert parent[0].resource["service.instance.id"] != child[0].resource["service.instance.id"]
    assert [2, 1] == [sink.points("shopscope.orders", push)[0].point.as_double for push in (0, 1)]


async def live(app):
    """Run an application's lifespan, whatever the loop."""
    events, sent = iter(("startup", "shutdown")), []

    async def receive():
        return {"type": f"lifespan.{next(events)}"}

    async def send(message):
        sent.append(message["type"])

    await app({"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, receive, send)
    assert ["lifespan.startup.complete", "lifespan.shutdown.complete"] == sent


def test_plain_asgi_application(observe, sink):
    """An application without any lifespan is observed again as well."""

    async def plain(scope, _receive, _send):
        assert scope["type"] == "http"

    app = observe().asgi(plain)
    for life in (1, 2):
        asyncio.run(live(app))
        assert life == len(sink.pushes())


def test_litestar_application(observe, sink):
    """Litestar keeps lifespan events from middleware; its own hooks do it."""

    @get("/x", sync_to_thread=False)
    def x() -> str:
        return "ok"

    app = Litestar([x])
    observe(app=app)
    for life in (1, 2):
        asyncio.run(live(app))
        assert life == len(sink.pushes())


def test_django_application(program, sink):
    """Django knows no lifespan; its server's events end and start telemetry all the same."""
    running = program(
        """
        import asyncio
        import django
        from django.conf import settings
        settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"])
        urlpatterns = []
        import shopscope
        from django.core.asgi import get_asgi_application
        app = get_asgi_application()
        shopscope.init("shop", app=app)

        async def run(events, sent):
            async def receive():
                return {"type": f"lifespan.{next(events)}"}
            async def send(message):
                sent.append(message["type"])
            await app({"type": "lifespan"}, receive, send)

        for _ in range(2):
            shopscope.order_placed(1)
            asyncio.run(run(iter(("startup", "shutdown")), []))
        """
    )
    assert (0, "") == running.finish()[::2]
    assert 2 == len(sink.pushes())


def test_a_loop_of_another_kind(observe, sink):
    """Under trio the last flush is made as well."""
    app = make()
    observe(app=app)
    for life in (1, 2):
        trio.run(live, app)
        assert life == len(sink.pushes())
