"""The generated reference of metrics is what the SDK measures."""

from pathlib import Path

from shopscope._metrics._names import METRICS
from shopscope_ops.reference import pages

PAGE = Path(__file__).parents[3] / "docs/reference/metrics.md"


def test_page_is_current():
    """``make generate`` would change nothing."""
    assert pages()["metrics.md"] == PAGE.read_text(encoding="utf-8")


def test_every_metric_is_on_the_page_once():
    """No row of the table is left out or there twice, and each says what it is."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    names = [line.split("`")[1] for line in lines if line.startswith("| `")]
    expected = [row.family + ("_total" if row.kind == "counter" else "") for row in METRICS]
    assert sorted(expected) == sorted(names)
    assert [] == [row.family for row in METRICS if not row.description.endswith(".")]


def test_names_are_there_once():
    """No two rows share a name in either form; labels from data are labels of the row."""
    assert len(METRICS) == len({row.family for row in METRICS}) == len({row.otlp for row in METRICS})
    assert [] == [row.family for row in METRICS if not set(row.unbounded) <= set(row.labels)]
