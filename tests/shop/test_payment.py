"""payment: retries, a breaker that opens and closes, and a charge that is made once."""

import time
from uuid import uuid4

import pytest

CHARGE = {"amount_cents": 4_680, "currency": "EUR", "card_token": "tok_1"}


@pytest.fixture
def payment(databases, peer):
    """A payment service of its own, so that its breaker starts closed, and its bank."""
    with databases.running("payment", SHOP_BANK_URL=peer.url, SHOP_BANK_BREAKER_OPEN_SECONDS="1.5") as shop:
        yield shop, peer


def charge(shop, key=None, **changes):
    """Charge a card."""
    headers = {"Idempotency-Key": key or str(uuid4())}
    return shop.ask("payment", "POST", "/charges", json=CHARGE | changes, headers=headers)


def test_a_bank_that_fails_twice_is_asked_a_third_time(payment):
    """Retries carry one idempotency key, so that the bank cannot charge twice."""
    shop, bank = payment
    bank.script = [500, 503, 201]
    answer = charge(shop, key="order-1")
    assert (answer.status_code, bank.keys) == (201, ["order-1"] * 3)


def test_the_breaker_opens_and_closes_again(payment):
    """After five failures the bank is left alone; some time later one call finds it well."""
    shop, bank = payment
    bank.script = [500]
    assert [charge(shop).status_code for _ in range(2)] == [503, 503]
    assert len(bank.keys) == 5  # three attempts of the first charge, two of the second
    refused = charge(shop)
    assert (refused.status_code, refused.json()["detail"], len(bank.keys)) == (503, "the bank is unavailable", 5)
    assert "Retry-After" in refused.headers
    bank.script = [201]
    deadline = time.monotonic() + 20
    while charge(shop).status_code != 201 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert [charge(shop).status_code for _ in range(3)] == [201] * 3
    assert "breaker bank is now closed" in shop.log("payment")


def test_declined_cards_are_no_failures_of_the_bank(payment):
    """No retry, and the breaker stays closed however many cards are declined."""
    shop, bank = payment
    bank.script = [402]
    assert ([charge(shop).status_code for _ in range(8)], len(bank.keys)) == ([402] * 8, 8)
    bank.script = [201]
    assert charge(shop).status_code == 201


def test_the_same_key_charges_once(payment):
    """A repeated request gets the first charge, and the bank is not asked again."""
    shop, bank = payment
    first, second = charge(shop, key="order-2"), charge(shop, key="order-2")
    assert first.json() == second.json()
    assert bank.keys == ["order-2"]
    assert charge(shop, key="order-2", amount_cents=1).status_code == 409


def test_another_card_can_pay_a_declined_order(payment):
    """A decline does not use the key up."""
    shop, bank = payment
    bank.script = [402, 201]
    assert [charge(shop, key="order-3", card_token=f"tok_{n}").status_code for n in (1, 2)] == [402, 201]
    assert shop.sql("SELECT status FROM payment.charges WHERE idempotency_key = 'order-3'")[0]["status"] == "approved"


def test_a_bank_one_second_slower_does_not_fail(shop):
    """The fault of the demo costs time, not orders."""
    with shop.fault("bank", latency_seconds=1.0):
        answer = charge(shop, card_token="tok_approved")  # noqa: S106  # a test card
    assert answer.status_code == 201
    assert answer.elapsed.total_seconds() >= 1.0


def test_the_bank_declines_a_small_fixed_share(shop):
    """About two in a hundred, the same cards every time."""

    def declined():
        answers = [
            shop.ask(
                "bank",
                "POST",
                "/authorisations",
                json={"amount_cents": 1_000, "currency": "EUR", "card_token": f"tok_{number}"},
                headers={"Idempotency-Key": str(uuid4())},
            )
            for number in range(150)
        ]
        return [number for number, answer in enumerate(answers) if answer.status_code == 402]

    first = declined()
    assert 1 <= len(first) <= 12
    assert declined() == first


def test_no_card_is_ever_written_down(shop):
    """Neither a log nor the database knows the card, even when the bank fails and everybody complains."""
    token = "tok_never_written"  # noqa: S105  # a test card
    with shop.fault("bank", error_rate=1.0):
        assert charge(shop, key="order-4", card_token=token).status_code == 503
    number = shop.ask("payment", "POST", "/charges", json=CHARGE | {"card_token": "4111111111111111"})
    assert (number.status_code, "4111" in number.text) == (422, False)
    assert [service for service in shop.processes if token in shop.log(service) or "4111" in shop.log(service)] == []
    assert token not in str(shop.sql("SELECT * FROM payment.charges WHERE idempotency_key = 'order-4'"))
