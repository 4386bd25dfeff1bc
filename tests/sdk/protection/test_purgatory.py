"""purgatory, the real one, sync and async."""

import asyncio

import httpx
import pytest
from purgatory import AsyncCircuitBreakerFactory, SyncCircuitBreakerFactory
from purgatory.domain.model import OpenedState


@pytest.mark.usefixtures("payment")
def test_async_calls_and_events(bank, told):
    """Calls under the breaker carry it; failures open it, an open one rejects, a trial closes it."""
    breakers = AsyncCircuitBreakerFactory(default_threshold=2, default_ttl=3600)

    async def charge(status=200):
        async with await breakers.get_breaker("bank-charges"):
            await bank.ask_async(status)

    async def run():
        await charge()
        for _ in range(2):
            with pytest.raises(httpx.HTTPStatusError):
                await charge(503)
        with pytest.raises(OpenedState):
            await charge()
        (await breakers.get_breaker("bank-charges")).context.ttl = -1
        await charge()
        await bank.ask_async()

    asyncio.run(run())
    protections, guards, events = told()
    assert [*4 * ["breaker"], None] == protections
    assert {("bank", "bank-charges", "breaker")} == guards
    assert {"opened": 1, "rejected": 1, "half_opened": 1, "closed": 1} == events


@pytest.mark.usefixtures("payment")
def test_sync_calls(bank, told):
    """The same for functions; two circuits of one factory are two guards."""
    breakers = SyncCircuitBreakerFactory(default_threshold=1)

    @breakers("charge-cards")
    def charge(status=200):
        bank.ask(status)

    charge()
    with breakers.get_breaker("list-cards"):
        bank.ask()
    with pytest.raises(httpx.HTTPStatusError):
        charge(503)
    with pytest.raises(OpenedState):
        charge()
    protections, guards, events = told()
    assert 3 * ["breaker"] == protections
    assert {("bank", "charge-cards", "breaker"), ("bank", "list-cards", "breaker")} == guards
    assert {"opened": 1, "rejected": 1} == events


@pytest.mark.usefixtures("payment")
def test_a_circuit_inside_itself(bank, told):
    """Leaving the inner use leaves the outer one."""
    breakers = SyncCircuitBreakerFactory()
    with breakers.get_breaker("twice"):
        with breakers.get_breaker("twice"):
            bank.ask()
        bank.ask()
    bank.ask()
    assert ["breaker", "breaker", None] == told()[0]


@pytest.mark.usefixtures("payment")
def test_rejected_before_any_call(told):
    """Whom a breaker guards is unknown until a call was made under it."""
    breakers = SyncCircuitBreakerFactory(default_threshold=1)
    breaker = breakers.get_breaker("never-called")
    with pytest.raises(ZeroDivisionError), breaker:
        raise ZeroDivisionError
    with pytest.raises(OpenedState), breaker:
        pass
    protections, guards, events = told()
    assert [] == protections
    assert {("unknown", "never-called", "breaker")} == guards
    assert {"opened": 1, "rejected": 1} == events
