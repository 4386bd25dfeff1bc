"""Values that travel between the services."""

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field, SecretStr

CURRENCY = "EUR"
SKU_PATTERN = r"^[A-Z]{3}-\d{5}$"

_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,64}")
_CARD_NUMBER = re.compile(r"(\d[ -]?){12,19}")


def _check_token(token: SecretStr) -> SecretStr:
    text = token.get_secret_value()
    if not _TOKEN.fullmatch(text) or _CARD_NUMBER.fullmatch(text):
        raise ValueError("must be a card token of 1 to 64 letters, digits, _ or -, and never a card number")
    return token


CardToken = Annotated[SecretStr, AfterValidator(_check_token)]
"""The card as the card vault names it; not shown in a repr or a log."""

Sku = Annotated[str, Field(max_length=32)]
CartId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]


class Line(BaseModel):
    """So many of one product."""

    sku: Sku
    quantity: int = Field(gt=0, le=1_000)


class PricedLine(Line):
    """A line with the price of one piece."""

    unit_price_cents: int
