"""aiobreaker, the real one, sync and async."""

import asyncio
from datetime import timedelta

import aiobreaker
import httpx
import pytest

# The library asks for the time as Python 3.12 no longer likes.
pytestmark = pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")


@pytest.mark.usefixtures("payment")
def test_async_calls_and_events(bank, told):
    """Calls under the breaker carry it; failures open it, an open one rejects, a trial closes it."""
    breaker = aiobreaker.CircuitBreaker(fail_max=2, timeout_duration=timedelta(hours=24), name="charge")

    @breaker
    async def decorated():
        await bank.ask_async()

    async def run():
        await decorated()
        await breaker.call_async(bank.ask_async)
        with pytest.raises(httpx.HTTPStatusError):
            await breaker.call_async(bank.ask_async, 503)
        with pytest.raises(aiobreaker.CircuitBreakerError):  # the failure that opens it
            await breaker.call_async(bank.ask_async, 503)
        with pytest.raises(aiobreaker.CircuitBreakerError):
            await breaker.call_async(bank.ask_async)
        breaker.half_open()
        await breaker.call_async(bank.ask_async)
        await bank.ask_async()

    asyncio.run(run())
    protections, guards, events = told()
    assert [*5 * ["breaker"], None] == protections
    assert {("bank", "charge", "breaker")} == guards
    assert {"opened": 1, "rejected": 1, "half_opened": 1, "closed": 1} == events


@pytest.mark.usefixtures("payment")
def test_sync_calls(bank, told):
    """The same for functions, with and without a name."""
    breaker = aiobreaker.CircuitBreaker(fail_max=1, timeout_duration=timedelta(hours=24))
    breaker.call(bank.ask)
    with pytest.raises(aiobreaker.CircuitBreakerError):
        breaker.call(bank.ask, 503)
    with pytest.raises(aiobreaker.CircuitBreakerError):
        breaker.call(bank.ask)
    protections, guards, events = told()
    assert ["breaker", "breaker"] == protections
    assert {("bank", "", "breaker")} == guards
    assert {"opened": 1, "rejected": 1} == events


@pytest.mark.usefixtures("payment")
def test_calls_side_by_side(bank, told):
    """A call beside the breaker, in another task, does not run under it."""
    breaker = aiobreaker.CircuitBreaker(name="charge")
    is_inside, may_leave = asyncio.Event(), asyncio.Event()

    async def guarded():
        await bank.ask_async()
        is_inside.set()
        await may_leave.wait()

    async def run():
        task = asyncio.create_task(breaker.call_async(guarded))
        await is_inside.wait()
        await bank.ask_async()
        may_leave.set()
        await task

    asyncio.run(run())
    assert ["breaker", None] == told()[0]
