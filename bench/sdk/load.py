"""A client that costs little: keep-alive connections over plain asyncio streams."""

import asyncio
import time

REQUEST = (
    b"POST /checkout/7 HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: bench/1\r\nContent-Type: application/json\r\n"
    b'Content-Length: 28\r\n\r\n{"sku":"sku-1","quantity":2}'
)


class Connection:
    """One keep-alive connection."""

    def __init__(self, port: int) -> None:
        self.port = port

    async def open(self) -> "Connection":
        """Connect."""
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        return self

    async def call(self) -> None:
        """One request and its whole answer."""
        self.writer.write(REQUEST)
        head = await self.reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(head)
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        await self.reader.readexactly(length)


async def saturate(port: int, seconds: float, connections: int) -> list[float]:
    """Seconds of each request, ``connections`` at a time as fast as they go."""
    end = time.perf_counter() + seconds
    taken: list[float] = []

    async def loop(connection: Connection) -> None:
        while (started := time.perf_counter()) < end:
            await connection.call()
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
        await connection.call()
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
