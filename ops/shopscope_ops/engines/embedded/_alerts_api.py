"""``/api/alerts``: an Alertmanager's webhook posts to it, the command line reads from it."""

from dataclasses import dataclass, field

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from shopscope_ops.engines.embedded._alerts import AlertBook, AlertMessageError
from shopscope_ops.engines.embedded._body import BodyReader
from shopscope_ops.engines.embedded._refusal import Refusal, status_response
from shopscope_ops.store.otlp import JSON

__all__ = ["AlertsApi"]


@dataclass(frozen=True, slots=True)
class AlertsApi:
    """The endpoints of an alert book.

    Attributes:
        book: where alerts are kept.
        bodies: reads requests within bounds.
    """

    book: AlertBook
    bodies: BodyReader = field(default_factory=BodyReader)

    async def take(self, request: Request) -> Response:
        """Keep the alerts of a message; Alertmanager sends it again after a status of 5xx or 429."""
        try:
            return JSONResponse({"alerts": await self._take(request)})
        except Refusal as refusal:
            return status_response(refusal, JSON)
        except ClientDisconnect:
            return Response(status_code=400)  # nobody reads it

    async def list(self, _: Request) -> Response:
        """Every alert that is known."""
        return JSONResponse({"alerts": await run_in_threadpool(self.book.listing)})

    async def _take(self, request: Request) -> int:
        # A page of another site may post any text to this machine, but JSON only after asking; which is not answered.
        content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if content_type != JSON:
            raise Refusal(415, f"content-type must be {JSON}: {content_type!r}; let Alertmanager send it")
        body = await self.bodies.read(request)
        try:
            return await run_in_threadpool(self.book.take, body)
        except AlertMessageError as error:
            raise Refusal(400, str(error)) from error
        finally:
            self.bodies.release(body)
