"""The engine's ASGI application: OTLP and alerts in, status, tables and alerts out."""

from typing import Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from shopscope_ops.engines.embedded._alerts_api import AlertsApi
from shopscope_ops.engines.embedded._api import Api
from shopscope_ops.engines.embedded._receiver import SIGNALS, Receiver
from shopscope_ops.engines.embedded._refusal import Refusal, status_response

__all__ = ["LOOPBACK_HOSTS", "create_app"]

LOOPBACK_HOSTS: Final = ("localhost", "127.0.0.1", "[::1]", "::1")
"""Names under which the engine answers questions: any other is a foreign page that had its name point here."""


def create_app(receiver: Receiver, api: Api, alerts: AlertsApi) -> Starlette:
    """The application that serves ``--port``."""
    # Telemetry and alerts may come under any name that leads here; what was stored is told only to this machine's own
    # names.
    guard = [Middleware(TrustedHostMiddleware, allowed_hosts=LOOPBACK_HOSTS, www_redirect=False)]
    return Starlette(
        routes=[
            *(Route(f"/v1/{signal.name}", receiver.endpoint(signal), methods=["POST"]) for signal in SIGNALS),
            Route("/api/alerts", alerts.take, methods=["POST"]),
            Route("/api/alerts", alerts.list, methods=["GET"], middleware=guard),
            Route("/healthz", api.healthz, methods=["GET"], middleware=guard),
            Route("/api/status", api.status, methods=["GET"], middleware=guard),
            Route("/api/tables/{table}", api.table, methods=["GET"], middleware=guard),
        ],
        exception_handlers={HTTPException: _http_error, Exception: _internal_error},
    )


def _http_error(request: Request, error: Exception) -> Response:
    """404 and 405 of the router, in the form that OTLP asks for."""
    assert isinstance(error, HTTPException)  # noqa: S101  # tells the type checker what Starlette guarantees
    response = status_response(Refusal(error.status_code, error.detail), _content_type(request))
    response.headers.update(error.headers or {})
    return response


def _internal_error(request: Request, _: Exception) -> Response:
    """A fault of ours; the sender may try again, the log has the cause."""
    return status_response(Refusal(500, "the engine failed on this request; its log says why"), _content_type(request))


def _content_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()
