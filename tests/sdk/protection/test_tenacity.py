"""tenacity, the real one: calls and blocks, sync and async."""

import asyncio

import httpx
import pytest
import tenacity

FEW = {"stop": tenacity.stop_after_attempt(3), "wait": tenacity.wait_none()}


@pytest.mark.usefixtures("payment")
def test_call_that_succeeds_in_the_end(bank, told):
    """Each attempt carries the retry; what is tried again is counted; the function names the operation."""
    answers = iter([503, 503, 200])

    @tenacity.retry(**FEW)
    def charge():
        bank.ask(next(answers))

    charge()
    bank.ask()
    protections, guards, events = told()
    assert [*3 * ["retry"], None] == protections
    assert [("bank", True, "retry")] == [(peer, "charge" in operation, kind) for peer, operation, kind in guards]
    assert {"retried": 2} == events


@pytest.mark.usefixtures("payment")
@pytest.mark.parametrize("how", [{}, {"reraise": True}, {"retry_error_callback": lambda _: "given up"}])
def test_call_that_is_given_up(bank, told, how):
    """Giving up is counted, whether it ends in RetryError, in the last error or in a value."""
    charge = tenacity.retry(**FEW, **how)(bank.ask)
    try:
        assert "given up" == charge(503)
    except (tenacity.RetryError, httpx.HTTPStatusError) as error:
        assert ("reraise" in how) == isinstance(error, httpx.HTTPStatusError)  # noqa: PT017 (each way has its own)
    assert (3 * ["retry"], {"retried": 2, "exhausted": 1}) == told()[::2]


@pytest.mark.usefixtures("payment")
def test_error_that_is_not_retried(bank, told):
    """An error that the service does not want retried is no exhausted retry."""
    charge = tenacity.retry(**FEW, retry=tenacity.retry_if_exception_type(OSError), reraise=True)(bank.ask)
    with pytest.raises(httpx.HTTPStatusError):
        charge(503)
    assert (["retry"], {}) == told()[::2]


@pytest.mark.usefixtures("payment")
def test_async_call(bank, told):
    """The same for coroutines, side by side."""
    answers = iter([503, 503, 200, 200])

    @tenacity.retry(**FEW)
    async def charge():
        await bank.ask_async(next(answers))

    async def run():
        await asyncio.gather(charge(), charge())
        await bank.ask_async()

    asyncio.run(run())
    assert ([*4 * ["retry"], None], {"retried": 2}) == told()[::2]


@pytest.mark.usefixtures("payment")
def test_blocks(bank, told):
    """The same for blocks; between attempts and after the last nothing runs under the retry."""
    for attempt in tenacity.Retrying(**FEW, before_sleep=lambda _: bank.ask()):
        with attempt:
            bank.ask(503 if attempt.retry_state.attempt_number == 1 else 200)
    bank.ask()
    protections, guards, events = told()
    assert ["retry", None, "retry", None] == protections
    assert {("bank", "", "retry")} == guards
    assert {"retried": 1} == events


@pytest.mark.usefixtures("payment")
def test_async_blocks(bank, told):
    """The same for async blocks."""

    async def run():
        async for attempt in tenacity.AsyncRetrying(**FEW, reraise=True):
            with attempt:
                await bank.ask_async(503)

    with pytest.raises(httpx.HTTPStatusError):
        asyncio.run(run())
    assert (3 * ["retry"], {"retried": 2, "exhausted": 1}) == told()[::2]


@pytest.mark.usefixtures("payment")
def test_async_with(bank, told):
    """An attempt may be entered with ``async with`` as well."""

    async def run():
        async for attempt in tenacity.AsyncRetrying(**FEW):
            async with attempt:
                await bank.ask_async(503 if attempt.retry_state.attempt_number == 1 else 200)
        await bank.ask_async()

    asyncio.run(run())
    assert (["retry", "retry", None], {"retried": 1}) == told()[::2]


@pytest.mark.usefixtures("payment")
def test_one_attempt_is_no_retry(bank, told):
    """A retry that is switched off protects nothing, and does not speak for one around it."""
    once = tenacity.stop_after_attempt(1)

    def block():
        for attempt in tenacity.Retrying(stop=once, reraise=True):
            with attempt:
                bank.ask(503)

    with pytest.raises(httpx.HTTPStatusError):
        block()
    with pytest.raises(httpx.HTTPStatusError):
        tenacity.retry(stop=once, reraise=True)(bank.ask)(503)
    with pytest.raises(tenacity.RetryError):
        tenacity.retry(**FEW)(tenacity.retry(stop=once, reraise=True)(bank.ask))(503)
    assert ([None, None, *3 * ["retry"]], {"retried": 2, "exhausted": 1}) == told()[::2]


def test_without_telemetry(bank):
    """Before ``init`` and after ``shutdown`` tenacity is as it was."""
    with pytest.raises(tenacity.RetryError):
        tenacity.retry(**FEW)(bank.ask)(503)
    assert 3 == len(bank.paths)
