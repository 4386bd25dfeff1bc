"""Durations and shares as people read them."""

import pytest

from shopscope_ops.answers._words import duration, percent, precise_percent


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0"),
        (0.0000004, "0 µs"),
        (0.00031, "310 µs"),
        (0.0009996, "1.00 ms"),
        (0.084, "84.0 ms"),
        (0.1234, "123 ms"),
        (0.9996, "1.00 s"),
        (1.32, "1.32 s"),
        (123.4, "123 s"),
        (12345.6, "12346 s"),
    ],
)
def test_duration(seconds, text):
    """Three significant figures and the unit that suits, also where rounding crosses a unit."""
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("share", "text"), [(0, "0 %"), (0.004, "< 1 %"), (0.784, "78 %"), (0.996, "100 %"), (1, "100 %")]
)
def test_percent(share, text):
    """Whole percentages; what is there is never 0."""
    assert percent(share) == text


@pytest.mark.parametrize(
    ("share", "text"), [(1, "100 %"), (0.99999, "99.99 %"), (0.995, "99.5 %"), (0.9, "90 %"), (0.5, "50 %")]
)
def test_precise_percent(share, text):
    """Near 100 two decimals count, and 100 is reached only when nothing was bad."""
    assert precise_percent(share) == text
