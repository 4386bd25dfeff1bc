"""How one service of the shop asks another."""

from typing import Any

import httpx
from fastapi import HTTPException

# A caller can do something about these; every other failure between two services is a fault of the shop itself.
_PASSED_ON = frozenset({402, 404, 409, 429, 503})


def open_client() -> httpx.AsyncClient:
    """The one HTTP client of a service: connections are kept and reused.

    An idle connection is dropped a second before uvicorn (5 s) would, so that no request meets a closing one.
    """
    return httpx.AsyncClient(limits=httpx.Limits(max_connections=200, keepalive_expiry=4.0))


async def ask(client: httpx.AsyncClient, peer: str, method: str, url: str, **arguments: Any) -> httpx.Response:
    """One call, tried once; its failure becomes the answer that the caller's own caller should get.

    Raises:
        HTTPException: what the peer said, for 402, 404, 409, 429 and 503; 502 if the peer failed; 503 if it cannot be
            reached or is too slow.
    """
    try:
        response = await client.request(method, url, **arguments)
    except httpx.TimeoutException as error:
        raise HTTPException(503, f"{peer} did not answer in time") from error
    except httpx.TransportError as error:
        raise HTTPException(503, f"{peer} cannot be reached") from error
    if response.is_success:
        return response
    if response.status_code in _PASSED_ON:
        retry_after = response.headers.get("Retry-After")
        raise HTTPException(
            response.status_code, _detail(response), {"Retry-After": retry_after} if retry_after else None
        )
    raise HTTPException(502, f"{peer} failed")


def _detail(response: httpx.Response) -> str:
    """What the peer says went wrong."""
    try:
        return str(response.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return response.reason_phrase
