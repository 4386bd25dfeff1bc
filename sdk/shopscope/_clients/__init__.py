"""Client libraries, each instrumented when the service has imported it, or in the moment that it does."""

import functools
import importlib
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from shopscope._clients import _contrib as contrib
from shopscope._imports import when_imported
from shopscope._metrics._selfmetrics import internal_error

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

_INTEGRATIONS = {
    "httpx": ("shopscope._clients._httpx",),
    "redis": ("shopscope._clients._redis",),
    "sqlalchemy": ("shopscope._clients._sqlalchemy", "shopscope._saturation._sqlalchemy"),
    "sqlalchemy.orm": ("shopscope._protection._sqlalchemy",),
    "asyncpg": ("shopscope._clients._asyncpg", "shopscope._saturation._asyncpg"),
    "celery.app.amqp": ("shopscope._celery",),
    "django.core.handlers.asgi": ("shopscope._serving._django",),
    "django.core.handlers.wsgi": ("shopscope._serving._django",),
    "aiobreaker": ("shopscope._protection._aiobreaker",),
    "circuitbreaker": ("shopscope._protection._circuitbreaker",),
    "fastapi_limiter": ("shopscope._protection._fastapi_limiter",),
    "purgatory": ("shopscope._protection._purgatory",),
    "pybreaker": ("shopscope._protection._pybreaker",),
    "slowapi": ("shopscope._protection._slowapi",),
    "tenacity": ("shopscope._protection._tenacity",),  # and stamina, which is built on it
}


_disabled: Collection[str] = ()
#: Instrumentations of OpenTelemetry's by the module that they wait for.
_theirs: "dict[str, list[EntryPoint]]" = {}


def instrument_clients(disabled: Collection[str] = ()) -> None:
    """Instrument what is imported, and what will be; safe to call again.

    Args:
        disabled: libraries to leave alone, as ``OTEL_PYTHON_DISABLED_INSTRUMENTATIONS`` names them; ``*`` is all.
    """
    global _disabled, _theirs  # noqa: PLW0603 (what waits for an import asks for the latest choice)
    _disabled = disabled
    try:
        _theirs = contrib.installed(disabled)
    except Exception:  # noqa: BLE001 (packages may be damaged)
        internal_error("search for instrumentations")
    for library in (*_INTEGRATIONS, *_theirs):
        when_imported(library, _instrument)


def _instrument(library: str) -> None:
    if "*" in _disabled or library.partition(".")[0] in _disabled:
        return
    steps: list[Callable[[], None]] = [
        *(functools.partial(_run, integration) for integration in _INTEGRATIONS.get(library, ())),
        *(functools.partial(contrib.instrument, entry) for entry in _theirs.get(library, ())),
    ]
    for step in steps:
        try:
            step()
        except Exception:  # noqa: BLE001 (a client library that we do not understand must keep working)
            internal_error(f"instrumentation of {library}")


def _run(integration: str) -> None:
    module = importlib.import_module(integration)
    # Half imported, it is what has imported the library just now: whoever wants it instruments next.
    if hasattr(module, "instrument"):
        module.instrument()
