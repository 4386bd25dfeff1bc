"""The door of the page: loopback names only."""

import asyncio
import re

import httpx
import pytest

from shopscope_ops.page._guard import Guard, is_loopback_authority

REFUSED, SERVED = 421, 200


@pytest.mark.parametrize(
    ("authority", "is_own"),
    [
        ("127.0.0.1:8600", True),
        ("127.0.0.1", True),
        ("localhost:8600", True),
        ("LOCALHOST", True),
        ("[::1]:8600", True),
        ("", False),
        ("attacker.example:8600", False),
        ("127.0.0.1.attacker.example", False),
        ("localhost.attacker.example", False),
        ("127.0.0.1@attacker.example", False),
        ("attacker.example@127.0.0.1", False),
        ("[::1", False),
        ("0.0.0.0:8600", False),
        ("192.168.0.7:8600", False),
    ],
)
def test_only_loopback_names_are_ours(authority, is_own):
    """A name that somebody can point at this machine is not one of them."""
    assert is_loopback_authority(authority) == is_own


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, SERVED),
        ({"host": "attacker.example"}, REFUSED),
        ({"origin": "http://attacker.example"}, REFUSED),
        ({"origin": "null"}, REFUSED),
        ({"origin": "http://localhost:3000"}, SERVED),
    ],
)
def test_a_foreign_host_or_origin_is_refused(running, headers, status):
    """DNS rebinding shows in Host, another site's script in Origin."""
    assert httpx.get(running.url, headers=headers).status_code == status


def test_every_answer_carries_the_security_headers(running):
    """Nothing is loaded from elsewhere, nothing frames the page, nothing is guessed."""
    page, style = httpx.get(running.url).headers, httpx.get(f"{running.url}/static/page.css").headers
    names = ("content-security-policy", "x-content-type-options", "x-frame-options", "referrer-policy")
    assert [[name in headers for name in names] for headers in (page, style)] == [[True] * 4, [True] * 4]


def test_the_policy_names_no_other_host(running):
    """Every source is the page itself."""
    policy = httpx.get(running.url).headers["content-security-policy"]
    assert ("http" in policy, "*" in policy, "default-src 'self'" in policy) == (False, False, True)


def test_a_prefix_that_no_proxy_set_is_dropped(running):
    """NiceGUI writes that header into its pages."""
    answer = httpx.get(running.url, headers={"x-forwarded-prefix": "/evil"})
    assert ("/evil" in answer.text, answer.status_code) == (False, SERVED)


def test_an_unknown_address_is_not_found(running):
    """With a page of our own."""
    answer = httpx.get(f"{running.url}/nonesuch")
    assert (answer.status_code, "Nothing at this address" in answer.text) == (404, True)


def test_a_web_socket_of_another_site_is_closed():
    """Before NiceGUI sees it: the page's contents travel over it."""
    sent = []

    async def app(scope, receive, send):
        raise AssertionError(scope, receive, send)

    async def send(message):
        sent.append(message["type"])

    scope = {"type": "websocket", "headers": [(b"host", b"127.0.0.1"), (b"origin", b"http://attacker.example")]}
    asyncio.run(Guard(app, {}, on_shutdown=list)(scope, None, send))
    assert sent == ["websocket.close"]


def test_the_end_of_the_server_ends_the_feed():
    """Whatever the application does with its lifespan."""
    ended = []

    async def app(scope, receive, send):
        del scope, receive, send
        raise RuntimeError("lifespan is not supported")

    with pytest.raises(RuntimeError, match="not supported"):
        asyncio.run(Guard(app, {}, on_shutdown=lambda: ended.append(True))({"type": "lifespan"}, None, None))
    assert ended == [True]


def test_an_upgrade_reaches_the_browser(running):
    """Files of a wheel all have one time of change: whatever is cached has to be asked for again."""
    component = re.search(r"/_nicegui/[^\"]+/components/[^\"]*region[^\"]*", httpx.get(running.url).text)[0]
    answers = [httpx.get(running.url + path) for path in (component, "/static/page.css", "/static/page.js")]
    assert [(one.status_code, one.headers["cache-control"]) for one in answers] == [
        (SERVED, "no-cache"),
        (SERVED, "public, max-age=0"),
        (SERVED, "public, max-age=0"),
    ]
