"""What the span table itself leaves in doubt is counted."""

import dataclasses

from shopscope_ops.answers import Quality, plant
from shopscope_ops.store.schema import SPANS

NONE = Quality(0, 0, 0, 0, 0, 0, 0)


def test_empty_table_is_an_empty_forest():
    """No span, no doubt, no error."""
    assert NONE == plant(SPANS.empty_table()).quality


def test_parents_and_children_are_found_within_their_trace(spans_of):
    """The same span id in two traces is two spans."""
    forest = plant(
        spans_of(
            {"id": "a"},
            {"id": "b", "parent": "a"},
            {"id": "a", "trace": "t2"},
            {"id": "b", "trace": "t2", "parent": "a"},
        )
    )
    assert [-1, 0, -1, 2] == forest.parent.tolist()
    assert [1, 3] == forest.child_rows.tolist()


def test_repeated_span_counts_once(spans_of):
    """An export that was sent again after a lost answer changes nothing but the count of duplicates."""
    forest = plant(spans_of({"id": "a", "ms": 5}, {"id": "b", "parent": "a"}, {"id": "a", "ms": 5}))
    assert dataclasses.replace(NONE, spans=2, traces=1, duplicate_spans=1) == forest.quality
    assert [-1, 0] == forest.parent.tolist()


def test_orphans_and_rootless_traces_are_counted(spans_of):
    """A span whose parent is missing is an orphan; a trace of nothing else has no root."""
    forest = plant(spans_of({"id": "a"}, {"id": "b", "parent": "lost"}, {"id": "c", "trace": "t2", "parent": "lost"}))
    assert dataclasses.replace(NONE, spans=3, traces=2, orphan_spans=2, rootless_traces=1) == forest.quality


def test_cycles_are_counted_with_all_below_them(spans_of):
    """Spans that are their own ancestors, one that is its own parent, and a child of theirs are four cyclic spans."""
    forest = plant(
        spans_of(
            {"id": "root"},
            {"id": "a", "parent": "b"},
            {"id": "b", "parent": "a"},
            {"id": "c", "parent": "a"},
            {"id": "d", "parent": "d"},
        )
    )
    assert dataclasses.replace(NONE, spans=5, traces=1, cyclic_spans=4) == forest.quality


def test_negative_duration_is_an_instant(spans_of):
    """A span that ends before it starts is zero long, and said so."""
    forest = plant(spans_of({"id": "a", "ms": -3}))
    assert ([0], 1) == (forest.duration.tolist(), forest.quality.negative_durations)
