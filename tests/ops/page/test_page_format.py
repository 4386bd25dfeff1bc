"""Numbers as a reader on call wants them."""

import pytest

from shopscope_ops.page import _format

NBSP = "\N{NO-BREAK SPACE}"
NOON = 1_764_000_000_042_000_000  # 2025-11-24 16:00:00.042 UTC


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, _format.UNKNOWN),
        (float("nan"), _format.UNKNOWN),
        (0.0, "0 µs"),
        (0.000038, "38 µs"),
        (0.00412, "4.12 ms"),
        (0.0999, "99.9 ms"),
        (0.09996, "100 ms"),
        (0.412, "412 ms"),
        (0.9994, "999 ms"),
        (0.9996, "1.00 s"),
        (1.916, "1.92 s"),
        (9.996, "10.0 s"),
        (99.96, "1 min 40 s"),
        (124.0, "2 min 4 s"),
    ],
)
def test_a_duration_has_three_digits_and_a_unit(seconds, text):
    """Rounding never leaves four digits, and an unknown duration is a dash."""
    assert _format.duration_text(seconds).replace(NBSP, " ") == text


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (None, _format.UNKNOWN),
        (1.0, "100 %"),
        (0.99997, "99.99 %"),
        (0.995, "99.5 %"),
        (0.99, "99 %"),
        (0.9319, "93.1 %"),
        (0.57, "57 %"),
        (0.0, "0 %"),
    ],
)
def test_a_share_is_cut_and_not_rounded(share, text):
    """One failure among a million is not 100 %."""
    assert _format.share_text(share).replace(NBSP, " ") == text


@pytest.mark.parametrize(("share", "text"), [(0.0, "0 %"), (0.002, "<1 %"), (0.62, "62 %"), (1.0, "100 %")])
def test_a_small_part_is_not_nothing(share, text):
    """What would round to nothing is said to be less than one."""
    assert _format.part_text(share).replace(NBSP, " ") == text


@pytest.mark.parametrize(
    ("per_second", "text"),
    [(None, _format.UNKNOWN), (0.0, "0/min"), (0.05, "3/min"), (0.7, "0.7/s"), (12.42, "12.4/s"), (1234.5, "1,234/s")],
)
def test_a_rate_has_the_unit_that_suits_it(per_second, text):
    """Rare requests are counted by the minute."""
    assert _format.rate_text(per_second) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "just now"),
        (1, "just now"),
        (12, "12 s ago"),
        (59, "59 s ago"),
        (61, "1 min ago"),
        (3_700, "1 h ago"),
        (90_000, "25 h ago"),
        (200_000, "2 d ago"),
    ],
)
def test_an_age_has_one_unit(seconds, text):
    """The coarsest unit that says something; a time in the future is now."""
    assert _format.ago_text(NOON, NOON + seconds * 1_000_000_000).replace(NBSP, " ") == text


def test_times_are_utc_to_the_millisecond():
    """Nanoseconds are cut as integers: a float would be off."""
    assert (_format.clock_text(NOON), _format.stamp_text(NOON), _format.iso_text(NOON)) == (
        "16:00:00",
        "2025-11-24 16:00:00.042",
        "2025-11-24T16:00:00.042Z",
    )


@pytest.mark.parametrize(("words", "text"), [(["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c")])
def test_a_listing_reads_as_prose(words, text):
    """Commas, and a last and."""
    assert _format.listing(words) == text


@pytest.mark.parametrize(("count", "text"), [(1, "1 span"), (0, "0 spans"), (1204, "1,204 spans")])
def test_a_count_agrees_with_its_noun(count, text):
    """One span, two spans."""
    assert _format.count_text(count, "span").replace(NBSP, " ") == text
