"""pybreaker, the real one."""

import httpx
import pybreaker
import pytest


@pytest.mark.usefixtures("payment")
def test_calls_and_events(bank, told):
    """Calls under the breaker carry it; failures open it, an open one rejects, a trial closes it."""
    breaker = pybreaker.CircuitBreaker(fail_max=2, reset_timeout=0.05, name="charge")
    bank.ask()
    breaker.call(bank.ask)
    with pytest.raises(httpx.HTTPStatusError):
        breaker.call(bank.ask, 503)
    with pytest.raises(pybreaker.CircuitBreakerError):  # the failure that opens it
        breaker.call(bank.ask, 503)
    with pytest.raises(pybreaker.CircuitBreakerError):
        breaker.call(bank.ask)
    breaker.half_open()
    breaker.call(bank.ask)
    protections, guards, events = told()
    assert [None, *4 * ["breaker"]] == protections
    assert {("bank", "charge", "breaker")} == guards
    assert {"opened": 1, "rejected": 1, "half_opened": 1, "closed": 1} == events


@pytest.mark.usefixtures("payment")
def test_every_form(bank, told):
    """Decorator, context manager and call; a breaker without a name too; two breakers are one kind."""
    breaker = pybreaker.CircuitBreaker()
    outer = pybreaker.CircuitBreaker(name="outer")

    @breaker
    def decorated():
        bank.ask()

    decorated()
    with breaker.calling():
        bank.ask()
    outer.call(decorated)
    bank.ask()
    protections, guards, _ = told()
    assert ["breaker", "breaker", "breaker", None] == protections
    assert {("bank", "", "breaker"), ("bank", "outer", "breaker")} == guards


@pytest.mark.usefixtures("payment")
def test_the_timeout_lets_one_try(bank, told):
    """The call that half-opens the breaker runs under it once, though the library calls itself for it."""
    breaker = pybreaker.CircuitBreaker(fail_max=1, reset_timeout=0, name="charge")
    with pytest.raises(pybreaker.CircuitBreakerError):
        breaker.call(bank.ask, 503)
    breaker.call(bank.ask)
    protections, _, events = told()
    assert ["breaker", "breaker"] == protections
    assert {"opened": 1, "half_opened": 1, "closed": 1} == events


def test_without_telemetry(bank):
    """Before ``init`` and after ``shutdown`` the breaker is as it was."""
    breaker = pybreaker.CircuitBreaker(fail_max=1)
    breaker.call(bank.ask)
    with pytest.raises(pybreaker.CircuitBreakerError):
        breaker.call(bank.ask, 503)
    with pytest.raises(pybreaker.CircuitBreakerError):
        breaker.call(bank.ask)
    assert 2 == len(bank.paths)
