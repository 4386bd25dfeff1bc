"""Client libraries, each instrumented when the service has imported it, or in the moment that it does."""

import functools
import importlib
import importlib.abc
import importlib.util
import sys
from collections.abc import Callable, Collection, Sequence
from importlib.machinery import ModuleSpec
from importlib.metadata import EntryPoint
from types import ModuleType

from shopscope._clients import _contrib as contrib
from shopscope._metrics._selfmetrics import internal_error

_INTEGRATIONS = {
    "httpx": ("shopscope._clients._httpx",),
    "redis": ("shopscope._clients._redis",),
    "sqlalchemy": (
        "shopscope._clients._sqlalchemy",
        "shopscope._protection._sqlalchemy",
        "shopscope._saturation._sqlalchemy",
    ),
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
_theirs: dict[str, list[EntryPoint]] = {}


def instrument_clients(disabled: Collection[str] = ()) -> None:
    """Instrument what is imported, and what will be; safe to call again.

    Args:
        disabled: libraries to leave alone, as ``OTEL_PYTHON_DISABLED_INSTRUMENTATIONS`` names them; ``*`` is all.
    """
    global _disabled, _theirs  # noqa: PLW0603 (one import hook a process, which asks for the latest choice)
    _disabled = disabled
    try:
        _theirs = contrib.installed(disabled)
    except Exception:  # noqa: BLE001 (packages may be damaged)
        internal_error("search for instrumentations")
    for library in (*_INTEGRATIONS, *_theirs):
        if library in sys.modules:
            _instrument(library)
    if not any(isinstance(finder, _ImportHook) for finder in sys.meta_path):
        sys.meta_path.insert(0, _ImportHook())


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
    importlib.import_module(integration).instrument()


class _ImportHook(importlib.abc.MetaPathFinder):
    """Sees the first import of a library, and instruments it once its module is complete."""

    def __init__(self) -> None:
        self._searching: set[str] = set()

    def find_spec(
        self,
        name: str,
        path: Sequence[str] | None = None,  # noqa: ARG002 (signature of finders)
        target: ModuleType | None = None,  # noqa: ARG002 (same)
    ) -> ModuleSpec | None:
        if (name not in _INTEGRATIONS and name not in _theirs) or name in self._searching:
            return None
        self._searching.add(name)
        try:
            spec = importlib.util.find_spec(name)
        finally:
            self._searching.discard(name)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader, name)
        return spec


class _Loader(importlib.abc.Loader):
    """The library's own loader, and after it our instrumentation."""

    def __init__(self, loader: importlib.abc.Loader, library: str) -> None:
        self._loader = loader
        self._library = library

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        if module.__spec__ is not None:
            module.__spec__.loader = module.__loader__ = self._loader
        self._loader.exec_module(module)
        _instrument(self._library)
