"""OpenTelemetry's own instrumentations: those that are installed are switched on when the service imports the library.

Source: https://opentelemetry.io/docs/zero-code/python/configuration/
"""

import os
import sys
from collections.abc import Collection, Iterator
from importlib.metadata import Distribution, EntryPoint
from pathlib import Path

_GROUP = "opentelemetry_instrumentor"
_PREFIX = "opentelemetry_instrumentation_"
# Ours are cheaper, and two of a kind would count everything twice; servers are not clients; logs have their own chain.
_OURS = frozenset({"asyncpg", "celery", "httpx", "redis", "sqlalchemy"})
_SERVERS = frozenset(
    {
        "aiohttp-server",
        "asgi",
        "django",
        "falcon",
        "fastapi",
        "flask",
        "grpc_aio_server",
        "grpc_server",
        "pyramid",
        "starlette",
        "tornado",
        "wsgi",
    }
)
_NO_CLIENTS = frozenset({"asyncclick", "asyncio", "click", "jinja2", "logging", "system_metrics", "threading"})
# Packages with nothing but what is left alone anyway; each that is read takes a quarter of a millisecond.
_NOT_READ = _OURS | _NO_CLIENTS | _SERVERS
# The module that the service imports, where the entry point has another name.
_MODULES = {
    "aiohttp-client": "aiohttp",
    "grpc_aio_client": "grpc",
    "grpc_client": "grpc",
    "mysql": "mysql.connector",
    "mysqlclient": "MySQLdb",
    "tortoiseorm": "tortoise",
    "urllib": "urllib.request",
}
_CONVENTIONS = "OTEL_SEMCONV_STABILITY_OPT_IN"
_STABLE = "http,database"


def installed(disabled: Collection[str]) -> dict[str, list[EntryPoint]]:
    """Module that a service imports → instrumentations to switch on then."""
    found: dict[str, list[EntryPoint]] = {}
    left_alone = _OURS | _SERVERS | _NO_CLIENTS | frozenset(disabled)
    for entry in () if "*" in disabled else _entries():
        if entry.name not in left_alone:
            module = _MODULES.get(entry.name, entry.name.replace("-", "_"))
            found.setdefault(module, []).append(entry)
    return found


def _entries() -> Iterator[EntryPoint]:
    """The entry points of packages with the name of an instrumentation; reading those of all packages takes long."""
    seen: set[str] = set()
    for folder in sys.path:
        for name in _names_in(folder or "."):
            # The first on the path is the one that is imported.
            package = name.partition("-")[0]
            if package not in seen and package.removeprefix(_PREFIX) not in _NOT_READ:
                seen.add(package)
                yield from Distribution.at(Path(folder, name)).entry_points.select(group=_GROUP)


def _names_in(folder: str) -> list[str]:
    try:
        names = os.listdir(folder)  # noqa: PTH208 (of thousands of names, five become a path)
    except OSError:
        return []
    return [name for name in names if name.startswith(_PREFIX) and name.endswith(".dist-info")]


def instrument(entry: EntryPoint) -> None:
    """Switch one on, unless the service has; a library of a version that it does not know is left alone."""
    chosen = os.environ.get(_CONVENTIONS)
    # The first of them to start decides for all; the old conventions do not say who is called.
    os.environ[_CONVENTIONS] = chosen or _STABLE
    try:
        instrumentor = entry.load()()
        if not instrumentor.is_instrumented_by_opentelemetry:
            instrumentor.instrument(skip_dep_check=False)
    finally:
        if chosen is None:
            del os.environ[_CONVENTIONS]
        else:
            os.environ[_CONVENTIONS] = chosen
