"""The JSON document, in the cases that recordings do not have."""

import json

import orjson
import pytest

from shopscope.config import Shop
from shopscope_ops.answers import diagnose
from shopscope_ops.sources import telemetry

BEGIN = 1_790_000_000_000_000_000


def document(given, shop):
    return json.loads(orjson.dumps(diagnose(given, shop).to_dict()))


def test_everything_at_once_follows_the_schema(
    telemetry_of, checkout_spans, histogram_point, slo_point, shop, faults_of
):
    """Histogram, spans, SLO events, exemplars, disagreements, duplicates, orphans and an unnamed journey."""
    spans = [span for n in range(120) for span in checkout_spans(n % 110, 100)]
    odd = [{"id": "o", "trace": "odd", "parent": "lost"}, {"id": "u", "trace": "un", "kind": "server", "ms": -1}]
    exemplar = {"name": "shopscope.journey.duration", "attributes": '{"journey":"checkout"}', "value": 3.0}
    exemplar |= {"time_unix_nano": BEGIN, "service": "storefront", "instance": "", "trace_id": "e", "span_id": "s"}
    points = [histogram_point(100, [0, 0, 0, 5000]), *(slo_point(100, each, 5) for each in ("good", "slow", "error"))]
    found = document(telemetry_of(*spans, *odd, points=points, exemplars=[exemplar]), shop)
    checkout = found["latency"]["journeys"][0]
    assert faults_of(found) == []
    assert (checkout["state"], checkout["good"]["source"], checkout["evidence"][0]["source"]) == (
        "failing",
        "slo events",
        "exemplar",
    )
    assert [each["what"] for each in checkout["disagreements"]] == ["count", "p50", "p95"]
    assert found["latency"]["quality"]["duplicate_spans"] == 60


@pytest.mark.parametrize("with_shop", [True, False])
def test_nothing_at_all_follows_the_schema(shop, faults_of, with_shop):
    """Empty telemetry is answered with unknown, not with an error."""
    found = document(telemetry("nothing"), shop if with_shop else Shop())
    assert (faults_of(found), len(found["chains"]["journeys"])) == ([], int(with_shop))


def test_schema_is_strict(telemetry_of, shop, faults_of):
    """A field that is missing, new or of another type is found: the validator does what it is here for."""
    found = document(telemetry_of(), shop)
    journey = found["latency"]["journeys"][0]
    journey["state"] = "fine"
    journey["extra"] = 1
    del journey["sentence"]
    found["schema_version"] = 2
    assert faults_of(found) == [
        "$.schema_version is not 1: 2",
        "$.latency.journeys[0].sentence is missing",
        "$.latency.journeys[0].extra is unknown",
        "$.latency.journeys[0].state is not of ['ok', 'slow', 'failing', 'unknown']: 'fine'",
    ]
