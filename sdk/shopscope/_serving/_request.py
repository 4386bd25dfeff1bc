"""What is known of a request while it is served."""

import time
from abc import abstractmethod
from collections.abc import Callable
from contextvars import Token
from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry.context import Context

from shopscope._serving._routes import Scope

if TYPE_CHECKING:
    from shopscope.config import Journey


_NO_SCOPE: Scope = {}


async def _send_too_late(message: Scope) -> None:
    """Do nothing, as ASGI asks of a server once the answer is complete."""


class Request:
    """One request on its way through the application.

    Attributes:
        path: as the client wrote it, decoded.
        scope: what the server says of the request: ASGI's scope, WSGI's environ.
        send: what takes the answer: ASGI's ``send``, WSGI's ``start_response``.
        root_path: the prefix of the path that a proxy or server put before the application.
        protocol: scheme and version, as the ASGI scope has them.
        server: address and port of the socket, where they are known.
        end_unix_nano: when the last byte left; 0 until then.
        status: of the response; 0 until that began.
        is_left: the client went away before it had the whole answer, which is no failure of the service.
        template: of the route, and
        client_address: both known when the application is done.
    """

    __slots__ = (
        "agent",
        "client_address",
        "end_unix_nano",
        "host",
        "is_left",
        "journey",
        "journey_name",
        "method",
        "path",
        "protocol",
        "root_path",
        "scope",
        "send",
        "server",
        "span",
        "start_unix_nano",
        "status",
        "template",
        "token",
    )

    span: trace.Span
    token: Token[Context]
    template: str
    client_address: str

    def __init__(  # all at once, because a second method that does its part costs as much as the first
        self,
        method: str,
        path: str,
        protocol: tuple[str, str],
        server: Any,
        scope: Scope,
        send: Callable[..., Any],
        root_path: str,
    ) -> None:
        self.scope = scope
        self.send = send
        self.root_path = root_path
        self.method = method
        self.path = path
        self.protocol = protocol
        self.server = server
        self.status = 0
        self.start_unix_nano = time.time_ns()
        self.end_unix_nano = 0
        self.is_left = False
        self.host = self.agent = b""
        #: The journey that this service answers for.
        self.journey: Journey | None = None
        self.journey_name = ""

    def finish(self) -> None:
        """The last byte leaves now."""
        self.end_unix_nano = time.time_ns()

    def let_go(self) -> None:
        """Hold nothing of the server's or the framework's any longer.

        What waits to be recorded would keep all of it alive, and have the garbage collector walk over it.
        """
        self.scope, self.send = _NO_SCOPE, _send_too_late
        del self.token

    @abstractmethod
    def look_up(self) -> None:
        """Set `template` and `client_address`, or empty texts, from what framework and server know at the end."""
