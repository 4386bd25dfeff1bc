"""From start to end of a process: servers, scripts, signals, forks, threads, and several ``init``."""

import json
import os
import signal
import threading

import httpx
import pytest
from prometheus_client import REGISTRY

import shopscope
from shopscope import ConfigError, _scope

SERVER = """
import asyncio, socket, sys
import uvicorn
from fastapi import FastAPI
import shopscope

{app}

listener = socket.create_server(("127.0.0.1", 0))
print("port", listener.getsockname()[1])
uvicorn.Server(uvicorn.Config({serve}, log_level="info", **{options})).run(sockets=[listener])
"""
FASTAPI = """
app = FastAPI()
shopscope.init("served", app=app)

@app.get("/x")
async def x():
    shopscope.get_logger().info("answering")
    return "ok"
"""
FACTORY = """
def make():
    app = FastAPI()
    shopscope.init("served", app=app)

    @app.get("/x")
    async def x():
        shopscope.get_logger().info("answering")
        return "ok"

    return app
"""
PLAIN = """
async def plain(scope, receive, send):
    assert scope["type"] == "http"
    shopscope.get_logger().info("answering")
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})

app = shopscope.init("served").asgi(plain)
"""


def serve(program, app, serve="app", options="{}", **variables):
    source = SERVER.replace("{app}", app).replace("{serve}", serve).replace("{options}", options)
    running = program(source, **variables)
    line = running.read_line()
    while not line.startswith("port "):
        assert line, running.finish()
        line = running.read_line()
    return running, f"http://127.0.0.1:{line.split()[1]}"


@pytest.mark.parametrize(
    ("app", "address", "options"),
    [
        (FASTAPI, "app", "{}"),
        (FASTAPI, "app", "{'lifespan': 'off'}"),
        (FACTORY, "make", "{'factory': True}"),
        (PLAIN, "app", "{}"),
    ],
    ids=["FastAPI", "no lifespan", "factory", "plain ASGI"],
)
def test_sigterm_right_after_the_last_response(program, sink, app, address, options):
    """Uvicorn is told to end: every span, line and the final metrics arrive, though their time had not come."""
    running, url = serve(
        program, app, address, options, OTEL_BSP_SCHEDULE_DELAY="60000", OTEL_BLRP_SCHEDULE_DELAY="60000"
    )
    with httpx.Client() as client:
        for _ in range(5):
            assert 200 == client.get(f"{url}/x").status_code
    running.process.terminate()
    code, output, errors = running.finish()
    assert -signal.SIGTERM == code, errors
    assert (5, 5, 5) == (len(sink.spans()), len(sink.logs(body="request")), len(sink.logs(body="answering")))
    (point,) = sink.points("http.server.request.duration")
    assert 5 == point.point.count
    lines = [json.loads(line) for line in output.splitlines()]
    assert 5 == len([line for line in lines if line["event"] == "request"])
    assert {"served"} == {line["service"] for line in lines}


def test_server_with_a_dead_endpoint(program, sink):
    """With a hung endpoint requests are answered and SIGTERM ends the server within its deadline."""
    sink.answer(misbehaviour="hang")
    running, url = serve(program, FASTAPI, SHOPSCOPE_SHUTDOWN_TIMEOUT="300ms")
    with httpx.Client() as client:
        for _ in range(3):
            assert 200 == client.get(f"{url}/x").status_code
    running.process.terminate()
    code, output, _ = running.finish()
    assert (-signal.SIGTERM, True) == (code, "drops traces (shutdown)" in output)


SCRIPT = """
import os, sys, time
from opentelemetry import trace
import shopscope
shopscope.init("script")
with trace.get_tracer("x").start_as_current_span("work"):
    shopscope.get_logger().info("said")
shopscope.order_placed(5)
{end}
"""


@pytest.mark.parametrize(
    ("end", "expected"),
    [("", 0), ("sys.exit(3)", 3), ("raise ValueError('bad')", 1), ("shopscope.shutdown()", 0)],
    ids=["end", "exit", "exception", "shutdown"],
)
def test_script_that_ends(program, sink, end, expected):
    """A script needs no shutdown: all arrives when the interpreter ends, whatever ends it."""
    running = program(SCRIPT.replace("{end}", end), OTEL_BSP_SCHEDULE_DELAY="60000", OTEL_BLRP_SCHEDULE_DELAY="60000")
    assert expected == running.finish()[0]
    assert ("work", 1) == (sink.span().name, len(sink.logs(body="said")))
    assert 5 == sink.points("shopscope.order.value")[0].point.as_double


@pytest.mark.parametrize(
    "end",
    [
        "print('ready'); time.sleep(60)",
        "import asyncio; print('ready'); asyncio.run(asyncio.sleep(60))",
        "print('ready')\nwhile True: trace.get_tracer('x').start_span('busy').end()",
    ],
    ids=["sleeping", "asyncio", "busy"],
)
def test_sigterm_of_a_script(program, sink, end):
    """SIGTERM ends a script as it would without us, after its telemetry has been sent."""
    running = program(SCRIPT.replace("{end}", end), OTEL_BSP_SCHEDULE_DELAY="60000", OTEL_BLRP_SCHEDULE_DELAY="60000")
    while running.read_line() != "ready":
        pass
    running.process.terminate()
    assert -signal.SIGTERM == running.finish()[0]
    assert 1 == len(sink.spans(name="work"))
    assert 5 == sink.points("shopscope.order.value")[0].point.as_double


def test_handler_of_the_service_is_left_alone(program, sink):
    """A service with a SIGTERM handler of its own keeps it; its exit sends what is left."""
    running = program(
        "import signal, sys\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(7))\n"
        + SCRIPT.replace("{end}", "print('ready'); time.sleep(60)"),
        OTEL_BSP_SCHEDULE_DELAY="60000",
    )
    while running.read_line() != "ready":
        pass
    running.process.terminate()
    assert (7, "work") == (running.finish()[0], sink.span().name)


def test_fork(program, sink):
    """A child is a process of its own: other instance, its spans and counts arrive, the parent's are not sent twice."""
    running = program(
        """
        import os
        from opentelemetry import trace
        import shopscope
        scope = shopscope.init("forked")
        tracer = trace.get_tracer("x")
        tracer.start_span("before").end()
        shopscope.order_placed(1)
        child = os.fork()
        if not child:
            tracer.start_span("child").end()
            shopscope.get_logger().info("from the child")
            shopscope.order_placed(10)
            scope.shutdown()
            os._exit(0)
        _, status = os.waitpid(child, 0)
        tracer.start_span("parent").end()
        shopscope.order_placed(100)
        raise SystemExit(status)
        """,
        OTEL_BSP_SCHEDULE_DELAY="60000",
        OTEL_BLRP_SCHEDULE_DELAY="60000",
    )
    code, _, errors = running.finish()
    assert (0, "") == (code, errors)
    names = {span.name: span.resource["service.instance.id"] for span in sink.spans(3)}
    assert ["before", "child", "parent"] == sorted(span.name for span in sink.spans())
    assert names["before"] == names["parent"] != names["child"]
    assert names["child"] == sink.log("from the child").resource["service.instance.id"]
    values = {
        push[0].resource["service.instance.id"]: point.point.as_double
        for number, push in enumerate(sink.pushes())
        for point in sink.points("shopscope.order.value", number)
    }
    assert {names["child"]: 10, names["parent"]: 101} == values
    pids = {span.resource["process.pid"] for span in sink.spans()}
    assert 2 == len(pids)


def test_fork_under_load(program, sink):
    """Forks while other threads record and export neither hang nor lose what the children record."""
    running = program(
        """
        import os, threading, warnings
        from opentelemetry import trace
        import shopscope
        scope = shopscope.init("forked")
        tracer = trace.get_tracer("x")
        stop = threading.Event()
        def work():
            while not stop.is_set():
                tracer.start_span("load").end()
                shopscope.get_logger().info("load")
        threads = [threading.Thread(target=work) for _ in range(2)]
        for thread in threads: thread.start()
        children = []
        for _ in range(10):
            child = os.fork()
            if not child:
                tracer.start_span("child").end()
                scope.shutdown()
                os._exit(0)
            children.append(child)
        codes = [os.waitpid(child, 0)[1] for child in children]
        stop.set()
        for thread in threads: thread.join()
        raise SystemExit(any(codes))
        """,
        OTEL_BSP_MAX_QUEUE_SIZE="1000",
        OTEL_BLRP_MAX_QUEUE_SIZE="1000",
        SHOPSCOPE_LOG_LEVEL="error",
    )
    assert 0 == running.finish()[0]
    assert 10 == len({span.resource["service.instance.id"] for span in sink.spans(10, "child")})


def test_init_in_a_thread(observe, sink):
    """``init`` may be called from any thread; signal handlers are the main thread's and stay."""
    before = signal.getsignal(signal.SIGTERM)
    found = []
    thread = threading.Thread(target=lambda: found.append(observe()))
    thread.start()
    thread.join()
    found[0]._pipeline.tracer.start_span("work").end()
    assert ("work", before) == (sink.span().name, signal.getsignal(signal.SIGTERM))


def test_init_from_many_threads_is_one(observe):
    """Threads that race get the same scope."""
    found = []
    threads = [threading.Thread(target=lambda: found.append(observe())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (8, 1) == (len(found), len(set(found)))


def test_second_init_returns_the_first_scope(observe, capsys):
    """A second ``init`` is the first one's scope; another name is ignored and said once."""
    scope = observe("first")
    assert scope is observe("second") is observe("second") is observe("first")
    assert ("first", 1) == (scope.service, capsys.readouterr().out.count("init('second') is ignored"))


@pytest.mark.parametrize("way", ["function", "scope"])
def test_init_after_shutdown(observe, sink, way):
    """After shutdown ``init`` starts anew: other service, metrics at zero, spans arrive."""
    first = observe("first")
    shopscope.order_placed(1)
    (shopscope.shutdown if way == "function" else first.shutdown)()
    second = observe("second")
    assert first is not second
    second._pipeline.tracer.start_span("work").end()
    second.shutdown()
    second.shutdown()
    assert "second" == sink.span().resource["service.name"]
    assert ([], []) == (sink.points("shopscope.orders"), [first._pipeline, second._pipeline][:0])


def test_wrong_application_leaves_nothing_behind(observe, sink):
    """``init`` with what is no application is one clear error, and the next ``init`` works."""
    with pytest.raises(ConfigError, match=r"app must be a FastAPI, Starlette, .* application: builtins.object"):
        observe(app=object())
    assert _scope._scope is None
    observe()._pipeline.tracer.start_span("work").end()
    assert "work" == sink.span().name


def test_wrong_settings_leave_nothing_behind(observe):
    """Neither does a wrong setting."""
    with pytest.raises(ConfigError):
        observe(" ")
    assert REGISTRY.get_sample_value("http_server_active_requests") is None


def test_disabled(observe, sink, call):
    """OTEL_SDK_DISABLED: the service runs as if there were no shopscope, and the calls do nothing."""

    async def app(_scope, _receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    scope = observe(OTEL_SDK_DISABLED="true")
    assert app is scope.asgi(app)
    shopscope.order_placed(1)
    assert scope.flush()
    scope.shutdown()
    assert (200, []) == (call(app, "/x").status_code, sink.attempts)


def test_scope_is_the_documented_handle(observe):
    """``init`` returns a Scope that knows its service."""
    scope = observe("checkout")
    assert (True, "checkout") == (isinstance(scope, shopscope.Scope), scope.service)
    assert os.getpid() == scope._pipeline.resource.attributes["process.pid"]
