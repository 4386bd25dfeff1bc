"""circuitbreaker, the real one."""

import asyncio

import circuitbreaker
import httpx
import pytest


def _let_time_pass(breaker):
    breaker._opened -= breaker._recovery_timeout + 1


@pytest.mark.usefixtures("payment")
def test_calls_and_events(bank, told):
    """Calls under the breaker carry it; failures open it, an open one rejects, a trial closes it."""
    breaker = circuitbreaker.CircuitBreaker(failure_threshold=2, name="charge")

    @breaker
    def charge(status=200):
        bank.ask(status)

    bank.ask()
    charge()
    for _ in range(2):
        with pytest.raises(httpx.HTTPStatusError):
            charge(503)
    with pytest.raises(circuitbreaker.CircuitBreakerError):
        charge()
    _let_time_pass(breaker)
    charge()
    protections, guards, events = told()
    assert [None, *4 * ["breaker"]] == protections
    assert {("bank", "charge", "breaker")} == guards
    assert {"opened": 1, "rejected": 1, "half_opened": 1, "closed": 1} == events


@pytest.mark.usefixtures("payment")
def test_failed_trial(bank, told):
    """A trial that fails opens the breaker again."""
    breaker = circuitbreaker.CircuitBreaker(failure_threshold=1, name="charge")
    charge = breaker(bank.ask)
    with pytest.raises(httpx.HTTPStatusError):
        charge(503)
    _let_time_pass(breaker)
    with pytest.raises(httpx.HTTPStatusError):
        charge(503)
    assert {"opened": 2, "half_opened": 1} == told()[2]


@pytest.mark.usefixtures("payment")
def test_coroutines_generators_and_fallback(bank, told):
    """Coroutines and generators run under it too; a call that the fallback answers counts as rejected."""

    @circuitbreaker.circuit(failure_threshold=1, fallback_function=lambda status: f"instead of {status}")
    def charge(status):
        bank.ask(status)

    @circuitbreaker.circuit
    async def charge_async():
        await bank.ask_async()

    @circuitbreaker.circuit
    def charges():
        bank.ask()
        yield 1

    asyncio.run(charge_async())
    assert [1] == list(charges())
    with pytest.raises(httpx.HTTPStatusError):
        charge(503)
    assert "instead of 200" == charge(200)
    protections, guards, events = told()
    assert 3 * ["breaker"] == protections
    assert {"charge", "charge_async", "charges"} == {operation.rpartition(".")[2] for _, operation, _ in guards}
    assert {"opened": 1, "rejected": 1} == events


def test_without_telemetry(bank):
    """Before ``init`` and after ``shutdown`` the breaker is as it was."""
    charge = circuitbreaker.circuit(failure_threshold=1)(bank.ask)
    with pytest.raises(httpx.HTTPStatusError):
        charge(503)
    with pytest.raises(circuitbreaker.CircuitBreakerError):
        charge()
