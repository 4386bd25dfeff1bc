"""redis-py, sync and asyncio: one CLIENT span for each command, one for each pipeline.

Keys and values are not recorded.
Source: https://opentelemetry.io/docs/specs/semconv/database/redis/
"""

import functools
from typing import Any

import redis
import redis.asyncio

from shopscope._clients._calls import Calls, Peer, Started, end_call, start_call
from shopscope._metrics._dependencies import Dependency, access_of, peer_name
from shopscope._metrics._selfmetrics import internal_error
from shopscope._pipeline import Pipeline, active

_PEER = "_shopscope_peer"


def instrument() -> None:
    """Wrap commands and pipelines of both clients."""
    for owner, name, wrap, operation_of in (
        (redis.Redis, "execute_command", _wrap_sync, None),
        (redis.client.Pipeline, "execute", _wrap_sync, _pipeline),
        (redis.asyncio.Redis, "execute_command", _wrap_async, None),
        (redis.asyncio.client.Pipeline, "execute", _wrap_async, _pipeline),
    ):
        original = getattr(owner, name)
        if not hasattr(original, "__wrapped__"):
            setattr(owner, name, wrap(original, operation_of))


def _pipeline(client: Any) -> str:
    # The asyncio client's name for it, then the sync one's.
    is_transaction = getattr(client, "is_transaction", None)
    return "MULTI" if (client.transaction if is_transaction is None else is_transaction) else "PIPELINE"


def _wrap_sync(original: Any, operation_of: Any) -> Any:
    @functools.wraps(original)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        started = _begin(self, operation_of, args)
        if started is None:
            return original(self, *args, **kwargs)
        try:
            result = original(self, *args, **kwargs)
        except BaseException as error:
            end_call(started, error)
            raise
        end_call(started)
        return result

    return call


def _wrap_async(original: Any, operation_of: Any) -> Any:
    @functools.wraps(original)
    async def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        started = _begin(self, operation_of, args)
        if started is None:
            return await original(self, *args, **kwargs)
        try:
            result = await original(self, *args, **kwargs)
        except BaseException as error:
            end_call(started, error)
            raise
        end_call(started)
        return result

    return call


def _begin(client: Any, operation_of: Any, arguments: tuple[Any, ...]) -> Started | None:
    pipeline = active()
    if pipeline is None:
        return None
    try:
        pool = client.connection_pool
        # On the pool, because its settings are a search of their own for each command.
        peer: Peer | None = getattr(pool, _PEER, None)
        if peer is None or peer.pipeline is not pipeline:
            settings = pool.connection_kwargs
            peer = _calls.at(pipeline, settings.get("host", ""), settings.get("port"), settings.get("db"))
            setattr(pool, _PEER, peer)
        return start_call(pipeline, peer[operation_of(client) if operation_of else arguments[0] if arguments else ""])
    except Exception:  # noqa: BLE001 (telemetry never raises into the service)
        internal_error("redis command")
        return None


def _describe(
    pipeline: Pipeline, host: str, port: int | None, database: int | None, command: object
) -> tuple[str, Dependency, dict[str, Any]]:
    operation = (command.decode("latin-1") if isinstance(command, bytes) else str(command)).upper()
    attributes: dict[str, Any] = {"db.system.name": "redis", "db.operation.name": operation}
    if database is not None:
        attributes["db.namespace"] = str(database)
    if host:
        attributes["server.address"] = host
    if port:
        attributes["server.port"] = port
    dependency = Dependency(peer_name(host, port, pipeline.settings.peers, "redis"), "cache", access_of(operation))
    return operation, dependency, attributes


_calls = Calls(_describe)
