"""The door of the page: loopback names only, and the headers that keep a browser from leaving it.

The page is reached on 127.0.0.1 without a password, so the one attacker it has is another site in the same browser.
Such a site can point its own name at 127.0.0.1 (DNS rebinding) or open our web socket from its pages; both carry its
name in ``Host`` or ``Origin``, and both are refused here. In a container the page listens on every address and its port
is published on the loopback interface: a browser still asks for 127.0.0.1, and any other name is refused as ever.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})

# NiceGUI starts from inline scripts and compiles Vue templates in the browser: without the two "unsafe" words there
# is no page. What the policy does hold: nothing is loaded from, and nothing is sent to, any other host.
_POLICY: Final = {
    "default-src": "'self'",
    "script-src": "'self' 'unsafe-inline' 'unsafe-eval'",
    "style-src": "'self' 'unsafe-inline'",
    "img-src": "'self' data:",
    "font-src": "'self' data:",
    "connect-src": "'self'",
    "object-src": "'none'",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
}
_HEADERS: Final = {
    "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in _POLICY.items()),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
# NiceGUI writes this one into its pages; no proxy stands before a loopback server, so nobody honest sends it.
_REFUSED_HEADER: Final = b"x-forwarded-prefix"


def is_loopback_authority(authority: str) -> bool:
    """Whether a ``Host`` header, or the host part of an ``Origin``, names this machine by a loopback name."""
    try:
        # user information never belongs here; urlsplit would skip over it and read what follows
        return "@" not in authority and urlsplit(f"//{authority}").hostname in _LOOPBACK
    except ValueError:
        return False


class Guard:
    """ASGI middleware that lets loopback names in and adds security headers to every answer.

    Args:
        app: the application behind the door; kept as ``app`` because NiceGUI finds its server through it.
        extra_scope: entries that every request's scope gets, for the pages behind the door.
        on_shutdown: called when the server stops.
    """

    def __init__(self, app: "ASGIApp", extra_scope: dict[str, Any], on_shutdown: Callable[[], None]) -> None:
        self.app = app
        self._extra_scope = extra_scope
        self._on_shutdown = on_shutdown

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Serve one connection."""
        if scope["type"] == "lifespan":
            try:
                await self.app(scope, receive, send)
            finally:
                self._on_shutdown()
            return
        headers = Headers(scope=scope)
        origin = headers.get("origin")
        # "null", the origin of sandboxed frames, has no network location and is refused with the foreign ones
        is_own = origin is None or is_loopback_authority(urlsplit(origin).netloc)
        if not (is_own and is_loopback_authority(headers.get("host", ""))):
            await _refuse(scope, receive, send)
            return
        kept = [pair for pair in scope["headers"] if pair[0] != _REFUSED_HEADER]
        await self.app({**scope, **self._extra_scope, "headers": kept}, receive, _with_headers(send))


async def _refuse(scope: "Scope", receive: "Receive", send: "Send") -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": "loopback names only"})
        return
    text = "Host and Origin must be a loopback name; open http://127.0.0.1 with the page's port.\n"
    await PlainTextResponse(text, status_code=421)(scope, receive, send)


def _with_headers(send: "Send") -> "Send":
    async def send_with_headers(message: "Message") -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers[name] = value
        await send(message)

    return send_with_headers
