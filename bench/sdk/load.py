"""Load for the service: as much as goes, or at a pace."""

import asyncio
import time

from bench.connection import Connection

REQUEST = (
    b"POST /checkout/7 HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: bench/1\r\nContent-Type: application/json\r\n"
    b'Content-Length: 28\r\n\r\n{"sku":"sku-1","quantity":2}'
)


async def _call(connection: Connection) -> None:
    if (status := await connection.call(REQUEST)) != 200:
        raise RuntimeError(f"the service answered {status}")


async def saturate(port: int, seconds: float, connections: int) -> list[float]:
    """Seconds of each request, ``connections`` at a time as fast as they go."""
    end = time.perf_counter() + seconds
    taken: list[float] = []

    async def loop(connection: Connection) -> None:
        while (started := time.perf_counter()) < end:
            await _call(connection)
            taken.append(time.perf_counter() - started)

    opened = [await Connection(port).open() for _ in range(connections)]
    await asyncio.gather(*map(loop, opened))
    return taken


async def pace(port: int, seconds: float, rate: float) -> list[float]:
    """Seconds of each request, ``rate`` a second whatever the service does.

    Each starts on time by itself, so that a slow answer delays no other; timed from when it was really sent, because
    the client's own timer is a millisecond coarse.
    """
    idle = [await Connection(port).open() for _ in range(64)]
    taken: list[float] = []
    begin = time.perf_counter() + 0.05

    async def one() -> None:
        connection = idle.pop() if idle else await Connection(port).open()
        started = time.perf_counter()
        await _call(connection)
        taken.append(time.perf_counter() - started)
        idle.append(connection)

    async with asyncio.TaskGroup() as tasks:
        for number in range(int(seconds * rate)):
            intended = begin + number / rate
            delay = intended - time.perf_counter()
            if delay > 0:
                await asyncio.sleep(delay)
            tasks.create_task(one())
    return taken
