"""Telemetry from a running engine, over its HTTP interface."""

import io
from collections.abc import Iterator
from typing import Any, Final

import httpx
import pyarrow as pa

from shopscope_ops.sources._errors import NoEngineError, SourceError
from shopscope_ops.sources._slim import slim_spans
from shopscope_ops.sources._store import LOOKBACK_NANO
from shopscope_ops.sources._telemetry import Telemetry, telemetry
from shopscope_ops.store.schema import TABLES

__all__ = ["from_engine"]

_TIMEOUT: Final = httpx.Timeout(30.0, connect=3.0)


def from_engine(endpoint: str, since_nano: int, until_nano: int) -> Telemetry:
    """Telemetry of a window, begin included, end excluded.

    Args:
        endpoint: base address of the engine, such as ``http://127.0.0.1:4318``.
        since_nano: begin of the window, unix nanoseconds.
        until_nano: end of the window, unix nanoseconds.

    Raises:
        NoEngineError: nothing answers there, or what answers is no shopscope engine.
        SourceError: the engine answers with an error.
    """
    endpoint = endpoint.rstrip("/")
    try:
        # A proxy of the environment must not stand between us and the loopback address.
        with httpx.Client(base_url=endpoint, timeout=_TIMEOUT, trust_env=False) as client:
            _greet(client, endpoint)
            return telemetry(
                f"engine {endpoint}",
                spans=_read(client, "spans", since_nano, until_nano),
                metric_points=_read(client, "metric_points", since_nano - LOOKBACK_NANO, until_nano),
                exemplars=_read(client, "exemplars", since_nano, until_nano),
                since_unix_nano=since_nano,
                until_unix_nano=until_nano,
            )
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise SourceError(
            f"endpoint must be an address with http or https: {endpoint!r}; write for example http://127.0.0.1:4318"
        ) from error
    except httpx.TransportError as error:
        reason = str(error) or type(error).__name__
        raise NoEngineError(
            f"no engine answers at {endpoint} ({reason}); start one with `shopscope up` (or the "
            "whole demo with `make demo`), or name a recorded file with --file"
        ) from error


def _greet(client: httpx.Client, endpoint: str) -> None:
    """Make sure that it is an engine that answers: a collector listens on the same port."""
    response = client.get("/healthz")
    try:
        is_engine = response.is_success and "engine" in response.json()
    except ValueError:
        is_engine = False
    if not is_engine:
        raise NoEngineError(
            f"what answers at {endpoint} is no shopscope engine (status {response.status_code} for /healthz); "
            "stop it and run `shopscope up`, or name the engine's address with --endpoint"
        )


def _read(client: httpx.Client, table: str, since_nano: int, until_nano: int) -> pa.Table:
    path = f"/api/tables/{table}"
    with client.stream("GET", path, params={"since": since_nano, "until": until_nano}) as response:
        if not response.is_success:
            response.read()
            raise SourceError(
                f"engine must answer {path} with status 200: {response.status_code} {response.text[:200]!r}; "
                "look at `shopscope status`"
            )
        try:
            with pa.ipc.open_stream(io.BufferedReader(_Body(response.iter_bytes()))) as batches:
                return slim_spans(batches) if table == "spans" else batches.read_all().cast(TABLES[table])
        except (pa.ArrowInvalid, KeyError, ValueError) as error:
            raise SourceError(
                f"engine must answer {path} with the table's columns as an Arrow stream: {error}; "
                "use the same version of shopscope for the engine and this command"
            ) from error


class _Body(io.RawIOBase):
    """A response's body as a file, so that Arrow reads it batch by batch."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = b""

    def readable(self) -> bool:
        """It can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill ``buffer`` with what has arrived."""
        view = memoryview(buffer).cast("B")
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._rest = chunk
        size = min(len(view), len(self._rest))
        view[:size], self._rest = self._rest[:size], self._rest[size:]
        return size
