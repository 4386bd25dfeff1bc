"""The critical path, checked against a plain walk over one trace at a time."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shopscope_ops.answers import critical_paths, plant
from shopscope_ops.answers._critical import OUTLIVES_SHARE
from shopscope_ops.store.schema import SPANS

KINDS = ("", "server", "client", "internal", "producer", "consumer")


@dataclass
class Node:
    """A span of the plain walk."""

    row: int
    process: str
    kind: str
    start: int
    duration: int
    children: list["Node"] = field(default_factory=list)


def table_of(spans: list[dict[str, Any]]) -> pa.Table:
    rows = [dict.fromkeys(SPANS.names, "") | span for span in spans]
    return pa.Table.from_pylist(rows, schema=SPANS)


def tree_of(spans: list[dict[str, Any]]) -> Node:
    nodes = [
        Node(row, f"{s['service']}/{s['instance']}", s["kind"], s["start_unix_nano"], s["duration_nano"])
        for row, s in enumerate(spans)
    ]
    row_of = {span["span_id"]: row for row, span in enumerate(spans)}
    for row, span in enumerate(spans):
        if span["parent_span_id"]:
            nodes[row_of[span["parent_span_id"]]].children.append(nodes[row])
    return nodes[0]


def plain_walk(node: Node, start: int, end: int, shift: int) -> dict[int, tuple[int, int, int]]:
    """Row → (start, end, exclusive) of the spans on the critical path of ``node``, which runs from start to end."""
    waited_for = []
    for child in node.children:
        is_local = child.process == node.process
        child_start, child_shift = child.start + shift, shift
        if not is_local:
            child_shift = 0
            child_start = child.start
            if child_start < start or child_start + child.duration > end:
                child_start = start + max(0, end - start - child.duration) // 2
                child_shift = child_start - child.start
        child_end = child_start + child.duration
        if child.kind == "consumer" or (node.kind == "producer" and not is_local):
            continue
        if is_local and (child_end - end) * OUTLIVES_SHARE > child.duration:
            continue
        if not is_local and child.duration > end - start and node.kind not in {"client", ""}:
            continue
        is_instant_at_end = is_local and child.duration == 0 and child_start == end
        if child_start >= end and not is_instant_at_end:
            continue
        begin = max(child_start, start)
        waited_for.append((max(begin, min(child_end, end)), -begin, child.row, begin, child_shift, child))
    path: dict[int, tuple[int, int, int]] = {}
    exclusive, cursor = end - start, end
    for finish, _, _, begin, child_shift, child in sorted(waited_for, key=lambda each: each[:3], reverse=True):
        if finish <= cursor:
            path |= plain_walk(child, begin, finish, child_shift)
            exclusive -= finish - begin
            cursor = begin
    return path | {node.row: (start, end, exclusive)}


@st.composite
def traces(draw: st.DrawFn) -> list[dict[str, Any]]:
    spans: list[dict[str, Any]] = []
    size = draw(st.integers(1, 14))
    for number in range(size):
        parent = "" if number == 0 else f"s{draw(st.integers(0, number - 1))}"
        spans.append(
            {
                "trace_id": "t",
                "span_id": f"s{number}",
                "parent_span_id": parent,
                "service": draw(st.sampled_from("ab")),
                "instance": draw(st.sampled_from("12")),
                "kind": draw(st.sampled_from(KINDS)),
                "start_unix_nano": draw(st.integers(-10, 60)),
                "duration_nano": draw(st.integers(0, 60)),
            }
        )
    return spans


@given(traces())
def test_equals_the_plain_walk(spans: list[dict[str, Any]]):
    """The columnar sweep finds the spans and times that a walk over one trace finds."""
    root = tree_of(spans)
    expected = plain_walk(root, root.start, root.start + root.duration, 0)
    paths = critical_paths(plant(table_of(spans)), np.array([0]))
    columns = (paths.row.tolist(), paths.start.tolist(), paths.end.tolist(), paths.exclusive.tolist())
    actual = {row: (start, end, exclusive) for row, start, end, exclusive in zip(*columns, strict=True)}
    assert expected == actual


@given(st.lists(traces(), min_size=2, max_size=6))
def test_exclusive_times_add_up_to_each_request(many: list[list[dict[str, Any]]]):
    """Exclusive times are never negative, and add up to the request's duration to the nanosecond."""
    spans, entries = [], []
    for number, trace in enumerate(many):
        entries.append(len(spans))
        spans += [span | {"trace_id": f"t{number}"} for span in trace]
    paths = critical_paths(plant(table_of(spans)), np.array(entries))
    sums = [int(paths.exclusive[paths.request == number].sum()) for number in range(len(many))]
    assert [trace[0]["duration_nano"] for trace in many] == sums
    assert paths.exclusive.min() >= 0


def names_on_path(table: pa.Table) -> dict[str, int]:
    forest = plant(table)
    paths = critical_paths(forest, np.flatnonzero(forest.is_root))
    names = [forest.table["span_id"][row].as_py() for row in paths.row.tolist()]
    return dict(zip(names, (paths.exclusive // 1_000_000).tolist(), strict=True))


def test_sequential_children_share_the_path(spans_of):
    """Calls one after the other are all waited for, and the gaps between them are the parent's own."""
    table = spans_of(
        {"id": "r", "ms": 100},
        {"id": "a", "parent": "r", "at": 10, "ms": 30},
        {"id": "b", "parent": "r", "at": 50, "ms": 40},
    )
    assert {"r": 30, "a": 30, "b": 40} == names_on_path(table)


def test_of_parallel_children_the_last_to_finish_is_waited_for(spans_of):
    """A sibling that finished while a later one still ran cost nothing."""
    table = spans_of(
        {"id": "r", "ms": 100},
        {"id": "a", "parent": "r", "at": 10, "ms": 30},
        {"id": "b", "parent": "r", "at": 10, "ms": 80},
    )
    assert {"r": 20, "b": 80} == names_on_path(table)


def test_child_that_outlives_its_parent_is_not_waited_for(spans_of):
    """Work that a request leaves running in its own process is asynchronous."""
    table = spans_of({"id": "r", "ms": 100}, {"id": "a", "parent": "r", "at": 10, "ms": 200})
    assert {"r": 100} == names_on_path(table)


def test_jitter_at_the_end_is_cut_off(spans_of):
    """A child that ends a moment after its parent was waited for all the same."""
    table = spans_of({"id": "r", "ms": 100}, {"id": "a", "parent": "r", "at": 10, "ms": 90.5})
    assert {"r": 10, "a": 90} == names_on_path(table)


def test_callee_whose_clock_is_wrong_is_centred_in_its_call(spans_of):
    """A server span that its clock puts an hour off lies in the middle of its client span, and its children with it."""
    hour = 3_600_000
    table = spans_of(
        {"id": "r", "ms": 100, "kind": "client"},
        {"id": "s", "parent": "r", "service": "other", "kind": "server", "at": hour, "ms": 60},
        {"id": "x", "parent": "s", "service": "other", "at": hour + 10, "ms": 20},
    )
    forest = plant(table)
    paths = critical_paths(forest, np.array([0]))
    offsets = ((paths.start - paths.start[0]) // 1_000_000).tolist()
    assert ([0, 20, 30], [40, 40, 20]) == (offsets, (paths.exclusive // 1_000_000).tolist())
    assert (1, (hour - 20) * 1_000_000) == (paths.shifted_spans, paths.largest_shift)


def test_callee_that_runs_on_after_a_timeout_is_waited_for_until_then(spans_of):
    """The client gave up after 100 ms: so long it waited for the callee, which worked for 500."""
    table = spans_of(
        {"id": "r", "ms": 120},
        {"id": "c", "parent": "r", "kind": "client", "at": 10, "ms": 100},
        {"id": "s", "parent": "c", "service": "other", "kind": "server", "at": 20, "ms": 500},
    )
    assert {"r": 20, "c": 0, "s": 100} == names_on_path(table)


@pytest.mark.parametrize(
    "child",
    [
        {"id": "x", "parent": "p", "service": "mailer", "kind": "consumer", "at": 20, "ms": 20},
        {"id": "x", "parent": "p", "service": "mailer", "kind": "server", "at": 20, "ms": 5},
    ],
)
def test_what_a_message_causes_is_not_waited_for(spans_of, child):
    """Handing a message over is the request's time, what its receiver does is not."""
    table = spans_of({"id": "r", "ms": 100}, {"id": "p", "parent": "r", "kind": "producer", "at": 10, "ms": 30}, child)
    assert {"r": 70, "p": 30} == names_on_path(table)


def test_long_chain_of_calls_is_followed_to_its_begin(spans_of):
    """A thousand statements one after the other are all on the path."""
    statements = [{"id": f"q{n}", "parent": "r", "at": n, "ms": 1} for n in range(1000)]
    on_path = names_on_path(spans_of({"id": "r", "ms": 1000}, *statements))
    assert (1001, 0) == (len(on_path), on_path["r"])
