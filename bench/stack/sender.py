"""Sends encoded spans as fast as they are taken; prints what was acknowledged.

    python -m bench.stack.sender PORT FOLDER CONNECTIONS seconds|spans NUMBER

FOLDER holds the requests' bodies, each of the same number of spans.
"""

import asyncio
import json
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import uvloop

from bench.connection import Connection
from bench.spans import BATCH

_PAUSE_SECONDS = 0.1  # after a refusal
_MOST_REFUSALS = 1000  # of a collector that takes nothing any more


@dataclass(slots=True)
class Sent:
    """What the sender saw.

    Attributes:
        acknowledged: spans that the collector took.
        refused: spans that it told to send again.
        began: when the first was sent (``time.monotonic`` seconds).
        ended: when the last was answered.
        cpu_seconds: what sending took of the sender's core.
    """

    acknowledged: int = 0
    refused: int = 0
    began: float = 0.0
    ended: float = 0.0
    cpu_seconds: float = 0.0


def encoded(body: bytes) -> bytes:
    """The whole HTTP request."""
    head = b"POST /v1/traces HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-protobuf\r\nContent-Length: %d"
    return b"".join((head % len(body), b"\r\n\r\n", body))


async def send(port: int, requests: list[bytes], connections: int, seconds: float, spans: float) -> Sent:
    """Post over all connections until the time is up or so many spans are acknowledged or on their way."""
    sent, cpu = Sent(began=time.monotonic()), time.process_time()
    open_spans = 0
    end = sent.began + seconds

    async def loop(connection: Connection, number: int) -> None:
        nonlocal open_spans
        while time.monotonic() < end and sent.acknowledged + open_spans < spans:
            open_spans += BATCH
            number = (number + connections) % len(requests)
            status = await connection.call(requests[number])
            open_spans -= BATCH
            if status == 200:
                sent.acknowledged += BATCH
            elif status in {429, 503} and sent.refused < _MOST_REFUSALS * BATCH:
                sent.refused += BATCH
                await asyncio.sleep(_PAUSE_SECONDS)
            else:
                raise RuntimeError(f"the collector answered {status}")

    opened = [await Connection(port).open() for _ in range(connections)]
    try:
        await asyncio.gather(*(loop(connection, number) for number, connection in enumerate(opened)))
    finally:
        for connection in opened:
            connection.close()
    sent.ended = time.monotonic()
    sent.cpu_seconds = time.process_time() - cpu
    return sent


def main() -> None:
    """Read what is to be sent, send it, print a ``Sent``."""
    port, folder, connections, what, number = sys.argv[1:]
    requests = [encoded(path.read_bytes()) for path in sorted(Path(folder).iterdir())]
    limits = {"seconds": float("inf"), "spans": float("inf")} | {what: float(number)}
    print(json.dumps(asdict(uvloop.run(send(int(port), requests, int(connections), **limits)))))


if __name__ == "__main__":
    main()
