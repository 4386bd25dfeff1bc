"""Faults that can be switched on while the shop runs, from the same machine only."""

import asyncio
import ipaddress
import random
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict, Field
from starlette.types import Receive, Scope, Send

_FORWARDING_HEADERS = ("forwarded", "x-forwarded-for", "x-real-ip")


class Faults(BaseModel):
    """The faults every service knows. The default of each is: no fault."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    latency_seconds: float = Field(0.0, ge=0, le=30, description="added before every answer")
    error_rate: float = Field(0.0, ge=0, le=1, description="share of requests answered 500")
    cpu_seconds: float = Field(0.0, ge=0, le=5, description="CPU burnt in every request; blocks the event loop")


class DatabaseFaults(Faults):
    """The faults of a service with a database pool."""

    pool_size: int | None = Field(None, ge=1, le=100, description="connections left in the database pool")


class InventoryFaults(DatabaseFaults):
    """The faults of inventory."""

    held_lock_seconds: float = Field(0.0, ge=0, le=60, description="hot products' rows locked, again and again")


class StorefrontFaults(Faults):
    """The faults of storefront."""

    cold_cache: bool = Field(default=False, description="every read of the page cache misses")


F = TypeVar("F", bound=Faults)
Listener = Callable[[F], Awaitable[None]]


class FaultSwitch(Generic[F]):
    """The faults that are on in this process; the one owner of that state."""

    def __init__(self, kind: type[F]) -> None:
        self.kind = kind
        self.now: F = kind()
        self.is_delaying_or_failing = False
        self._listeners: list[Listener[F]] = []
        self._random = random.Random(20_260_801)  # noqa: S311  # reproducible share of errors, no secret
        self._changing = asyncio.Lock()

    def on_change(self, listener: Listener[F]) -> None:
        """Have ``listener`` called with the new faults at every change, before the change is confirmed."""
        self._listeners.append(listener)

    async def set(self, faults: F) -> None:
        """Make exactly these faults the ones that are on."""
        async with self._changing:
            for listener in self._listeners:
                await listener(faults)
            self.now = faults
            self.is_delaying_or_failing = bool(faults.latency_seconds or faults.error_rate or faults.cpu_seconds)

    async def strike(self) -> JSONResponse | None:
        """Burn CPU and wait as the faults say; the answer to give instead of the real one, if it is to fail."""
        faults = self.now
        burnt = time.thread_time() + faults.cpu_seconds
        while time.thread_time() < burnt:
            pass
        if faults.latency_seconds:
            await asyncio.sleep(faults.latency_seconds)
        if self._random.random() < faults.error_rate:
            return JSONResponse({"detail": "internal error (a fault that was switched on)"}, status_code=500)
        return None


class FaultyRoute(APIRoute):
    """A route that suffers the faults of its app.

    A route and not a middleware: here the request's route is already known, so that whoever measures the service
    from outside sees the fault's time and errors under the right route and inside the service's own span.
    """

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Suffer the faults, then answer."""
        switch: FaultSwitch[Faults] = scope["app"].state.faults
        if switch.is_delaying_or_failing and (failure := await switch.strike()) is not None:
            await failure(scope, receive, send)
            return
        await super().handle(scope, receive, send)


def add_faults(app: FastAPI, kind: type[F]) -> FaultSwitch[F]:
    """Let the routes that are added to ``app`` from now on suffer faults, and add ``/faults``, which does not."""
    switch = FaultSwitch(kind)
    app.state.faults = switch

    async def read() -> F:
        return switch.now

    async def put(faults: kind) -> F:  # type: ignore[valid-type]
        await switch.set(faults)
        return switch.now

    async def reset() -> F:
        await switch.set(kind())
        return switch.now

    for method, endpoint in (("GET", read), ("PUT", put), ("DELETE", reset)):
        app.add_api_route(
            "/faults", endpoint, methods=[method], response_model=kind, dependencies=[Depends(_from_this_machine)]
        )
    app.router.route_class = FaultyRoute
    return switch


def _from_this_machine(request: Request) -> None:
    """Refuse a caller on another machine, and a proxy that may speak for one."""
    peer = request.client.host if request.client else ""
    try:
        is_loopback = ipaddress.ip_address(peer).is_loopback
    except ValueError:
        is_loopback = False
    if not is_loopback or any(header in request.headers for header in _FORWARDING_HEADERS):
        raise HTTPException(403, "faults can be switched from the same machine only: use http://127.0.0.1")
