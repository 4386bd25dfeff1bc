"""Meters of the OpenTelemetry API: what the service and its libraries measure by it leaves with our own metrics."""

import itertools
import math
import time

import pytest
from opentelemetry import metrics, trace
from opentelemetry.metrics import CallbackOptions, Observation

from shopscope._metrics import _meters, _streams

CUMULATIVE = 2
_numbers = itertools.count()


@pytest.fixture(autouse=True)
def _forgotten(monkeypatch):
    """The API's provider, and all instruments, would outlive the test."""
    monkeypatch.setattr(_meters.provider, "_meters", dict(_meters.provider._meters))


@pytest.fixture
def meter(observe):
    """A meter of a scope that no other test has."""
    observe()
    return metrics.get_meter(f"team.scope{next(_numbers)}", "1.2", schema_url="https://example.org/1")


@pytest.fixture
def pushed(sink):
    """A function that ends the telemetry and returns the metric with that name from the last push."""

    def end(name):
        from shopscope import shutdown  # noqa: PLC0415 (after the fixtures that start it)

        shutdown()
        found = [one for one in sink.pushes(1)[-1] if one.item.name == name]
        return found[0] if found else None

    return end


def values(received):
    """Values of a sum or gauge by its attributes, with the type that they were sent in."""
    data = getattr(received.item, received.item.WhichOneof("data"))
    return {
        tuple(sorted((pair.key, pair.value.WhichOneof("value")) for pair in point.attributes)): (
            point.WhichOneof("value"),
            getattr(point, point.WhichOneof("value")),
        )
        for point in data.data_points
    }


def test_counter(meter, pushed):
    """A sum that is monotonic and cumulative, with unit, description, scope and integers that stay integers."""
    counter = meter.create_counter("team.things", "{thing}", "Things made.")
    counter.add(2, {"kind": "a"})
    counter.add(3, {"kind": "a"})
    counter.add(0.5, {"size": 1})
    found = pushed("team.things")
    assert ("{thing}", "Things made.", meter.name) == (found.item.unit, found.item.description, found.scope)
    assert (True, CUMULATIVE) == (found.item.sum.is_monotonic, found.item.sum.aggregation_temporality)
    assert {(("kind", "string_value"),): ("as_int", 5), (("size", "int_value"),): ("as_double", 0.5)} == values(found)
    for point in found.item.sum.data_points:
        assert 0 < point.start_time_unix_nano <= point.time_unix_nano <= time.time_ns()


def test_up_down_counter(meter, pushed):
    """A sum that is not monotonic."""
    counter = meter.create_up_down_counter("team.level")
    counter.add(5)
    counter.add(-7)
    found = pushed("team.level")
    assert (False, {(): ("as_int", -2)}) == (found.item.sum.is_monotonic, values(found))


def test_gauge(meter, pushed):
    """The last value counts."""
    gauge = meter.create_gauge("team.temperature", "Cel")
    gauge.set(20)
    gauge.set(-3.5)
    assert {(): ("as_double", -3.5)} == values(pushed("team.temperature"))


def test_histogram(meter, pushed):
    """Buckets hold what is at most their bound; count, sum, smallest and largest are exact."""
    histogram = meter.create_histogram("team.wait", "s", explicit_bucket_boundaries_advisory=[1, 2.5])
    for amount in (0.5, 1, 2, 2.5, 9):
        histogram.record(amount)
    (point,) = pushed("team.wait").item.histogram.data_points
    assert ([1.0, 2.5], [2, 2, 1]) == (list(point.explicit_bounds), list(point.bucket_counts))
    assert (5, 15.0, 0.5, 9.0) == (point.count, point.sum, point.min, point.max)


def test_histogram_with_the_usual_bounds(meter, pushed):
    """Without advice the bounds are the specification's."""
    meter.create_histogram("team.size").record(7)
    (point,) = pushed("team.size").item.histogram.data_points
    assert _streams.DEFAULT_BOUNDS == tuple(point.explicit_bounds)
    assert 1 == point.bucket_counts[2]


@pytest.mark.parametrize("advice", [[2, 1], [1, 1], ["x"], [None]])
def test_advice_that_makes_no_sense(meter, pushed, advice, caplog):
    """Bounds that do not rise are said so once, and the usual ones are used."""
    meter.create_histogram("team.odd", explicit_bucket_boundaries_advisory=advice).record(1)
    (point,) = pushed("team.odd").item.histogram.data_points
    assert (_streams.DEFAULT_BOUNDS, 1) == (tuple(point.explicit_bounds), caplog.text.count("must be rising numbers"))


def test_advice_of_no_bounds(meter, pushed):
    """A histogram may be a count and a sum alone."""
    meter.create_histogram("team.plain", explicit_bucket_boundaries_advisory=[]).record(3)
    (point,) = pushed("team.plain").item.histogram.data_points
    assert ([], [1], 3.0) == (list(point.explicit_bounds), list(point.bucket_counts), point.sum)


def test_observable_instruments(meter, pushed, sink):
    """Callbacks are asked at each collection, with options; generators too; what they say replaces what they said."""
    asked = []

    def rows(options):
        asked.append(options)
        yield Observation(len(asked) * 10, {"table": "orders"})
        yield Observation(1.5, {"table": "items"})

    def temperatures():
        options = yield
        while True:
            asked.append(options)
            options = yield [Observation(-4)]

    meter.create_observable_counter("team.rows", [rows], "{row}")
    meter.create_observable_gauge("team.outside", [temperatures()], "Cel")
    meter.create_observable_up_down_counter(
        "team.open", [lambda _: [Observation(3)], lambda _: [Observation(4, {"a": "b"})]]
    )
    _meters.provider.collect()
    is_monotonic = pushed("team.rows").item.sum.is_monotonic
    rows_found = {p.tags["table"]: p.point.as_int or p.point.as_double for p in sink.points("team.rows")}
    assert (True, {"orders": 30, "items": 1.5}) == (is_monotonic, rows_found)
    (outside,) = sink.points("team.outside")
    assert (-4, {3, 4}) == (outside.point.as_int, {point.point.as_int for point in sink.points("team.open")})
    assert all(isinstance(options, CallbackOptions) for options in asked)


def test_broken_callback_costs_itself_alone(meter, pushed, sink):
    """One that raises, says nonsense or has said all leaves the others alone."""

    def broken(_):
        raise RuntimeError("no database")

    def once():
        yield
        yield [Observation(1)]

    callbacks = [broken, lambda _: [Observation("text")], lambda _: None, once(), lambda _: [Observation(5)]]
    meter.create_observable_gauge("team.mixed", callbacks)
    meter.create_counter("team.after").add(1)
    _meters.provider.collect()
    assert {(): ("as_int", 5)} == values(pushed("team.mixed"))
    assert 1 == len(sink.points("team.after"))


@pytest.mark.parametrize(
    ("make", "amount"),
    [
        ("create_counter", -1),
        ("create_counter", math.nan),
        ("create_counter", math.inf),
        ("create_counter", "text"),
        ("create_counter", None),
        ("create_histogram", -0.1),
        ("create_histogram", math.nan),
    ],
)
def test_measurements_that_make_no_sense(meter, pushed, make, amount):
    """They are left out, and raise nothing into the service."""
    instrument = getattr(meter, make)("team.strict")
    measure = instrument.record if make == "create_histogram" else instrument.add
    measure(amount)
    measure(2)
    data = pushed("team.strict").item
    (point,) = getattr(data, data.WhichOneof("data")).data_points
    assert 2 == (point.sum if make == "create_histogram" else point.as_int)


def test_numbers_of_other_kinds(meter, pushed, sink):
    """Decimals and booleans are numbers; integers too large for OTLP become doubles."""
    import decimal  # noqa: PLC0415 (only here)

    counter = meter.create_counter("team.money")
    counter.add(decimal.Decimal("1.25"))
    counter.add(True)  # noqa: FBT003 (a value)
    meter.create_counter("team.huge").add(2**70)
    assert {(): ("as_double", 2.25)} == values(pushed("team.money"))
    assert float(2**70) == sink.points("team.huge")[0].point.as_double


def test_attributes_of_every_type(meter, pushed):
    """The order of attributes does not matter, their types do; lists are values."""
    counter = meter.create_counter("team.typed")
    for attributes in (
        {"a": 1, "b": "x"},
        {"b": "x", "a": 1},
        {"a": True, "b": "x"},
        {"a": 1.0, "b": "x"},
        {"l": [1, 2]},
        {"l": [1, 2]},
        None,
        {},
    ):
        counter.add(1, attributes)
    found = {(key, kind): number for key, (kind, number) in values(pushed("team.typed")).items()}
    assert {
        ((("a", "int_value"), ("b", "string_value")), "as_int"): 2,
        ((("a", "bool_value"), ("b", "string_value")), "as_int"): 1,
        ((("a", "double_value"), ("b", "string_value")), "as_int"): 1,
        ((("l", "array_value"),), "as_int"): 2,
        ((), "as_int"): 2,
    } == found


@pytest.mark.parametrize(
    ("name", "unit"), [("", ""), ("1st", ""), ("größe", ""), ("a" * 256, ""), ("fine", "é"), ("fine", "u" * 64)]
)
def test_invalid_names(meter, pushed, sink, caplog, name, unit):
    """A name or unit against the specification's rules is said once; the instrument works and goes nowhere."""
    for _ in range(2):
        meter.create_counter(name, unit).add(1)
    assert None is pushed(name)
    assert (1, 0) == (caplog.text.count("is not sent"), len(sink.points("fine")))


def test_same_instrument_twice(meter, pushed, caplog):
    """Two with the same name (in any case), kind, unit and description are one."""
    meter.create_counter("team.Twice", "s", "d").add(1)
    meter.create_counter("team.twice", "s", "d").add(2)
    assert ({(): ("as_int", 3)}, "") == (values(pushed("team.Twice")), caplog.text)


def test_conflicting_instruments(meter, pushed, sink, caplog):
    """With another kind or unit both are sent, and it is said."""
    meter.create_counter("team.conflict", "s").add(1)
    meter.create_histogram("team.conflict", "ms").record(2)
    assert "s" == pushed("team.conflict").item.unit
    assert ["s", "ms"] == [one.item.unit for one in sink.pushes()[-1] if one.item.name == "team.conflict"]
    assert 1 == caplog.text.count("another kind, unit or description")


def test_same_name_in_two_scopes(observe, sink):
    """Each scope has its own, with its version."""
    observe().flush()
    for name in ("one.lib", "other.lib"):
        metrics.get_meter(name, "7").create_counter("lib.calls").add(1)
    from shopscope import shutdown  # noqa: PLC0415 (as above)

    shutdown()
    assert {"one.lib", "other.lib"} == {one.scope for one in sink.pushes()[-1] if one.item.name == "lib.calls"}


def test_exemplars(meter, pushed, sink):
    """A measurement made in a span that is sent has it as its exemplar, in one push alone; others have none."""
    counter, histogram = meter.create_counter("team.seen"), meter.create_histogram("team.took")
    with trace.get_tracer("test").start_as_current_span("work"):
        counter.add(1, {"in": "span"})
        histogram.record(3)
        histogram.record(30)
    counter.add(1, {"in": "none"})
    _meters.provider.collect()  # as a scrape does
    found = {point.tags["in"]: point.point for point in (pushed("team.seen"), sink.points("team.seen"))[1]}
    span = sink.span("work")
    assert (0, 1) == (len(found["none"].exemplars), len(found["span"].exemplars))
    exemplar = found["span"].exemplars[0]
    assert (span.trace_id, span.span_id, 1.0) == (exemplar.trace_id, exemplar.span_id, exemplar.as_double)
    (took,) = sink.points("team.took")
    assert [3.0, 30.0] == [exemplar.as_double for exemplar in took.point.exemplars]


def test_exemplars_switched_off(observe, sink):
    """OTEL_METRICS_EXEMPLAR_FILTER holds for meters too."""
    scope = observe(OTEL_METRICS_EXEMPLAR_FILTER="always_off")
    counter = metrics.get_meter("team.off").create_counter("team.off")
    with trace.get_tracer("test").start_as_current_span("work"):
        counter.add(1)
    scope.shutdown()
    (point,) = sink.points("team.off")
    assert (1, 0) == (point.point.as_int, len(point.point.exemplars))


def test_context_that_is_given(meter, pushed, sink):
    """The exemplar is the span of the context that the caller names."""
    span = trace.get_tracer("test").start_span("elsewhere")
    meter.create_counter("team.given").add(1, None, trace.set_span_in_context(span))
    span.end()
    (point,) = pushed("team.given").item.sum.data_points
    assert sink.span("elsewhere").span_id == point.exemplars[0].span_id


def test_series_are_capped(meter, pushed, sink, monkeypatch):
    """Past the cap attributes share the specification's overflow series; nothing is lost of the sum."""
    monkeypatch.setattr(_streams, "MAX_SERIES", 3)
    counter = meter.create_counter("team.users")
    for number in range(5):
        counter.add(1, {"user": number})
    counter.add(1, {"user": 0})
    found = pushed("team.users")
    numbers = {
        next((pair.key, pair.value.int_value or pair.value.bool_value) for pair in point.attributes): point.as_int
        for point in found.item.sum.data_points
    }
    assert {("user", False): 2, ("user", 1): 1, ("otel.metric.overflow", True): 3} == numbers
    assert {"team.users": 3} == {p.tags["metric"]: p.point.as_double for p in sink.points("shopscope.sdk.overflow")}


def test_observed_series_are_capped(meter, pushed, monkeypatch):
    """What callbacks say past the cap is left out: it cannot be summed up."""
    monkeypatch.setattr(_streams, "MAX_SERIES", 3)
    meter.create_observable_gauge("team.many", [lambda _: [Observation(n, {"n": n}) for n in range(9)]])
    assert 3 == len(pushed("team.many").item.gauge.data_points)
