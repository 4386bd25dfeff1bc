"""The OTEL_ variables of queues, limits, sampling, propagation, metrics and HTTP: meanings, defaults and faults."""

import logging

import pytest
from settings_reading import problem_of, read

from shopscope._configuration._settings import NOT_HONOURED, LogLimits
from shopscope._metrics._scrape import ScrapeAddress
from shopscope._serving._routes import KNOWN_METHODS
from shopscope._tracing._limits import SpanLimits

CAPTURE = "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS"


@pytest.mark.parametrize("prefix", ["OTEL_BSP", "OTEL_BLRP"])
def test_batch_larger_than_the_queue(prefix):
    """The specification: a batch is no larger than the queue; the default follows a smaller queue."""
    problem = problem_of(**{f"{prefix}_MAX_QUEUE_SIZE": "10", f"{prefix}_MAX_EXPORT_BATCH_SIZE": "11"})
    assert problem.startswith(f"{prefix}_MAX_EXPORT_BATCH_SIZE must be at most 10: 11")


def test_span_limits():
    """Each has its variable; attributes follow the general ones where they have none of their own."""
    names = {
        "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "1",
        "OTEL_SPAN_EVENT_COUNT_LIMIT": "2",
        "OTEL_SPAN_LINK_COUNT_LIMIT": "3",
        "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT": "4",
        "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT": "5",
        "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT": "6",
    }
    assert SpanLimits(1, 2, 3, 4, 5, 6) == read(**names).span_size
    general = read(OTEL_ATTRIBUTE_COUNT_LIMIT="7", OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT="0")
    assert (7, 0) == (general.span_size.attributes, general.span_size.value_length)
    assert LogLimits(7, 0) == general.log_size
    assert (SpanLimits(), LogLimits()) == (read().span_size, read().log_size)


def test_log_record_limits():
    """The log record's own come before the general ones."""
    settings = read(
        OTEL_ATTRIBUTE_COUNT_LIMIT="7",
        OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT="8",
        OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT="9",
    )
    assert LogLimits(8, 9) == settings.log_size


@pytest.mark.parametrize("value", ["-1", "1.5", "many", "²"])
def test_limits_that_are_no_numbers(value):
    """A limit is a whole number of at least zero."""
    problem = problem_of(OTEL_SPAN_EVENT_COUNT_LIMIT=value)
    assert "OTEL_SPAN_EVENT_COUNT_LIMIT must be a whole number of at least zero" in problem


@pytest.mark.parametrize(
    ("name", "argument", "description"),
    [
        ("", "", "ParentBased{root:TraceIdRatioBased{1}}"),
        ("always_off", "0.5", "TraceIdRatioBased{0}"),
        ("TraceIdRatio", "0.25", "TraceIdRatioBased{0.25}"),
        ("parentbased_traceidratio", "", "ParentBased{root:TraceIdRatioBased{1}}"),
    ],
)
def test_samplers(name, argument, description):
    """The specification's names, in any case; the argument is for those that have one."""
    settings = read(OTEL_TRACES_SAMPLER=name, OTEL_TRACES_SAMPLER_ARG=argument)
    assert description == settings.sampler.get_description()


@pytest.mark.parametrize(
    ("name", "argument", "where"),
    [
        ("jaeger_remote", "", "OTEL_TRACES_SAMPLER must be one of"),
        ("traceidratio", "2", "OTEL_TRACES_SAMPLER_ARG must be a number from 0 to 1"),
        ("traceidratio", "half", "OTEL_TRACES_SAMPLER_ARG must be a number from 0 to 1"),
    ],
)
def test_samplers_that_there_are_not(name, argument, where):
    """One fault among the others."""
    assert where in problem_of(OTEL_TRACES_SAMPLER=name, OTEL_TRACES_SAMPLER_ARG=argument)


def test_propagators():
    """The W3C's two by default; a list is read in its order, each name once."""
    assert ("tracecontext", "baggage") == read().propagators
    assert ("b3", "xray") == read(OTEL_PROPAGATORS="b3, xray,B3").propagators
    assert () == read(OTEL_PROPAGATORS="none").propagators
    problem = problem_of(OTEL_PROPAGATORS="tracecontext,ottrace")
    assert "a list of tracecontext, baggage, b3, b3multi, jaeger, xray, none: 'ottrace'" in problem


def test_detectors():
    """All by default; `otel` is what is always read."""
    known = ("process", "host", "os", "container", "kubernetes")
    name = "OTEL_EXPERIMENTAL_RESOURCE_DETECTORS"
    assert [known, known, ("host",), ()] == [
        read(**{name: value}).detectors for value in ("", "*", "otel,host", "none")
    ]
    assert "aws_ec2" in problem_of(**{name: "aws_ec2"})


def test_metrics_that_are_not_cumulative():
    """What we cannot do is refused, not overheard."""
    for value in ("delta", "lowmemory"):
        problem = problem_of(OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE=value)
        assert f"must be one of cumulative: '{value}'" in problem
    assert "" == read(OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE="Cumulative").metrics_path
    name = "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION"
    problem = problem_of(**{name: "base2_exponential_bucket_histogram"})
    assert f"{name} must be one of explicit_bucket_histogram" in problem


def test_exemplar_filter():
    """Trace-based, which is the default, or off; always on would lead to no trace."""
    name = "OTEL_METRICS_EXEMPLAR_FILTER"
    assert [True, True, False] == [read(**{name: v}).has_exemplars for v in ("", "trace_based", "ALWAYS_OFF")]
    assert "one of trace_based, always_off: 'always_on'" in problem_of(**{name: "always_on"})


def test_prometheus_address():
    """Read only if the exporter is chosen; checked in any case."""
    chosen = {"OTEL_METRICS_EXPORTER": "prometheus"}
    assert ScrapeAddress("localhost", 9464) == read(**chosen).scrape
    settings = read(**chosen, OTEL_EXPORTER_PROMETHEUS_HOST="0.0.0.0", OTEL_EXPORTER_PROMETHEUS_PORT="0")
    assert ScrapeAddress("0.0.0.0", 0) == settings.scrape
    assert None is read().scrape
    assert "at most 65535" in problem_of(OTEL_EXPORTER_PROMETHEUS_PORT="65536")


@pytest.mark.parametrize(
    ("value", "level"),
    [("", None), ("debug", logging.DEBUG), ("WARN", logging.WARNING), ("fatal", logging.CRITICAL), ("none", 51)],
)
def test_log_level_of_the_sdk(value, level):
    """The names that languages have for levels; unset leaves it to the service's logging."""
    assert level == read(OTEL_LOG_LEVEL=value).sdk_log_level


def test_http_options_by_default():
    """Nothing is captured or left out, so that nothing is done for it."""
    http = read().http
    assert (None, None, None, KNOWN_METHODS) == (
        http.server_headers,
        http.client_headers,
        http.excluded,
        http.known_methods,
    )


def test_excluded_addresses():
    """A framework's own variable comes before the general one; patterns are searched, by case."""
    http = read(OTEL_PYTHON_EXCLUDED_URLS="healthz,client/.*/info").http
    assert [True, True, False, False] == [
        bool(http.excluded.search(f"http://shop/{path}")) for path in ("healthz", "client/1/info", "cart", "HEALTHZ")
    ]
    both = read(OTEL_PYTHON_EXCLUDED_URLS="a", OTEL_PYTHON_FASTAPI_EXCLUDED_URLS="b,c").http.excluded
    assert [False, True, True] == [bool(both.search(text)) for text in "abc"]


@pytest.mark.parametrize("name", ["FASTAPI", "STARLETTE", "FLASK", "DJANGO"])
def test_excluded_addresses_of_a_framework(name):
    """Each framework's variable is read."""
    assert read(**{f"OTEL_PYTHON_{name}_EXCLUDED_URLS": "x"}).http.excluded.search("http://shop/x")


def test_captured_headers():
    """Names are whole, in any case, and may be patterns; secrets are redacted, asked for or not."""
    http = read(
        **{
            f"{CAPTURE}_SERVER_REQUEST": "X-.*,Authorization",
            f"{CAPTURE}_SERVER_RESPONSE": "etag",
            f"{CAPTURE}_SANITIZE_FIELDS": "x-customer",
        }
    ).http
    request = [
        (b"X-Id", b"1"),
        (b"x-id", b"2"),
        (b"x-customer-name", b"Ann"),
        (b"authorization", b"t"),
        (b"max-x", b"3"),
    ]
    assert {
        "http.request.header.x-id": ("1", "2"),
        "http.request.header.x-customer-name": ("[REDACTED]",),
        "http.request.header.authorization": ("[REDACTED]",),
    } == http.server_headers.of_request(request)
    assert {"http.response.header.etag": ("\xe9",)} == http.server_headers.of_response([(b"ETag", b"\xe9")])
    assert None is http.client_headers


def test_captured_headers_are_bounded():
    """A client can send thousands of headers of any length."""
    http = read(**{f"{CAPTURE}_CLIENT_RESPONSE": ".*"}).http.client_headers
    (values,) = http.of_response([(b"x", b"y" * 9000)] * 1000).values()
    assert (16, 1024) == (len(values), max(map(len, values)))
    assert {} == http.of_request([(b"x", b"1")])


@pytest.mark.parametrize(
    "name", [f"{CAPTURE}_SERVER_REQUEST", f"{CAPTURE}_SANITIZE_FIELDS", "OTEL_PYTHON_EXCLUDED_URLS"]
)
def test_patterns_that_are_none(name):
    """A pattern that does not compile is a fault at start, not at a request."""
    assert f"{name} must be regular expressions" in problem_of(**{name: "x-("})


def test_known_methods():
    """The list replaces ours, and is told by case."""
    assert {"GET", "PROPFIND"} == read(OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS="GET, PROPFIND").http.known_methods


def test_disabled_instrumentations():
    """Names with commas between them."""
    settings = read(OTEL_PYTHON_DISABLED_INSTRUMENTATIONS="redis, httpx")
    assert {"redis", "httpx"} == settings.disabled_instrumentations


@pytest.mark.parametrize("name", sorted(NOT_HONOURED))
def test_variables_without_effect(name):
    """What the specification has and we do not is noted where it is set, and nowhere else."""
    assert ((name,), ()) == (read(**{name: "x"}).ignored, read(**{name: " "}).ignored)
