"""What a running engine tells about itself, and the tables it holds, to programs on this machine."""

import asyncio
import io
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Final

import pyarrow as pa
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from shopscope_ops.engines.embedded._receiver import SIGNALS, Receiver
from shopscope_ops.store import Store, StoreError, StoreUnavailableError
from shopscope_ops.store.schema import TABLES

__all__ = ["ARROW_STREAM", "Api"]

ARROW_STREAM: Final = "application/vnd.apache.arrow.stream"
_DEFAULT_LIMIT: Final = 1_000_000
_MAX_LIMIT: Final = 5_000_000
_NUMBERS: Final = ("since", "until", "limit")
_TEXTS: Final = ("trace_id", "service", "name")
_TABLES_OF_SIGNAL: Final = {"traces": "spans", "metrics": "metric_points", "logs": "logs"}
# A snapshot that a slow client holds open keeps removed rows' blocks from being used again.
_STREAM_SECONDS: Final = 120.0


class _BoundedStream(StreamingResponse):
    """A stream that ends when the client takes too long over it."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with asyncio.timeout(_STREAM_SECONDS):
            await super().__call__(scope, receive, send)


@dataclass(frozen=True, slots=True)
class Api:
    """The engine's GET endpoints.

    Attributes:
        store: what is told about.
        receiver: whose counts are told.
        page: address of the answers page, or "".
        started: when the engine started (monotonic seconds).
    """

    store: Store
    receiver: Receiver
    page: str
    started: float

    async def healthz(self, _: Request) -> Response:
        """Whether the engine works: ``degraded`` when the last commit failed."""
        trouble = self.store.trouble
        head = {"status": "degraded" if trouble else "ok", "engine": "embedded", "version": version("shopscope")}
        return JSONResponse(head | {"page": self.page, "trouble": trouble})

    async def status(self, _: Request) -> Response:
        """Counts, sizes, limits, and when each service was last heard."""
        try:
            return JSONResponse(await run_in_threadpool(self._status))
        except StoreError as error:
            return _error(503, str(error))

    async def table(self, request: Request) -> Response:
        """Rows of a table as an Arrow stream."""
        name = request.path_params["table"]
        if name not in TABLES:
            return _error(404, f"table must be one of {', '.join(TABLES)}: {name!r}")
        try:
            filters = _filters(request.query_params)
            chunks = _ipc_stream(self.store, name, filters)
            first = await run_in_threadpool(next, chunks)
        except StoreUnavailableError as error:
            return _error(503, str(error))
        except (ValueError, StoreError) as error:
            return _error(400, str(error))
        return _BoundedStream(_chained(first, chunks), media_type=ARROW_STREAM)

    def _status(self) -> dict[str, Any]:
        found = self.store.status()
        receiver, limits = self.receiver, found.limits
        signals = {
            signal.name: {
                "accepted": receiver.accepted[signal.name],
                "rejected": receiver.rejected[signal.name],
                "stored": found.rows[_TABLES_OF_SIGNAL[signal.name]],
                "refused_requests": {
                    str(status): count
                    for (name, status), count in sorted(receiver.refused_requests.items())
                    if name == signal.name
                },
            }
            for signal in SIGNALS
        }
        return {
            "engine": "embedded",
            "version": version("shopscope"),
            "uptime_seconds": round(time.monotonic() - self.started, 3),
            "trouble": found.trouble,
            "signals": signals,
            "tables": dict(found.rows),
            "database": {
                "bytes": found.file_bytes,
                "oldest_unix_nano": found.oldest_unix_nano,
                "failed_commits": found.failed_commits,
                "set_aside": found.set_aside,
            },
            "queue": {"bytes": found.queued_bytes},
            "services": {name: {"last_seen_unix_nano": when} for name, when in found.last_seen_unix_nano.items()},
            "limits": {
                "max_age_seconds": limits.max_age_seconds,
                "max_bytes": limits.max_bytes,
                "queue_bytes": limits.queue_bytes,
            },
        }


def _filters(query: Mapping[str, str]) -> dict[str, Any]:
    """Arguments of ``Store.stream``; raises ``ValueError`` for a parameter that is unknown or wrong."""
    known = (*_NUMBERS, *_TEXTS)
    for key in query:
        if key not in known:
            raise ValueError(f"parameter must be one of {', '.join(known)}: {key!r}; leave it out")
    numbers = {key: _whole_number(key, query[key]) for key in _NUMBERS if key in query}
    limit = numbers.get("limit", _DEFAULT_LIMIT)
    if not 1 <= limit <= _MAX_LIMIT:
        raise ValueError(f"limit must be between 1 and {_MAX_LIMIT}: {limit}; ask for less")
    texts = {key: query[key] for key in _TEXTS if query.get(key)}
    return {"since_nano": numbers.get("since"), "until_nano": numbers.get("until"), "limit": limit, **texts}


def _whole_number(key: str, text: str) -> int:
    if text.isascii() and text.isdigit() and int(text) < 2**63:
        return int(text)
    raise ValueError(f"{key} must be a whole number from 0 to {2**63 - 1}: {text[:40]!r}; correct it")


def _ipc_stream(store: Store, table: str, filters: Mapping[str, Any]) -> Iterator[bytes]:
    """The rows as Arrow's IPC stream, piece by piece; the query has run when the first piece is there."""
    sink = io.BytesIO()
    with store.stream(table, **filters) as batches, pa.ipc.new_stream(sink, TABLES[table]) as writer:
        yield _taken(sink)
        for batch in batches:
            writer.write_batch(batch)
            yield _taken(sink)
    yield _taken(sink)


def _taken(sink: io.BytesIO) -> bytes:
    piece = sink.getvalue()
    sink.seek(0)
    sink.truncate()
    return piece


def _chained(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _error(status: int, message: str) -> Response:
    return JSONResponse({"error": message}, status)
