"""Latency now: two measures, their agreement, and the verdict."""

import dataclasses

import pyarrow as pa
import pytest

from shopscope.config import Shop
from shopscope_ops.answers import Evidence, Good, latency_now

BEGIN = 1_790_000_000_000_000_000


def requests(count, milliseconds, **given):
    """Requests of checkout, one a tenth of a second, the n-th as long as ``milliseconds(n)``."""
    common = {
        "journey": "checkout",
        "service": "storefront",
        "instance": "1",
        "kind": "server",
        "name": "POST /checkout",
    }
    return [
        common | {"id": "a", "trace": f"{n:032x}", "at": n * 100, "ms": milliseconds(n)} | given for n in range(count)
    ]


def only(answer):
    (journey,) = answer.journeys
    return journey


def test_histogram_and_spans_that_agree_say_nothing(telemetry_of, histogram_point, shop):
    """Counts and intervals fit: no disagreement, and the sharper measure is used."""
    spans = requests(200, lambda n: 50 if n % 2 else 300)
    journey = only(latency_now(telemetry_of(*spans, points=[histogram_point(60, [100, 100, 0, 0])]), shop))
    assert (journey.disagreements, journey.histogram.count, journey.spans.count) == ((), 200, 200)
    assert (journey.state, journey.best("p99").seconds) == ("ok", 0.3)
    assert journey.rate_per_second == pytest.approx(200 / 60)


def test_lost_spans_are_a_disagreement(telemetry_of, histogram_point, shop):
    """Half of the requests left no span: said, with the likely cause."""
    spans = requests(1000, lambda _: 50)
    journey = only(latency_now(telemetry_of(*spans, points=[histogram_point(100, [2000, 0, 0, 0])]), shop))
    (found,) = journey.disagreements
    assert (found.what, found.histogram, found.spans, found.tolerance) == ("count", 2000, 1000, 245.0)
    assert "sampled" in found.likely_cause


def test_no_span_at_all_is_a_disagreement(telemetry_of, histogram_point, shop):
    """Metrics without traces: the answer stands on the histogram, and says that no span came."""
    journey = only(latency_now(telemetry_of(points=[histogram_point(100, [0, 2000, 0, 0])]), shop))
    assert (journey.spans, journey.disagreements[0].spans) == (None, 0)
    assert journey.best("p50").upper_seconds == 0.5


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        ([0, 0, 0, 1000], "last bound, 1.00 s, is too low"),
        ([1000, 0, 0, 0], "only knows a range 100 ms wide"),
        ([0, 0, 1000, 0], "start or end at different places"),
    ],
)
def test_quantiles_that_contradict_are_explained(telemetry_of, histogram_point, shop, counts, words):
    """Intervals without a common point are a disagreement; its cause depends on the bucket."""
    spans = requests(1000, lambda _: 300)
    journey = only(latency_now(telemetry_of(*spans, points=[histogram_point(101, counts)]), shop))
    assert [found.what for found in journey.disagreements] == ["p50", "p95", "p99"]
    assert words in journey.disagreements[0].likely_cause


def test_spans_outside_the_histograms_coverage_are_not_compared(telemetry_of, histogram_point, shop):
    """What ended after the last push is in the spans and not yet in the histogram: no contradiction."""
    spans = requests(800, lambda _: 50)
    journey = only(latency_now(telemetry_of(*spans, points=[histogram_point(40, [400, 0, 0, 0])]), shop))
    assert (journey.histogram.count, journey.spans.count, journey.disagreements) == (400, 800, ())


def test_spans_after_the_last_push_are_another_window(telemetry_of, histogram_point, shop):
    """Where both look they agree, but the latest requests are slower: said, and the spans are believed."""
    spans = requests(800, lambda n: 50 if n < 400 else 700)
    journey = only(latency_now(telemetry_of(*spans, points=[histogram_point(40, [400, 0, 0, 0])]), shop))
    assert [(found.what, found.cause) for found in journey.disagreements] == [
        ("p95", "different windows"),
        ("p99", "different windows"),
    ]
    assert journey.best("p99").seconds == 0.7


def test_rate_begins_with_the_first_span(telemetry_of, shop):
    """A window longer than the data does not make the shop look idle."""
    late = [span | {"at": span["at"] + 90_000} for span in requests(100, lambda _: 50)]
    assert only(latency_now(telemetry_of(*late), shop)).rate_per_second == pytest.approx(10)


def test_beyond_the_bound_that_is_the_threshold_is_slow(telemetry_of, histogram_point, shop):
    """Of p99 only "above 800 ms" is known, and 800 ms is the limit: that is above the limit."""
    point = histogram_point(100, [980, 0, 20], bounds=(0.5, 0.8))
    journey = only(latency_now(telemetry_of(points=[point]), shop))
    assert (journey.state, journey.sentence) == ("slow", "checkout: p99 above 800 ms, limit 800 ms.")


def test_few_requests_have_no_p99(telemetry_of, shop):
    """p99 of 34 requests is unknown, and the sentence says why."""
    journey = only(latency_now(telemetry_of(*requests(34, lambda n: n)), shop))
    assert journey.spans.quantiles["p99"].seconds is None
    assert "needs at least 100 events, 34 seen" in journey.sentence


def test_service_counts_outcomes_best(telemetry_of, slo_point, shop):
    """SLO events are exact whatever is sampled; they win over spans."""
    points = [slo_point(60, "good", 90), slo_point(60, "slow", 6), slo_point(60, "error", 4)]
    journey = only(latency_now(telemetry_of(*requests(10, lambda _: 50), points=points), shop))
    assert (journey.good, journey.good.share) == (Good("slo events", 90, 6, 4), 0.9)


def test_spans_tell_outcomes_by_status_and_threshold(telemetry_of, shop):
    """Without SLO events an error is a span's status, slow is above the threshold of 800 ms."""
    spans = [*requests(4, lambda n: 500 * n), *requests(2, lambda _: 1, status="error", trace="e")]
    journey = only(latency_now(telemetry_of(*spans[:5]), shop))
    assert journey.good == Good("spans", 2, 2, 1)


@pytest.mark.parametrize(
    ("milliseconds", "state"),
    [(lambda _: 50, "ok"), (lambda n: 900 if n > 195 else 50, "slow"), (lambda _: 900, "failing")],
)
def test_state_follows_objective_then_threshold(telemetry_of, shop, milliseconds, state):
    """Failing is worse than slow: too few good events for the objective of 90 %."""
    assert only(latency_now(telemetry_of(*requests(200, milliseconds)), shop)).state == state


def test_without_a_file_good_is_unknown(telemetry_of):
    """No threshold, no verdict; the quantiles are there all the same."""
    journey = only(latency_now(telemetry_of(*requests(200, lambda _: 50)), Shop()))
    assert (journey.journey, journey.state, journey.good) == ("checkout", "unknown", None)
    assert journey.best("p50").seconds == 0.05


def test_silence_is_unknown(telemetry_of, shop):
    """A declared journey without requests is reported as such."""
    journey = only(latency_now(telemetry_of(), shop))
    assert (journey.state, journey.sentence) == ("unknown", "checkout: unknown, no request of it was seen.")


def test_evidence_is_the_slowest_of_spans_and_exemplars(telemetry_of, shop):
    """Exemplars add traces whose entry span did not arrive; a trace is named once."""
    common = {"time_unix_nano": BEGIN, "name": "shopscope.journey.duration", "service": "storefront", "instance": "1"}
    exemplars = [
        common | {"attributes": '{"journey":"checkout"}', "value": 2.5, "trace_id": "lost", "span_id": "x"},
        common | {"attributes": '{"journey":"checkout"}', "value": 0.2, "trace_id": f"{2:032x}", "span_id": "a"},
        common | {"attributes": '{"journey":"search"}', "value": 9.0, "trace_id": "other", "span_id": "x"},
    ]
    journey = only(latency_now(telemetry_of(*requests(3, lambda n: n * 100), exemplars=exemplars), shop))
    expected = (
        Evidence("lost", 2.5, "exemplar"),
        Evidence(f"{2:032x}", 0.2, "spans"),
        Evidence(f"{1:032x}", 0.1, "spans"),
    )
    assert journey.evidence[:3] == expected


def test_one_journey_alone(telemetry_of, shop):
    """Asked for one journey, the answer has one."""
    other = {"id": "x", "trace": "o", "kind": "server", "service": "search"}
    answer = latency_now(telemetry_of(*requests(2, lambda _: 1), other), shop, journey="checkout")
    assert [journey.journey for journey in answer.journeys] == ["checkout"]


def test_only_chunks_do_not_matter(telemetry_of, shop):
    """Tables in many chunks, as the engine streams them, give the same answer."""
    telemetry = telemetry_of(*requests(30, lambda n: n))
    spans = pa.concat_tables([telemetry.spans.slice(at, 7) for at in range(0, 30, 7)])
    chunked = dataclasses.replace(telemetry, spans=spans)
    assert latency_now(chunked, shop).to_dict() == latency_now(telemetry, shop).to_dict()
