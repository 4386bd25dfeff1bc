"""Sparklines as plain SVG text: small, fast, and the same in a test as in a browser."""

from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise
from typing import Final

from markupsafe import Markup

_WIDTH: Final = 160.0
_HEIGHT: Final = 36.0
_MARGIN: Final = 3.0
# The threshold never touches the upper edge, so that a line above it can be seen.
_HEADROOM: Final = 1.35
# One outage must not press the rest of the line flat: beyond this many thresholds it runs along the upper edge.
_CEILING: Final = 4.0


def sparkline(values: Sequence[float | None], threshold: float, label: str) -> Markup:
    """A line over time with the threshold drawn; what lies above the threshold is a path of class ``over``.

    Args:
        values: one value a bucket, oldest first; None where nothing was measured, which breaks the line.
        threshold: where the dashed line is drawn, in the unit of the values.
        label: what a screen reader says.
    """
    known = [value for value in values if value is not None]
    highest = max(known, default=0.0)
    top = max(threshold * _HEADROOM, min(highest, threshold * _CEILING) if threshold else highest) or 1.0
    level = _HEIGHT - _MARGIN - threshold / top * (_HEIGHT - 2 * _MARGIN)
    points = [
        None if value is None else _place(index, len(values), min(value / top, 1.0))
        for index, value in enumerate(values)
    ]
    line = "".join(_runs(points))
    last = next((point for point in reversed(points) if point is not None), None)
    # a line of no length with round ends stays a circle however the drawing is stretched
    dot = "" if last is None else f"M{last[0]:.1f} {last[1]:.1f}h0"
    state = "over" if known and last is not None and last[1] < level else "under"
    # an inner <svg> clips what leaves it: the same line is drawn twice, above the threshold and below
    return Markup(
        '<svg class="spark" viewBox="0 0 {w:g} {h:g}" preserveAspectRatio="none" role="img" aria-label="{label}">'
        '<path class="limit" d="M0 {level:.1f}H{w:g}"/>'
        '<svg width="{w:g}" height="{level:.1f}" viewBox="0 0 {w:g} {level:.1f}" preserveAspectRatio="none">'
        '<path class="line over" d="{line}"/></svg>'
        '<svg y="{level:.1f}" width="{w:g}" height="{rest:.1f}" viewBox="0 {level:.1f} {w:g} {rest:.1f}"'
        ' preserveAspectRatio="none"><path class="line under" d="{line}"/></svg>'
        '<path class="dot {state}" d="{dot}"/></svg>'
    ).format(w=_WIDTH, h=_HEIGHT, level=level, rest=_HEIGHT - level, line=line, dot=dot, state=state, label=label)


def _place(index: int, count: int, part: float) -> tuple[float, float]:
    across = index / (count - 1) if count > 1 else 1.0
    return _MARGIN + across * (_WIDTH - 2 * _MARGIN), _HEIGHT - _MARGIN - part * (_HEIGHT - 2 * _MARGIN)


def _runs(points: Sequence[tuple[float, float] | None]) -> Iterator[str]:
    """One sub-path for each unbroken run; a run of one point is a dot."""
    for is_known, group in groupby(points, key=lambda point: point is not None):
        if not is_known:
            continue
        run = [point for point in group if point is not None]
        yield f"M{run[0][0]:.1f} {run[0][1]:.1f}" + ("h0" if len(run) == 1 else "")
        yield from (f"L{x:.1f} {y:.1f}" for _, (x, y) in pairwise(run))
