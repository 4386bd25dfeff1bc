"""``shopscope.toml``: what is read from it, and every fault that it can have."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shopscope import ConfigError
from shopscope.config import (
    Journey,
    OrderValue,
    Shop,
    find_shop_file,
    is_journey_name,
    load_shop,
    parse_duration,
    parse_shop,
)

GOOD = {"service": "storefront", "latency": "800ms", "objective": 0.99}


def problems_of(document):
    with pytest.raises(ConfigError) as caught:
        parse_shop(document)
    return caught.value.problems


def test_whole_file(tmp_path):
    """All that a file can say."""
    path = tmp_path / "shopscope.toml"
    path.write_text(
        """
        [shop]
        namespace = "demo"
        currency = "USD"

        [journeys.checkout]
        routes = ["POST /checkout"]
        service = "storefront"
        objective = 0.995
        latency = "800ms"
        window = "7d"
        owner = "team"
        runbook = "docs/x.md"
        value = { event = "order", average = 62.40 }
        """,
        encoding="utf-8",
    )
    journey = Journey(
        name="checkout",
        routes=("POST /checkout",),
        service="storefront",
        latency_seconds=0.8,
        objective=0.995,
        window_seconds=7 * 86400.0,
        owner="team",
        runbook="docs/x.md",
        value=OrderValue("order", 62.4),
    )
    shop = load_shop(path)
    assert Shop("demo", "USD", {"checkout": journey}) == shop
    assert ((journey,), ()) == (shop.of_service("storefront"), shop.of_service("other"))


def test_defaults():
    """An empty file is a shop without journeys; a short journey has a month and no owner."""
    assert Shop() == parse_shop({})
    journey = parse_shop({"journeys": {"a": GOOD}}).journeys["a"]
    assert ((), 30 * 86400.0, "", "", None) == (
        journey.routes,
        journey.window_seconds,
        journey.owner,
        journey.runbook,
        journey.value,
    )


@pytest.mark.parametrize(
    ("text", "seconds"), [("800ms", 0.8), ("1.5s", 1.5), ("2m", 120), ("1h", 3600), ("30d", 2_592_000), (" 1s ", 1)]
)
def test_durations(text, seconds):
    """Number and unit."""
    assert seconds == parse_duration(text)


@pytest.mark.parametrize("text", ["", "5", "s", "1 s", "-1s", "1w", "1e3s", "१s2", "1s\n2s"])
def test_wrong_durations(text):
    """Anything else is an error that names the text."""
    with pytest.raises(ConfigError, match="must be a number followed by"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("change", "place", "rule"),
    [
        ({"service": None}, "service", "a service name"),
        ({"service": "two words"}, "service", "a service name"),
        ({"latency": 5}, "latency", "a number followed by"),
        ({"latency": "0ms"}, "latency", "longer than zero"),
        ({"objective": 1}, "objective", "a share between 0 and 1"),
        ({"objective": 0}, "objective", "a share between 0 and 1"),
        ({"objective": True}, "objective", "a share between 0 and 1"),
        ({"objective": float("nan")}, "objective", "a share between 0 and 1"),
        ({"objective": "0.9"}, "objective", "a share between 0 and 1"),
        ({"window": "0s"}, "window", "longer than zero"),
        ({"owner": 5}, "owner", "text"),
        ({"routes": "POST /x"}, "routes", "a list of 'METHOD /path'"),
        ({"routes": ["/x"]}, "routes", "'METHOD /path' each"),
        ({"routes": ["post /x"]}, "routes", "'METHOD /path' each"),
        ({"routes": [5]}, "routes", "'METHOD /path' each"),
        ({"value": 5}, "value", "a table"),
        ({"value": {"event": "order", "average": 0}}, "value.average", "a number above zero"),
        ({"value": {"average": 1}}, "value.event", "a lower-case event name"),
        ({"latencies": "1s"}, "latencies", "one of latency, objective"),
    ],
)
def test_wrong_journeys(change, place, rule):
    """Each fault names file, place, rule and value, and is the only one reported."""
    journey = {key: value for key, value in {**GOOD, **change}.items() if value is not None}
    (problem,) = problems_of({"journeys": {"a": journey}})
    assert problem.startswith(f"shopscope.toml: journeys.a.{place} must be {rule}")


@pytest.mark.parametrize(
    ("document", "place"),
    [
        ({"shop": 5}, "shop"),
        ({"shop": {"currency": "euro"}}, "shop.currency"),
        ({"shop": {"name": "x"}}, "shop.name"),
        ({"shop": {"grafana": "grafana.example.com"}}, "shop.grafana"),
        ({"shop": {"grafana": "https://admin:admin@grafana.example.com"}}, "shop.grafana"),
        ({"journey": {}}, "journey"),
        ({"journeys": []}, "journeys"),
        ({"journeys": {"a": 5}}, "journeys.a"),
        ({"journeys": {"Big": GOOD}}, "journeys.Big"),
        ({"journeys": {"a" * 64: GOOD}}, "journeys." + "a" * 64),
    ],
)
def test_wrong_documents(document, place):
    """So does each fault outside of a journey."""
    (problem,) = problems_of(document)
    assert problem.startswith(f"shopscope.toml: {place} must be")


def test_shared_routes():
    """One route of one service is one journey's; the same route of another service is free."""
    one = GOOD | {"routes": ["GET /x"]}
    (problem,) = problems_of({"journeys": {"a": one, "b": one}})
    assert "journeys.b.routes must be free of routes of a: 'GET /x'" in problem
    assert 2 == len(parse_shop({"journeys": {"a": one, "b": one | {"service": "other"}}}).journeys)


def test_every_fault_is_in_the_error():
    """The message is a list with all of them."""
    with pytest.raises(ConfigError) as caught:
        parse_shop({"shop": {"currency": "x"}, "journeys": {"a": {}}, "more": 1}, "mine.toml")
    assert 5 == len(caught.value.problems)
    assert str(caught.value).startswith("5 settings are wrong:\n  - mine.toml: ")
    assert 5 == str(caught.value).count("\n  - ")


@pytest.mark.parametrize("content", [b"[shop", b"\xff\xfe"])
def test_unreadable_files(tmp_path, content):
    """What is no TOML is one fault that names the file."""
    path = tmp_path / "shopscope.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="must be a readable TOML file"):
        load_shop(path)


def test_named_file_beats_the_nearest(tmp_path):
    """SHOPSCOPE_CONFIG comes before a file that is found; none at all is none."""
    near, named = tmp_path / "shopscope.toml", tmp_path / "other.toml"
    near.touch()
    named.touch()
    assert (named, near, None) == (
        find_shop_file({"SHOPSCOPE_CONFIG": str(named)}, tmp_path),
        find_shop_file({}, tmp_path),
        find_shop_file({}, tmp_path.parent),
    )


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
_FIELDS = st.sampled_from(["service", "latency", "objective", "routes", "value", "window", "owner", "x"])


@given(st.dictionaries(st.sampled_from(["shop", "journeys", "x"]), st.dictionaries(_FIELDS, _JSON) | _JSON))
def test_any_document_is_a_shop_or_a_config_error(document):
    """No document of any shape raises anything else."""
    names = []
    with contextlib.suppress(ConfigError):
        names = list(parse_shop(document).journeys)
    assert all(is_journey_name(name) for name in names)
