"""What collectors send to: takes everything at once and counts spans without reading them.

    python -m bench.stack.sink PORT [PORT ...]

Each port is a backend with counts of its own; ``GET /counts`` on the first one tells them all.
"""

import asyncio
import json
import sys
import time
import zlib
from dataclasses import asdict, dataclass, field
from typing import cast

import uvloop

from bench.spans import MARK

_HEAD_END = b"\r\n\r\n"
_TAKEN = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n"


@dataclass(slots=True)
class Counts:
    """What came to one port; times are ``time.monotonic`` seconds, which all processes of a machine share.

    Attributes:
        listening: since when it listens.
        spans: spans that carry the mark.
        requests: requests that had such spans.
        body_bytes: their bodies as they were sent.
        first: when the first of them was there.
        last: when the last of them was there.
        firsts: when each path was first asked for, whatever was in it.
    """

    listening: float = 0.0
    spans: int = 0
    requests: int = 0
    body_bytes: int = 0
    first: float = 0.0
    last: float = 0.0
    firsts: dict[str, float] = field(default_factory=dict)

    def take(self, path: str, body: bytes, *, is_packed: bool) -> None:
        """Count a request."""
        now = time.monotonic()
        self.firsts.setdefault(path, now)
        if not path.endswith("/v1/traces"):
            return
        spans = (zlib.decompress(body, wbits=31) if is_packed else body).count(MARK)
        if spans:
            self.spans += spans
            self.requests += 1
            self.body_bytes += len(body)
            self.first = self.first or now
            self.last = now


class Backend(asyncio.Protocol):
    """One connection: as much of HTTP as a Go client sends."""

    def __init__(self, counts: Counts, everything: list[Counts]) -> None:
        self._counts = counts
        self._everything = everything
        self._received = bytearray()
        self._head = b""
        self._missing = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what answers are written to."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Answer every request that is complete."""
        self._received += data
        while len(self._received) >= self._missing:
            if not self._head:
                end = self._received.find(_HEAD_END)
                if end < 0:
                    return
                self._head = bytes(self._received[:end]).lower()
                del self._received[: end + len(_HEAD_END)]
                self._missing = _length(self._head)
                continue
            body = bytes(self._received[: self._missing])
            del self._received[: self._missing]
            head, self._head, self._missing = self._head, b"", 0
            self._answer(head, body)

    def _answer(self, head: bytes, body: bytes) -> None:
        path = head.split(b" ", 2)[1].decode()
        if path == "/counts":
            told = json.dumps([asdict(counts) for counts in self._everything]).encode()
            self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(told), told))
            return
        self._counts.take(path, body, is_packed=b"content-encoding: gzip" in head)
        self._transport.write(_TAKEN)


def _length(head: bytes) -> int:
    if b"transfer-encoding" in head:
        raise ValueError(f"the sink takes bodies of a known length only: {head!r}")
    _, _, rest = head.partition(b"content-length:")
    return int(rest.split(b"\r\n")[0]) if rest else 0


async def serve(ports: list[int]) -> None:
    """Until the process is ended."""
    loop, everything = asyncio.get_running_loop(), [Counts() for _ in ports]
    for port, counts in zip(ports, everything, strict=True):
        await loop.create_server(lambda counts=counts: Backend(counts, everything), "127.0.0.1", port)
        counts.listening = time.monotonic()
    await loop.create_future()


if __name__ == "__main__":
    uvloop.run(serve([int(port) for port in sys.argv[1:]]))
