"""A request's body: read within bounds of size and time, and decompressed within a bound."""

import asyncio
import zlib
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request

from shopscope_ops.engines.embedded._refusal import Refusal

__all__ = ["MAX_BODY_BYTES", "BodyReader", "decompress"]

MAX_BODY_BYTES: Final = 20 * 1024 * 1024
"""For the body as sent and again for the body decompressed; the collector's own default."""

_MAX_WAITING_BYTES: Final = 64 * 1024 * 1024
_MAX_SECONDS: Final = 30.0
_GZIP: Final = zlib.MAX_WBITS | 16
_ZLIB: Final = zlib.MAX_WBITS
_RAW_DEFLATE: Final = -zlib.MAX_WBITS


@dataclass(slots=True)
class BodyReader:
    """Reads bodies and knows how many bytes of them are in memory, over all requests.

    Attributes:
        max_seconds: a body that takes longer is refused, so that slow senders do not pile up.
        waiting_bytes: bytes of bodies read and not yet released.
    """

    max_seconds: float = _MAX_SECONDS
    waiting_bytes: int = 0

    async def read(self, request: Request) -> bytes:
        """The body as sent; the caller gives it back with ``release``.

        Raises:
            Refusal: too large (413), too slow (408), or too many at once (429).
        """
        declared = request.headers.get("content-length", "0")
        if declared.isdigit() and int(declared) > MAX_BODY_BYTES:
            raise _too_large(f"{declared} bytes")
        chunks: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(self.max_seconds):
                async for chunk in request.stream():
                    size += len(chunk)
                    self._admit(chunk, size)
                    chunks.append(chunk)
        except TimeoutError:
            self.waiting_bytes -= size
            raise Refusal(
                408, f"body must arrive within {self.max_seconds:g} s: {size} bytes came; send faster"
            ) from None
        except BaseException:
            self.waiting_bytes -= size
            raise
        return b"".join(chunks)

    def _admit(self, chunk: bytes, size: int) -> None:
        self.waiting_bytes += len(chunk)
        if size > MAX_BODY_BYTES:
            raise _too_large("more")
        if self.waiting_bytes > _MAX_WAITING_BYTES:
            raise Refusal(429, "too many requests at once wait in memory; send again later", 1)

    def release(self, body: bytes) -> None:
        """The body is no longer in memory."""
        self.waiting_bytes -= len(body)


def decompress(body: bytes, encoding: str) -> bytes:
    """The body without its content encoding; never makes more than ``MAX_BODY_BYTES``, whatever the body claims.

    Raises:
        Refusal: unknown encoding (415), broken data (400), or too large when decompressed (413).
    """
    if encoding in ("", "identity"):
        return body
    if encoding == "gzip":
        return _inflate(body, _GZIP, encoding)
    if encoding == "deflate":
        # HTTP's deflate is zlib; some senders leave its header out. A zlib header is a multiple of 31 by definition.
        has_header = len(body) > 1 and (body[0] & 0x0F) == zlib.DEFLATED and int.from_bytes(body[:2]) % 31 == 0
        return _inflate(body, _ZLIB if has_header else _RAW_DEFLATE, encoding)
    raise Refusal(415, f"content-encoding must be gzip, deflate or identity: {encoding!r}; choose one of them")


def _inflate(body: bytes, window_bits: int, encoding: str) -> bytes:
    parts: list[bytes] = []
    size = 0
    rest = body
    while rest or not parts:
        stream = zlib.decompressobj(window_bits)
        try:
            parts.append(stream.decompress(rest, MAX_BODY_BYTES + 1 - size))
        except zlib.error as error:
            raise Refusal(400, f"body must be {encoding} data: {error}; check the exporter's compression") from error
        size += len(parts[-1])
        if size > MAX_BODY_BYTES:
            raise _too_large("more when decompressed")
        if not stream.eof:
            raise Refusal(
                400, f"body must be complete {encoding} data: it ends early; check the exporter's compression"
            )
        rest = stream.unused_data
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _too_large(found: str) -> Refusal:
    return Refusal(413, f"body must be at most {MAX_BODY_BYTES} bytes: {found}; send smaller batches")
