"""stamina, the real one; its retries are tenacity's."""

import asyncio

import httpx
import pytest
import stamina

FEW = {"on": httpx.HTTPStatusError, "attempts": 2, "wait_initial": 0.001, "wait_jitter": 0, "wait_max": 0.001}


@pytest.mark.usefixtures("payment")
def test_sync(bank, told):
    """Decorator and block."""
    answers = iter([503, 200])

    @stamina.retry(**FEW)
    def charge():
        bank.ask(next(answers))

    def give_up():
        for attempt in stamina.retry_context(**FEW):
            with attempt:
                bank.ask(503)

    charge()
    with pytest.raises(httpx.HTTPStatusError):
        give_up()
    bank.ask()
    protections, guards, events = told()
    assert [*4 * ["retry"], None] == protections
    assert {("bank", "", "retry")} == guards
    assert {"retried": 2, "exhausted": 1} == events


@pytest.mark.usefixtures("payment")
def test_async(bank, told):
    """Decorator and block, async."""
    answers = iter([503, 200])

    @stamina.retry(**FEW)
    async def charge():
        await bank.ask_async(next(answers))

    async def run():
        await charge()
        async for attempt in stamina.retry_context(**FEW):
            with attempt:
                await bank.ask_async(503)

    with pytest.raises(httpx.HTTPStatusError):
        asyncio.run(run())
    assert (4 * ["retry"], {"retried": 2, "exhausted": 1}) == told()[::2]


@pytest.mark.usefixtures("payment")
def test_its_own_instrumentation_stays(bank, told):
    """The hooks that the service has set are called as ever."""
    details = []
    stamina.instrumentation.set_on_retry_hooks([details.append])
    try:
        with pytest.raises(httpx.HTTPStatusError):
            stamina.retry(**FEW)(bank.ask)(503)
    finally:
        stamina.instrumentation.set_on_retry_hooks(None)
    assert [1] == [detail.retry_num for detail in details]
    assert {"retried": 1, "exhausted": 1} == told()[2]


@pytest.mark.usefixtures("payment")
def test_one_attempt_is_no_retry(bank, told):
    """What may try once only protects nothing."""
    stamina.retry(**FEW | {"attempts": 1})(bank.ask)()
    assert ([None], set(), {}) == told()


@pytest.mark.usefixtures("payment")
def test_switched_off(bank, told):
    """What is switched off protects nothing."""
    stamina.set_active(False)
    try:
        stamina.retry(**FEW)(bank.ask)()
    finally:
        stamina.set_active(True)
    assert ([None], set(), {}) == told()
