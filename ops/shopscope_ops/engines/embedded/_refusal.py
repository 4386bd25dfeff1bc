"""Answers that say no, in the form that OTLP asks for: a ``google.rpc.Status`` in the request's encoding."""

from typing import Final

import orjson
from starlette.responses import Response

from shopscope_ops.store.otlp import JSON, PROTOBUF

__all__ = ["Refusal", "status_response"]

_RPC_CODES: Final = {400: 3, 404: 5, 405: 12, 408: 4, 413: 8, 415: 3, 429: 8, 500: 13, 503: 14}
"""The ``google.rpc.Code`` that belongs to each HTTP status."""

_CONTINUES: Final = 0x80


class Refusal(Exception):  # noqa: N818  # not an error of ours: an answer that unwinds the stack
    """An HTTP answer other than 200.

    Attributes:
        status: HTTP status.
        retry_after_seconds: when the sender may try again; None when it must not.
    """

    def __init__(self, status: int, message: str, retry_after_seconds: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after_seconds = retry_after_seconds


def status_response(refusal: Refusal, content_type: str) -> Response:
    """The refusal as an HTTP response: in protobuf to who speaks that, else in JSON."""
    headers = {} if refusal.retry_after_seconds is None else {"retry-after": str(refusal.retry_after_seconds)}
    code, message = _RPC_CODES.get(refusal.status, 2), str(refusal)
    is_protobuf = content_type == PROTOBUF
    body = _encode_status(code, message) if is_protobuf else orjson.dumps({"code": code, "message": message})
    return Response(body, refusal.status, headers, PROTOBUF if is_protobuf else JSON)


def _encode_status(code: int, message: str) -> bytes:
    """``google.rpc.Status`` {code = 1, message = 2}: two fields are not worth a dependency on googleapis."""
    text = message.encode()
    return b"\x08" + _varint(code) + b"\x12" + _varint(len(text)) + text


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number >= _CONTINUES:
        encoded.append(number & 0x7F | _CONTINUES)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)
