"""A service that is asked once, as soon as it runs, with the SDK at its defaults; lives until its input ends."""

import asyncio
import sys

import fastapi
import httpx

import shopscope


async def main() -> None:
    """One request without sockets; the SDK sends what it has recorded when it does so anyway."""
    app = fastapi.FastAPI()

    @app.post("/checkout")
    async def checkout() -> dict[str, bool]:
        return {"is_placed": True}

    shopscope.init("storefront", app=app)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://shop.test") as client:
        (await client.post("/checkout")).raise_for_status()
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
