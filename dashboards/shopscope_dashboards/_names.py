"""Names of series, from the SDK's own table and the recording rules: a name that is not there raises at import.

A rename in the SDK thereby breaks the build, and not a panel at three in the morning.
"""

from collections.abc import Collection
from difflib import get_close_matches

from shopscope._metrics._names import METRICS
from shopscope_dashboards._errors import BoardError
from shopscope_dashboards._recorded import RECORDED

_HISTOGRAMS = frozenset(row.family for row in METRICS if row.kind == "histogram")
_SERIES = frozenset(
    f"{row.family}_total" if row.kind == "counter" else row.family for row in METRICS if row.kind != "histogram"
)


def metric(name: str) -> str:
    """The name of a counter (with ``_total``), a gauge, or a native histogram.

    Raises:
        BoardError: the SDK has no such metric.
    """
    return _known(name, _SERIES | _HISTOGRAMS, "a metric of the SDK")


def bucket(histogram: str) -> str:
    """Buckets of a classic histogram.

    Raises:
        BoardError: the SDK has no such histogram.
    """
    return f"{_known(histogram, _HISTOGRAMS, 'a histogram of the SDK')}_bucket"


def count(histogram: str) -> str:
    """Observations of a histogram.

    Raises:
        BoardError: the SDK has no such histogram.
    """
    return f"{_known(histogram, _HISTOGRAMS, 'a histogram of the SDK')}_count"


def total(histogram: str) -> str:
    """Sum of a histogram's observations (``_sum``).

    Raises:
        BoardError: the SDK has no such histogram.
    """
    return f"{_known(histogram, _HISTOGRAMS, 'a histogram of the SDK')}_sum"


def recorded(name: str) -> str:
    """The name of a series that recording rules make.

    Raises:
        BoardError: no rule makes it.
    """
    return _known(name, RECORDED, "a recorded series")


def _known(name: str, names: Collection[str], what: str) -> str:
    if name not in names:
        nearest = get_close_matches(name, sorted(names), n=1)
        hint = f"use {nearest[0]!r}" if nearest else "see docs/reference/metrics.md"
        raise BoardError(f"{what} must exist: {name!r}; {hint}")
    return name
