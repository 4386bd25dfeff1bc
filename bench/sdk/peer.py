"""What stands around the measured service: a sink for telemetry, a peer that answers at once, and one that hangs."""

import asyncio
import sys

import uvicorn
from starlette.types import Receive, Scope, Send


async def answer(scope: Scope, receive: Receive, send: Send) -> None:
    """Read the whole request and answer 200: OTLP and the Datadog agent's protocol are content with that."""
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body"):
        pass
    is_datadog = scope["path"].startswith("/v0.")
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": b'{"rate_by_service":{}}' if is_datadog else b""})


async def hang(scope: Scope, receive: Receive, _send: Send) -> None:
    """Read and never answer."""
    if scope["type"] == "http":
        while (await receive()).get("more_body"):
            pass
        await asyncio.sleep(3600)


if __name__ == "__main__":
    app = hang if sys.argv[2] == "hang" else answer
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", access_log=False, lifespan="off")
