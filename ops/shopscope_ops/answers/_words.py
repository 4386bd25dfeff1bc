"""Durations and shares as people read them."""

__all__ = ["duration", "percent", "precise_percent"]

_MILLISECOND = 1e-3
_ROUNDS_UP = 0.9995
_THREE_DIGITS = 999.5
_TWO_DECIMALS_FROM = 0.9


def duration(seconds: float) -> str:
    """Three significant figures and the unit that suits: ``1.32 s``, ``84.0 ms``, ``310 µs``."""
    if seconds == 0:
        return "0"
    if seconds >= _THREE_DIGITS:
        return f"{seconds:.0f} s"
    if seconds >= _ROUNDS_UP:
        return f"{seconds:#.3g}".rstrip(".") + " s"
    if seconds >= _ROUNDS_UP * _MILLISECOND:
        return f"{seconds * 1e3:#.3g}".rstrip(".") + " ms"
    return f"{seconds * 1e6:.0f} µs"


def percent(share: float) -> str:
    """A share of time as a whole percentage: ``78 %``; what is there but small is ``< 1 %``."""
    return "< 1 %" if 0 < share < 0.005 else f"{share * 100:.0f} %"  # noqa: PLR2004 - rounds to 0


def precise_percent(share: float) -> str:
    """A share of good events: ``99.5 %``; two decimals near 100, which it reaches only when nothing was bad."""
    if share < _TWO_DECIMALS_FROM or share == 1:
        return percent(share)
    return f"{min(share, 0.9999) * 100:.2f}".rstrip("0").rstrip(".") + " %"
