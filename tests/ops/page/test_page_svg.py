"""Sparklines."""

from xml.etree import ElementTree as ET

from shopscope_ops.page._svg import sparkline

SVG = "{http://www.w3.org/2000/svg}"


def _paths(markup):
    root = ET.fromstring(str(markup).replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1))  # noqa: S314 - our own
    return {path.get("class"): path.get("d") for path in root.iter(f"{SVG}path")}


def test_the_line_is_drawn_twice_and_cut_at_the_threshold():
    """What is above the threshold has a class of its own, and the last point says where the line ends."""
    paths = _paths(sparkline([0.1, 0.2, 0.9], 0.8, "p99"))
    assert (sorted(paths), paths["line over"]) == (
        ["dot over", "limit", "line over", "line under"],
        paths["line under"],
    )


def test_a_gap_breaks_the_line():
    """Nothing is drawn where nothing was measured, and a lonely point is a dot."""
    line = _paths(sparkline([0.1, 0.1, None, 0.1], 0.8, "p99"))["line under"]
    assert (line.count("M"), line.count("L"), line.count("h0")) == (2, 1, 1)


def test_without_a_value_only_the_threshold_is_drawn():
    """An empty history is no error."""
    paths = _paths(sparkline([None, None], 0.8, "p99"))
    assert (paths["line under"], paths["dot under"], paths["limit"][:2]) == ("", "", "M0")


def test_a_value_far_above_stays_inside_the_drawing():
    """It runs along the upper edge, and what is near the threshold can still be told apart."""
    line = _paths(sparkline([0.0, 80.0, 1.6], 0.8, "p99"))["line over"]
    assert line == "M3.0 33.0L80.0 3.0L157.0 18.0"


def test_without_a_threshold_the_line_fills_the_drawing():
    """A route that no journey claims has none."""
    assert _paths(sparkline([0.0, 5.0], 0.0, "p99"))["line over"] == "M3.0 33.0L157.0 3.0"


def test_the_label_is_escaped():
    """A journey may be named by a span, and a span by anybody."""
    assert 'aria-label="&lt;script&gt;&#34;"' in sparkline([1.0], 1.0, '<script>"')
