"""A client that costs little: a keep-alive connection over plain asyncio streams."""

import asyncio


class Connection:
    """One keep-alive connection."""

    def __init__(self, port: int) -> None:
        self.port = port

    async def open(self) -> "Connection":
        """Connect."""
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        return self

    async def call(self, request: bytes) -> int:
        """One request and its whole answer; returns the status."""
        self.writer.write(request)
        head = (await self.reader.readuntil(b"\r\n\r\n")).lower()
        _, has_length, rest = head.partition(b"content-length:")
        if has_length:
            await self.reader.readexactly(int(rest.split(b"\r\n")[0]))
        elif b"chunked" in head:
            raise RuntimeError(head)
        return int(head.split(b" ", 2)[1])

    def close(self) -> None:
        """Hang up."""
        self.writer.close()
