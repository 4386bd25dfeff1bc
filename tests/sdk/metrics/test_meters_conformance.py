"""Random programs of measurements, run on our meters and on the stock SDK's: the same OTLP data points come out."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.metrics import Observation
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.sdk.metrics import MeterProvider as StockProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from otlp_sink import plain_attributes

from shopscope._metrics import _meters
from shopscope._metrics._otlp_metrics import MetricsEncoder

# No numbers that are equal across types: the stock SDK takes 1, 1.0 and True for the same attribute value.
VALUES = st.one_of(
    st.text(max_size=5),
    st.booleans(),
    st.integers(2, 2**30),
    st.integers(-1000, 1000).map(lambda number: number + 0.25),
    st.lists(st.text(max_size=3), max_size=2),
)
ATTRIBUTES = st.one_of(st.none(), st.dictionaries(st.sampled_from("abcd"), VALUES, max_size=3))
NUMBERS = st.one_of(st.integers(0, 10_000), st.floats(0, 10_000, width=32))
SIGNED = st.one_of(NUMBERS, NUMBERS.map(lambda number: -number))
KINDS = {
    "counter": ("create_counter", "add", NUMBERS),
    "level": ("create_up_down_counter", "add", SIGNED),
    "gauge": ("create_gauge", "set", SIGNED),
    "wait": ("create_histogram", "record", NUMBERS),
}
STEPS = st.sampled_from(sorted(KINDS)).flatmap(lambda kind: st.tuples(st.just(kind), KINDS[kind][2], ATTRIBUTES))
OBSERVED = ("create_observable_counter", "create_observable_up_down_counter", "create_observable_gauge")


def run(provider, program, observations):
    """The same instruments and measurements, whoever provides them."""
    meter = provider.get_meter("random", "1")
    instruments = {}
    for kind, (create, _, _) in KINDS.items():
        advice = {"explicit_bucket_boundaries_advisory": [1, 10, 100.5]} if kind == "wait" else {}
        instruments[kind] = getattr(meter, create)(f"random.{kind}", "s", "Random.", **advice)
    for create in OBSERVED:
        callback = [Observation(number, attributes) for number, attributes in observations]
        getattr(meter, create)(f"random.{create}", [lambda _, said=callback: said])
    for kind, number, attributes in program:
        getattr(instruments[kind], KINDS[kind][1])(number, attributes)


def points_of(request):
    """Everything but times: scope, name, unit, kind, attributes and values, in no order."""
    found = []
    for resource in request.resource_metrics:
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                kind = metric.WhichOneof("data")
                data = getattr(metric, kind)
                about = scope.scope.name, scope.scope.version, metric.name, metric.unit, metric.description, kind
                shape = getattr(data, "aggregation_temporality", 0), getattr(data, "is_monotonic", False)
                found += [(*about, *shape, _point(kind, point)) for point in data.data_points]
    return sorted(found, key=repr)


def _point(kind, point):
    attributes = sorted(
        (key, type(value).__name__, repr(value)) for key, value in plain_attributes(point.attributes).items()
    )
    if kind == "histogram":
        extremes = round(point.min, 3), round(point.max, 3)
        return attributes, point.count, round(point.sum, 3), *extremes, [*point.bucket_counts], [*point.explicit_bounds]
    which = point.WhichOneof("value")
    return attributes, which, round(getattr(point, which), 3)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(STEPS, max_size=25),
    st.lists(st.tuples(NUMBERS, ATTRIBUTES), max_size=4, unique_by=lambda one: repr(one[1] or {})),
)
def test_same_points_as_the_stock_sdk(program, observations):
    """Sums, last values, buckets, extremes, observed values and their attributes agree, with the types of OTLP."""
    reader = InMemoryMetricReader()
    stock = StockProvider([reader], shutdown_on_exit=False)
    run(stock, program, observations)
    data = reader.get_metrics_data()
    expected = points_of(encode_metrics(data)) if data is not None else []
    stock.shutdown()

    ours = _meters.MeterProvider()
    ours.start()
    run(ours, program, observations)
    body, _ = MetricsEncoder(ours.collect, 1).collect(b"")
    assert expected == points_of(ExportMetricsServiceRequest.FromString(body))
