"""PromQL that several boards share: the environment that was chosen, a process's release, shares that are no gaps."""

from collections.abc import Sequence
from typing import Final

#: Selector of the environment that is chosen at the top of a board; also of services that say none.
ENVIRONMENT_IS: Final = 'deployment_environment_name=~"$environment"'

RATE: Final = "$__rate_interval"

# A restarted process may keep its instance id: of its two releases the one that was heard of last counts.
_PROCESSES: Final = f"topk by (job, instance) (1, timestamp(target_info{{{ENVIRONMENT_IS}}})) ^ 0"


def rate(series: str, selector: str) -> str:
    """Increase per second of a counter's series."""
    return f"rate({series}{{{selector}}}[{RATE}])"


def quantile(share: float, buckets: str, by: Sequence[str] = ()) -> str:
    """A quantile of rates of buckets, summed up to the labels ``by``."""
    return f"histogram_quantile({share:g}, sum by ({', '.join(('le', *by))}) ({buckets}))"


def share(part: str, whole: str, by: Sequence[str] = ()) -> str:
    """How much of ``whole`` ``part`` is; 0 and no gap where ``part`` has no series."""
    summed = f"sum by ({', '.join(by)}) " if by else "sum "
    return f"({summed}({part}) or 0 * {summed}({whole})) / {summed}({whole})"


def with_process(rates: str, *labels: str) -> str:
    """The same series with what only ``target_info`` knows of their process, such as ``service_version``.

    Series of a process that has none, as when it is scraped, stay as they are.
    """
    joined = f"{rates} * on (job, instance) group_left ({', '.join(labels)}) ({_PROCESSES})"
    return f"({joined} or {rates} unless on (job, instance) ({_PROCESSES}))"


def processes() -> str:
    """1 for each process, with all that ``target_info`` knows of it."""
    return f"({_PROCESSES})"


def money_unit(currency: str) -> str:
    """Grafana's name for a currency, by its ISO code."""
    return f"currency{currency}" if currency in _CURRENCIES else f"currency:{currency}"


# https://github.com/grafana/grafana/blob/main/packages/grafana-data/src/valueFormats/categories.ts
_CURRENCIES: Final = frozenset(
    {"BRL", "CHF", "CZK", "DKK", "EUR", "GBP", "IDR", "ILS", "INR", "ISK", "JPY", "KRW", "MYR", "NOK", "PHP", "PLN"}
    | {"RUB", "SEK", "TRY", "UAH", "USD", "VND", "ZAR"}
)
