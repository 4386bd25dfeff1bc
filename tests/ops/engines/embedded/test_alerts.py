"""Alerts: what an Alertmanager's webhook posts, and what the engine tells of it."""

import json

import pytest

from shopscope_ops.engines.embedded._alerts import AlertBook, AlertMessageError

JSON = {"content-type": "application/json"}


def alert(name="CheckoutBurns", status="firing", fingerprint="", started="2026-11-24T10:00:00Z", **labels):
    """An alert as Alertmanager writes it."""
    return {
        "status": status,
        "labels": {"alertname": name, "severity": "page", **labels},
        "annotations": {"summary": "checkout fails"},
        "startsAt": started,
        "endsAt": "2026-11-24T11:00:00Z" if status == "resolved" else "0001-01-01T00:00:00Z",
        "generatorURL": "http://127.0.0.1:9090/graph",
        "fingerprint": fingerprint or name,
    }


def message(*alerts):
    """A webhook message, as bytes."""
    return json.dumps({"version": "4", "status": "firing", "alerts": alerts}).encode()


@pytest.fixture
def book(tmp_path):
    """An empty book whose clock stands still."""
    return AlertBook(tmp_path / "alerts.json", clock=lambda: 1000.0)


def names(book):
    return [alert["labels"]["alertname"] for alert in book.listing()]


def test_an_alert_is_told_as_it_came(book):
    """Labels, annotations, times and the way back to Prometheus."""
    assert book.take(message(alert(journey="checkout"))) == 1
    assert [
        {
            "fingerprint": "CheckoutBurns",
            "status": "firing",
            "labels": {"alertname": "CheckoutBurns", "severity": "page", "journey": "checkout"},
            "annotations": {"summary": "checkout fails"},
            "starts_at": "2026-11-24T10:00:00Z",
            "ends_at": "",
            "source": "http://127.0.0.1:9090/graph",
            "received_unix_seconds": 1000.0,
        }
    ] == book.listing()


def test_a_resolved_alert_replaces_the_firing_one(book):
    """The fingerprint says that it is the same alert."""
    book.take(message(alert()))
    book.take(message(alert(status="resolved")))
    assert [("resolved", "2026-11-24T11:00:00Z")] == [(one["status"], one["ends_at"]) for one in book.listing()]


def test_firing_alerts_come_first_and_the_newest_of_them(book):
    """What matters now is on top."""
    book.take(
        message(
            alert("ended", status="resolved", started="2026-11-24T12:00:00Z"),
            alert("older", started="2026-11-24T10:00:00Z"),
            alert("newer", started="2026-11-24T11:00:00Z"),
        )
    )
    assert ["newer", "older", "ended"] == names(book)


def test_alerts_survive_a_restart(book, tmp_path):
    """Alertmanager repeats itself only after hours."""
    book.take(message(alert()))
    assert book.listing() == AlertBook(tmp_path / "alerts.json", clock=lambda: 1000.0).listing()


@pytest.mark.parametrize("kept", [b"", b"{}x", b"[1]", b'[{"labels": {}}]', b'{"a": 1}'])
def test_a_broken_file_is_not_the_end(tmp_path, kept, caplog):
    """The engine starts without the old alerts and says so."""
    (tmp_path / "alerts.json").write_bytes(kept)
    book = AlertBook(tmp_path / "alerts.json")
    assert ([], True) == (book.listing(), "cannot be read" in caplog.text)


def test_a_folder_that_is_gone_costs_only_the_memory(tmp_path, caplog):
    """The alert is told although it cannot be written down."""
    book = AlertBook(tmp_path / "nowhere" / "alerts.json")
    book.take(message(alert()))
    assert (["CheckoutBurns"], True) == (names(book), "cannot be kept" in caplog.text)


def test_alerts_not_heard_for_a_day_are_forgotten(tmp_path):
    """Their end was sent while nobody listened."""
    now = [0.0]
    book = AlertBook(tmp_path / "alerts.json", clock=lambda: now[0])
    book.take(message(alert("old")))
    now[0] = 43_200.0
    book.take(message(alert("new")))
    now[0] = 86_401.0
    assert ["new"] == names(book)


def test_the_number_of_alerts_is_bounded(book):
    """Those that have ended go first, then those not heard for longest."""
    book.take(message(*(alert(f"firing{number}") for number in range(999))))
    book.take(message(alert("ended", status="resolved")))
    book.take(message(alert("firing0"), alert("a"), alert("b")))
    assert (1000, set()) == (len(names(book)), {"ended", "firing1"} & set(names(book)))
    assert {"firing0", "a", "b"} < set(names(book))


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"{", "body must be JSON"),
        (b"[]", "version is None"),
        (b'{"version": "3", "alerts": []}', "version is '3'"),
        (b'{"version": "4", "alerts": {}}', "body must be a message"),
        (message("x"), "status must be firing or resolved"),
        (message(alert(status="maybe")), "status must be firing or resolved"),
        (message(alert(), alert() | {"fingerprint": None}), "must have a fingerprint: None"),
    ],
)
def test_other_messages_are_refused_whole(book, body, said):
    """Nothing of a wrong message is kept, and the answer names what is wrong."""
    with pytest.raises(AlertMessageError, match=said):
        book.take(body)
    assert [] == book.listing()


def test_odd_values_are_taken_as_text(book):
    """Whatever a template made of labels, it is bounded and no program."""
    book.take(message(alert(size=7, long="x" * 10_000) | {"annotations": ["?"]}))
    (told,) = book.listing()
    assert ("7", 4096, {}) == (told["labels"]["size"], len(told["labels"]["long"]), told["annotations"])


def test_the_engine_takes_and_tells_alerts(engine):
    """POST from any host name that leads here, GET only under this machine's own names."""
    posted = engine.client.post("/api/alerts", content=message(alert()), headers=JSON | {"host": "answers:4319"})
    assert (200, {"alerts": 1}) == (posted.status_code, posted.json())
    told = engine.client.get("/api/alerts").json()["alerts"]
    assert [("CheckoutBurns", "firing")] == [(one["labels"]["alertname"], one["status"]) for one in told]
    assert engine.client.get("/api/alerts", headers={"host": "answers:4319"}).status_code == 400


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"{", "application/json", 400),
        (message(alert()), "text/plain", 415),
        (b"x" * 21_000_000, "application/json", 413),
    ],
)
def test_the_engine_refuses_what_is_no_alert(engine, body, content_type, status):
    """A page of another site could post text; a body is bounded."""
    answer = engine.client.post("/api/alerts", content=body, headers={"content-type": content_type})
    assert (status, "message") == (answer.status_code, list(answer.json())[1])


def test_alerts_survive_a_restart_of_the_engine(kit, tmp_path):
    """They lie in the data folder."""
    for first in (True, False):
        with kit.running(tmp_path) as engine:
            if first:
                engine.client.post("/api/alerts", content=message(alert()), headers=JSON)
            assert len(engine.client.get("/api/alerts").json()["alerts"]) == 1
