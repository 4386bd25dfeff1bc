"""Our histogram counts as prometheus_client's does, whatever comes and however it is grouped."""

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram

from shopscope._metrics._series import CappedHistogram

BOUNDS = (0.005, 0.1, 0.8, 2.5)
VALUES = st.one_of(st.sampled_from(BOUNDS), st.floats(min_value=-1, max_value=10), st.just(float("inf")))
EXAMPLES = st.one_of(st.none(), st.tuples(st.integers(1, 2**128 - 1), st.integers(1, 2**64 - 1)))


def counts_of(histogram):
    (family,) = histogram.collect()
    return {
        (one.name, *one.labels.values()): one.value
        for one in family.samples
        if not one.name.endswith(("_created", "_sum"))
    }


@given(observations=st.lists(st.tuples(VALUES, EXAMPLES), max_size=200), read_at=st.integers(0, 200))
def test_counts_as_prometheus_client(observations, read_at):
    """Buckets and count are the same; each bucket's example is one of its own observations, if it has any."""
    ours = CappedHistogram("duration", "What it took.", buckets=BOUNDS, registry=CollectorRegistry())
    ours.before_read = lambda: None
    theirs = Histogram("duration", "What it took.", buckets=BOUNDS, registry=CollectorRegistry())
    for number, (value, example) in enumerate(observations):
        ours.observe(value, example, float(number))
        theirs.observe(value)
        if number == read_at:
            ours.read()
    assert counts_of(theirs) == counts_of(ours)
    lower = float("-inf")
    for upper, example in zip((*BOUNDS, float("inf")), ours.read()[2], strict=True):
        known = {(value, ids) for value, ids in observations if ids is not None and lower < value <= upper}
        assert bool(known) == (example is not None)
        assert example is None or example[:2] in known
        lower = upper


def test_what_is_no_number_is_counted():
    """It has no order; it ends no process and loses no other observation."""
    ours = CappedHistogram("duration", "What it took.", buckets=BOUNDS, registry=CollectorRegistry())
    for value in (5.0, float("nan"), 0.01, float("nan"), 1.0):
        ours.observe(value)
    assert 5 == sum(ours.read()[0])
