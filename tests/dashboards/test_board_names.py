"""Names of series come from the SDK's table: what is not in it breaks the build, and not the board."""

import pytest

from shopscope._metrics._names import METRICS
from shopscope_dashboards import BoardError, bucket, count, metric, recorded, total


def test_every_metric_of_the_sdk_has_its_names():
    """Counters end in ``_total``; histograms have buckets, a count and a sum."""
    expected, found = [], []
    for row in METRICS:
        if row.kind == "histogram":
            expected += [f"{row.family}_{suffix}" for suffix in ("bucket", "count", "sum")]
            found += [name(row.family) for name in (bucket, count, total)]
        else:
            name = f"{row.family}_total" if row.kind == "counter" else row.family
            expected.append(name)
            found.append(metric(name))
    assert expected == found


@pytest.mark.parametrize(
    ("name", "argument", "said"),
    [
        (
            metric,
            "shopscope_slo_event_total",
            "'shopscope_slo_event_total'; use 'shopscope_slo_events_total'",
        ),
        (metric, "shopscope_slo_events", "use 'shopscope_slo_events_total'"),
        (metric, "zzz", "see docs/reference/metrics.md"),
        (bucket, "shopscope_orders", "a histogram of the SDK must exist: 'shopscope_orders'"),
        (count, "shopscope_journey_duration_seconds_count", "use 'shopscope_journey_duration_seconds'"),
        (total, "up", "a histogram of the SDK must exist: 'up'"),
        (recorded, "slo:sli_error:ratio_rate10m", "a recorded series must exist: 'slo:sli_error:ratio_rate10m'"),
    ],
)
def test_a_name_that_is_not_there_is_refused(name, argument, said):
    """With the nearest one that is."""
    with pytest.raises(BoardError) as caught:
        name(argument)
    assert said in str(caught.value)


def test_recorded_series_are_known():
    """Those of sloth, and ours."""
    names = ["slo:sli_error:ratio_rate30d", "shopscope:slo_events:rate5m"]
    assert names == [recorded(name) for name in names]
