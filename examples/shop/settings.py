"""The shop's configuration, read once from the environment."""

import os
import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

_CREDENTIALS = re.compile(r"//[^@/]*@")


_EXAMPLES = {
    "SHOP_DATABASE_URL": "should look like postgresql+asyncpg://user:password@host/database",
    "SHOP_REDIS_URL": "should look like redis://:password@host:6379/0",
    "SHOP_SEARCH_RATE_LIMIT": "should look like 30000/minute",
}


class SettingsError(SystemExit):
    """One or more settings are missing or wrong; the process ends with this message and without a traceback."""


class Settings(BaseModel):
    """Every setting of every service; each field ``x`` is read from ``SHOP_X``."""

    model_config = ConfigDict(frozen=True, extra="ignore", alias_generator=lambda name: f"SHOP_{name.upper()}")

    database_url: str = Field("", pattern=r"^(postgresql\+asyncpg://.+)?$")
    database_pool_size: int = Field(8, ge=1, le=100)
    database_pool_wait_seconds: float = Field(3.0, gt=0, le=60)
    redis_url: str = Field("", pattern=r"^((redis|rediss|unix)://.+)?$")

    search_url: str = Field("http://127.0.0.1:8602", pattern=r"^https?://")
    checkout_url: str = Field("http://127.0.0.1:8603", pattern=r"^https?://")
    inventory_url: str = Field("http://127.0.0.1:8604", pattern=r"^https?://")
    payment_url: str = Field("http://127.0.0.1:8605", pattern=r"^https?://")
    bank_url: str = Field("http://127.0.0.1:8606", pattern=r"^https?://")

    page_fresh_seconds: float = Field(10.0, ge=0, le=86_400)
    page_stale_seconds: float = Field(300.0, ge=1, le=86_400)
    cart_seconds: int = Field(86_400, ge=1, le=2_592_000)
    search_rate_limit: str = Field("30000/minute", pattern=r"^[1-9]\d*/(second|minute|hour|day)$")
    reservation_attempts: int = Field(4, ge=1, le=20)

    bank_timeout_seconds: float = Field(2.5, gt=0, le=60)
    bank_attempts: int = Field(3, ge=1, le=10)
    bank_breaker_failures: int = Field(5, ge=1, le=1000)
    bank_breaker_open_seconds: float = Field(10.0, gt=0, le=3600)
    bank_latency_seconds: float = Field(0.025, ge=0, le=10)
    bank_decline_share: float = Field(0.02, ge=0, le=1)

    @model_validator(mode="after")
    def _stale_is_not_shorter_than_fresh(self) -> "Settings":
        if self.page_stale_seconds < self.page_fresh_seconds:
            raise ValueError("SHOP_PAGE_STALE_SECONDS must be >= SHOP_PAGE_FRESH_SECONDS")
        return self


def load_settings(*required: str, environ: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings of one service.

    Args:
        required: names such as ``SHOP_DATABASE_URL`` that this service cannot run without.
        environ: where the settings are read from.

    Raises:
        SettingsError: lists every missing and every wrong setting at once.
    """
    problems = [f"{name} is required: set it to its URL" for name in required if not environ.get(name)]
    try:
        settings = Settings.model_validate({k: v for k, v in environ.items() if k.startswith("SHOP_")})
    except ValidationError as error:
        problems += [_problem({**fault}) for fault in error.errors()]
    if problems:
        raise SettingsError("The shop's settings are wrong:\n" + "\n".join(f"  - {p}" for p in problems))
    return settings


def _problem(fault: dict[str, Any]) -> str:
    """One line of the error: name, rule, value; a URL's password is never shown."""
    rule = fault["msg"].removeprefix("Value error, ")
    if not fault["loc"]:
        return str(rule)
    value = _CREDENTIALS.sub("//***@", str(fault["input"]))
    name = fault["loc"][0]
    return f"{name}: {_EXAMPLES.get(name, rule)}, but it is {value!r}"
