"""Numbers as a reader on call wants them: few digits, a unit beside each, never rounded to the better side."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

NO_BREAK: Final = "\N{NO-BREAK SPACE}"
MINUS: Final = "\N{MINUS SIGN}"
UNKNOWN: Final = "\N{EN DASH}"
NANOS: Final = 1_000_000_000


def duration_text(seconds: float | None) -> str:
    """``38 µs``, ``4.1 ms``, ``412 ms``, ``1.92 s``, ``2 min 4 s``; a dash when unknown.

    Args:
        seconds: the duration in seconds, or None.
    """
    if seconds is None or not math.isfinite(seconds):
        return UNKNOWN
    if seconds >= 99.95:  # noqa: PLR2004 - from here on "100 s" would follow "99.9 s"
        minutes, rest = divmod(round(seconds), 60)
        return f"{minutes}{NO_BREAK}min {rest}{NO_BREAK}s"
    for unit, scale in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= scale * 0.9995:
            return f"{_three_digits(seconds / scale)}{NO_BREAK}{unit}"
    return f"{round(seconds * 1e6)}{NO_BREAK}µs"


def _three_digits(value: float) -> str:
    # 9.996 has to become 10.0, not 10.00: the digits are counted after rounding
    for digits, limit in ((2, 9.995), (1, 99.95)):
        if value < limit:
            return f"{value:.{digits}f}"
    return f"{value:.0f}"


def share_text(share: float | None) -> str:
    """A share as a percentage, cut and not rounded: ``99.97 %`` never reads as ``100 %``.

    Args:
        share: between 0 and 1, or None.
    """
    if share is None or not math.isfinite(share):
        return UNKNOWN
    digits = 2 if share >= 0.99 else 1  # noqa: PLR2004 - near an objective the second decimal decides
    # a tiny nudge keeps 0.57 * 100 = 56.99999999999999 at 57
    cut = math.floor(share * 100 * 10**digits + 1e-6) / 10**digits
    return f"{cut:.{digits}f}".rstrip("0").removesuffix(".") + f"{NO_BREAK}%"


def part_text(share: float) -> str:
    """A part of a whole in full per cent: ``62 %``; ``<1 %`` for a trace of something."""
    if 0 < share < 0.005:  # noqa: PLR2004 - what would round to nothing
        return f"<1{NO_BREAK}%"
    return f"{share * 100:.0f}{NO_BREAK}%"


def rate_text(per_second: float | None) -> str:
    """``12.4/s``, or ``3/min`` where a second sees less than one in five.

    Args:
        per_second: events a second, or None.
    """
    if per_second is None or not math.isfinite(per_second):
        return UNKNOWN
    if per_second >= 100:  # noqa: PLR2004 - decimals are noise from here
        return f"{per_second:,.0f}/s"
    if per_second >= 0.2:  # noqa: PLR2004 - see above
        return f"{per_second:.1f}/s"
    return f"{per_second * 60:.1f}/min".replace(".0/", "/")


def count_text(count: int, noun: str) -> str:
    """``1 span``, ``1,204 spans``."""
    return f"{count:,}{NO_BREAK}{noun}" + ("" if count == 1 else "s")


def clock_text(unix_nano: int) -> str:
    """The time of day in UTC: ``07:01:15``."""
    return _utc(unix_nano).strftime("%H:%M:%S")


def stamp_text(unix_nano: int) -> str:
    """Date and time in UTC to the millisecond: ``2026-11-24 07:01:15.042``."""
    return _utc(unix_nano).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]


def iso_text(unix_nano: int) -> str:
    """The time as the ``datetime`` attribute of a ``time`` element wants it."""
    return _utc(unix_nano).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def ago_text(unix_nano: int, now_nano: int) -> str:
    """How long ago: ``just now``, ``12 s ago``, ``4 min ago``, ``3 h ago``, ``2 d ago``."""
    seconds = max(0, now_nano - unix_nano) // NANOS
    if seconds < 2:  # noqa: PLR2004 - one refresh of the page
        return "just now"
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size or (unit != "d" and seconds >= size):
            return f"{seconds // size}{NO_BREAK}{unit} ago"
    return f"{seconds}{NO_BREAK}s ago"


def listing(words: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _utc(unix_nano: int) -> datetime:
    # divided as integers: a float of nanoseconds would be off by hundreds of them
    return datetime.fromtimestamp(unix_nano // NANOS, tz=UTC).replace(microsecond=unix_nano % NANOS // 1_000)
