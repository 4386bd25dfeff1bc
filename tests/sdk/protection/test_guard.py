"""Protections that the service declares, and what all of them have in common."""

import asyncio
import threading

import httpx
import pybreaker
import pytest
import sqlalchemy
import stamina
from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind
from purgatory import AsyncCircuitBreakerFactory

import shopscope
from shopscope._protection import _guards


@pytest.mark.usefixtures("payment")
def test_context_manager_and_decorator(bank, told):
    """``guard`` serves blocks and functions, sync and async, and one guard many times."""
    guard = shopscope.guard("bank", kind="breaker", operation="authorise")

    @guard
    def decorated():
        bank.ask()

    @guard
    async def decorated_async():
        await bank.ask_async()

    async def run():
        await decorated_async()
        async with guard:
            await bank.ask_async()

    decorated()
    asyncio.run(run())
    with guard, guard:
        bank.ask()
    bank.ask()
    assert ([*4 * ["breaker"], None], {("bank", "authorise", "breaker")}, {}) == told()


@pytest.mark.parametrize(
    ("kind", "events"),
    [
        ("breaker", ["opened", "half_opened", "closed", "rejected"]),
        ("retry", ["retried", "exhausted"]),
        ("limiter", ["limited"]),
        ("timeout", ["expired"]),
        ("bulkhead", ["rejected"]),
    ],
)
@pytest.mark.usefixtures("payment")
def test_events(told, kind, events):
    """Each kind has its own few events, counted for the declared peer."""
    guard = shopscope.guard("bank", kind=kind)
    for event in events:
        guard.event(event)
    assert ([], {("bank", "", kind)}, dict.fromkeys(events, 1)) == told()


def test_unknown_event_is_a_fault_of_telemetry(payment, sink):
    """An event that the kind does not have never reaches the caller as an error; it is counted and logged."""
    shopscope.guard("bank", kind="timeout").event("opened")
    payment.shutdown()
    assert [] == sink.points("shopscope.guard.events")
    assert ["DeclaredGuard._event"] == [point.tags["where"] for point in sink.points("shopscope.sdk.errors")]


@pytest.mark.parametrize(
    ("peer", "arguments", "problem"),
    [
        ("bank", {"kind": "fuse"}, "kind must be one of breaker, bulkhead, limiter, retry, timeout: 'fuse'"),
        ("", {"kind": "retry"}, "peer must be a text that is not empty: ''"),
        ("bank", {"kind": "retry", "operation": 7}, "operation must be a text: 7"),
        (None, {"kind": None}, "2 settings are wrong"),
    ],
)
def test_wrong_declaration(peer, arguments, problem):
    """A guard that makes no sense is one error where it is declared."""
    with pytest.raises(shopscope.ConfigError, match=problem):
        shopscope.guard(peer, **arguments)


def test_without_telemetry(bank):
    """Without ``init`` a guard does nothing, and nothing is in the way of a call."""
    guard = shopscope.guard("bank", kind="breaker")
    with guard:
        bank.ask()
    guard.event("opened")
    assert ["/200"] == bank.paths


@pytest.mark.usefixtures("payment")
def test_breaker_and_retry(bank, told):
    """Several protections are on the span together, in one order, whichever is outside."""
    breakers = AsyncCircuitBreakerFactory()

    async def run():
        async for attempt in stamina.retry_context(on=httpx.HTTPError, attempts=2):
            with attempt:
                async with await breakers.get_breaker("bank"):
                    await bank.ask_async()
        with shopscope.guard("bank", kind="timeout"):
            async with await breakers.get_breaker("bank"):
                await bank.ask_async()

    asyncio.run(run())
    assert ["breaker,retry", "breaker,timeout"] == told()[0]


@pytest.mark.usefixtures("payment")
def test_deeper_down(bank, told):
    """What is called under a guard is under it in tasks and threads that it starts and waits for, not after its end."""
    released = asyncio.Event()

    async def later():
        await released.wait()
        await bank.ask_async()

    async def run():
        with shopscope.guard("bank", kind="bulkhead"):
            async with asyncio.TaskGroup() as group:
                group.create_task(bank.ask_async())
            await asyncio.to_thread(bank.ask)
            survivor = asyncio.create_task(later())
        released.set()
        await survivor

    asyncio.run(run())
    assert ["bulkhead", "bulkhead", None] == told()[0]


@pytest.mark.usefixtures("payment")
def test_events_belong_to_whom_was_called_last(bank, told, sink):
    """Under a breaker around several peers it is the last call that has failed."""
    engine = sqlalchemy.create_engine("sqlite://")
    breaker = pybreaker.CircuitBreaker(fail_max=1, name="order", throw_new_error_on_trip=False)

    def order():
        with engine.connect() as connection:
            connection.execute(sqlalchemy.text("SELECT 1"))
        bank.ask(503)

    with pytest.raises(httpx.HTTPStatusError):
        breaker.call(order)
    engine.dispose()
    protections, guards, events = told()
    assert ["breaker", "breaker"] == protections
    assert 2 == len(guards)
    assert {"opened": 1} == events
    opened = [point.tags["peer"] for point in sink.points("shopscope.guard.events") if point.point.as_double]
    assert ["bank"] == opened


@pytest.mark.usefixtures("payment")
def test_other_threads(bank, told):
    """A thread beside the guard is not under it."""
    with shopscope.guard("bank", kind="breaker"):
        thread = threading.Thread(target=bank.ask)
        thread.start()
        thread.join()
    assert [None] == told()[0]


@pytest.mark.usefixtures("payment")
def test_any_client(told):
    """SQLAlchemy's statements and the CLIENT spans of any instrumentation are calls too; inner spans are none."""
    engine = sqlalchemy.create_engine("sqlite://")
    tracer = trace.get_tracer("theirs")
    with shopscope.guard("books", kind="timeout"), engine.connect() as connection:
        connection.execute(sqlalchemy.text("SELECT 1"))
        with tracer.start_as_current_span("work"):
            tracer.start_span("call", kind=SpanKind.CLIENT, attributes={"peer.service": "mail"}).end()
    engine.dispose()
    assert ["timeout", "timeout"] == told()[0]


@pytest.mark.usefixtures("payment")
def test_not_sampled_calls_are_watched(bank, told):
    """A guard learns whom it guards from calls that are not sampled, too."""
    breakers = AsyncCircuitBreakerFactory()

    async def run():
        async with await breakers.get_breaker("charges"):
            await bank.ask_async()

    with trace.use_span(NonRecordingSpan(SpanContext(5, 6, is_remote=True))):
        asyncio.run(run())
    assert ([], {("bank", "charges", "breaker")}, {}) == told()


def test_left_elsewhere(payment, bank, sink):
    """A generator that is closed in another context leaves its guard without a fault."""

    def work():
        with shopscope.guard("bank", kind="breaker"):
            yield

    async def run():
        generator = work()
        await asyncio.create_task(_step(generator))
        generator.close()
        await bank.ask_async()

    async def _step(generator):
        next(generator)

    asyncio.run(run())
    payment.shutdown()
    assert [None] == [span.tags.get("shopscope.protection") for span in sink.spans(1)]
    assert [] == sink.points("shopscope.sdk.errors")


def test_many_guards_share_an_overflow_series(payment, sink):
    """Names that are data fill neither the memory nor the backend."""
    for number in range(1100):
        shopscope.guard(f"customer-{number}", kind="retry").event("retried")
    payment.shutdown()
    points = sink.points("shopscope.guard.events")
    assert 1100 == sum(point.point.as_double for point in points)
    assert "_overflow" in {point.tags["peer"] for point in points}
    assert len(points) < 1100


def test_who_uses_none_pays_nothing(program, bank):
    """As long as no protection is used, a call is not even looked at."""
    running = program(
        f"""
        import httpx, purgatory, tenacity
        import shopscope
        from shopscope import _pipeline
        shopscope.init("payment")
        httpx.get("http://127.0.0.1:{bank.port}/200")
        print(_pipeline.watch_call)
        with shopscope.guard("bank", kind="breaker"):
            print(_pipeline.watch_call is not None)
        """
    )
    code, output, errors = running.finish()
    assert (0, "") == (code, errors)
    assert ["None", "True"] == [line for line in output.splitlines() if not line.startswith("{")]


def test_a_child_process_announces_its_own(program, sink, bank):
    """After a fork what the parent has counted is the parent's; a guard of the child is there for the child too."""
    running = program(
        f"""
        import os, httpx, pybreaker, shopscope
        shopscope.init("payment")
        breaker = pybreaker.CircuitBreaker(name="charge")
        breaker.call(httpx.get, "http://127.0.0.1:{bank.port}/200")
        child = os.fork()
        if not child:
            breaker.call(httpx.get, "http://127.0.0.1:{bank.port}/200")
            shopscope.shutdown()
            os._exit(0)
        os.waitpid(child, 0)
        shopscope.shutdown()
        """
    )
    code, _, errors = running.finish()
    assert (0, "") == (code, errors)
    for push in (-1, -2):
        (guard,) = sink.points("shopscope.guard.info", push)
        assert {"peer": "127.0.0.1", "operation": "charge", "kind": "breaker"} == guard.tags
        assert 4 == len(sink.points("shopscope.guard.events", push))


def test_a_fault_in_watching_stays_inside(payment, bank, sink, monkeypatch):
    """What goes wrong while a call is watched is counted, and neither the call nor its span is lost."""
    monkeypatch.setattr(_guards, "announce", lambda *_: 1 / 0)
    breaker = pybreaker.CircuitBreaker()
    breaker.call(bank.ask)
    payment.shutdown()
    assert 1 == len(sink.spans(1))
    assert ["_watch_call"] == [point.tags["where"] for point in sink.points("shopscope.sdk.errors")]
