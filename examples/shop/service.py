"""What every service of the shop has in common: health, faults, and how errors are answered."""

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from shop.faults import Faults, add_faults


def create_app(name: str, lifespan: Callable[[FastAPI], Any], faults: type[Faults]) -> FastAPI:
    """A FastAPI app with ``/healthz``, ``/faults`` and the shop's answers to bad requests.

    Args:
        name: the service's name.
        lifespan: opens and closes what the service needs.
        faults: the faults that make sense for this service.
    """
    app = FastAPI(title=name, lifespan=lifespan)

    async def healthz() -> dict[str, str]:
        return {"status": "ok", "service": name}

    app.add_api_route("/healthz", healthz, methods=["GET"])
    add_faults(app, faults)
    app.add_exception_handler(RequestValidationError, _bad_request)
    return app


async def _bad_request(_: Request, error: Exception) -> JSONResponse:
    """FastAPI's 422 without the offending input: it may be a card number that was typed into the wrong field."""
    faults = error.errors() if isinstance(error, RequestValidationError) else []
    detail = [{"loc": list(fault["loc"]), "msg": fault["msg"], "type": fault["type"]} for fault in faults]
    return JSONResponse({"detail": detail}, status_code=422)
