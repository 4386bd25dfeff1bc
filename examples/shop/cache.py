"""Pages kept in Redis, with an explicit answer to how old a page may be."""

import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from fastapi import HTTPException
from redis.asyncio import Redis
from redis.exceptions import RedisError

import shopscope
from shop.faults import FaultSwitch, StorefrontFaults

log = logging.getLogger(__name__)

_SERVER_ERRORS_FROM = 500


@dataclass(frozen=True, slots=True)
class Page:
    """A JSON body, where it comes from, and its age."""

    body: bytes
    state: Literal["fresh", "stale", "miss"]
    age_seconds: float

    @property
    def headers(self) -> dict[str, str]:
        """What the customer is told about it."""
        return {"X-Cache": self.state, "Age": str(int(self.age_seconds))}


class PageCache:
    """Answers from Redis while a page is fresh, asks its owner when it is not, and bridges the owner's outages.

    Args:
        redis: holds the pages.
        faults: the cold-cache fault makes every read miss.
        fresh_seconds: up to this age a page is served without asking anybody.
        stale_seconds: up to this age a page is served when its owner fails; it is forgotten after.
    """

    def __init__(
        self, redis: Redis, faults: FaultSwitch[StorefrontFaults], *, fresh_seconds: float, stale_seconds: float
    ) -> None:
        self._redis = redis
        self._faults = faults
        self._fresh_seconds = fresh_seconds
        self._stale_seconds = stale_seconds

    async def fetch(self, kind: str, key: str, load: Callable[[], Awaitable[bytes]]) -> Page:
        """The page of this kind under ``key``; ``load`` asks its owner.

        Raises:
            HTTPException: what ``load`` raised, if no cached page can stand in for it.
        """
        cached = await self._read(key)
        if cached is not None and cached.state == "fresh":
            shopscope.cache_read(kind, "hit", age_seconds=cached.age_seconds)
            return cached
        try:
            body = await load()
        except HTTPException as error:
            if cached is None or error.status_code < _SERVER_ERRORS_FROM:
                shopscope.cache_read(kind, "miss")
                raise
            shopscope.cache_read(kind, "stale", age_seconds=cached.age_seconds)
            log.warning("served %s from %.0f s ago: %s", key, cached.age_seconds, error.detail)
            return cached
        shopscope.cache_read(kind, "miss")
        if cached is not None and cached.body != body:  # whoever read it last may have read what was no longer true
            shopscope.stale_read(kind)
        await self._write(key, body)
        return Page(body, "miss", 0.0)

    async def _read(self, key: str) -> Page | None:
        if self._faults.now.cold_cache:
            return None
        try:
            entry = await self._redis.get(key)
        except RedisError as error:  # a page can be had without its cache
            log.warning("cache read failed: %s", type(error).__name__)
            return None
        if entry is None:
            return None
        written, _, body = entry.partition(b"\n")
        age_seconds = max(0.0, time.time() - float(written))
        return Page(body, "fresh" if age_seconds <= self._fresh_seconds else "stale", age_seconds)

    async def _write(self, key: str, body: bytes) -> None:
        try:
            await self._redis.set(key, b"%.3f\n%b" % (time.time(), body), px=int(self._stale_seconds * 1000))
        except RedisError as error:
            log.warning("cache write failed: %s", type(error).__name__)
