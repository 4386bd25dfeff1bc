"""Settings: argument, then environment, then file, then default; every fault in one error."""

import shutil

import pytest

from shopscope import ConfigError
from shopscope._configuration._settings import read_settings
from shopscope._export._endpoints import DEFAULT_ENDPOINT

_SHOP = """
[shop]
namespace = "from-file"
"""


@pytest.fixture
def read(tmp_path):
    file = tmp_path / "shopscope.toml"
    file.write_text(_SHOP, encoding="utf-8")

    def read_with(service="checkout", *, shop=_SHOP, **settings):
        file.write_text(shop, encoding="utf-8")
        environ = {"SHOPSCOPE_CONFIG": str(file)} | {key: value for key, value in settings.items() if key.isupper()}
        return read_settings(service, environ, **{key: value for key, value in settings.items() if key.islower()})

    return read_with


def problems_of(read, *args, **settings):
    with pytest.raises(ConfigError) as caught:
        read(*args, **settings)
    return caught.value.problems


def test_defaults(read):
    """Without any setting the service sends to a collector beside it, at intervals fit for a demo."""
    settings = read()
    assert {
        "traces": f"{DEFAULT_ENDPOINT}/v1/traces",
        "metrics": f"{DEFAULT_ENDPOINT}/v1/metrics",
        "logs": f"{DEFAULT_ENDPOINT}/v1/logs",
    } == {signal: endpoint.url for signal, endpoint in settings.endpoints.items()}
    assert (10.0, 5.0, 5.0, 1024) == (
        settings.metric_interval_seconds,
        settings.shutdown_seconds,
        settings.span_limits.interval_seconds,
        settings.span_limits.batch_records,
    )
    assert {10.0} == {endpoint.timeout_seconds for endpoint in settings.endpoints.values()}


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        ("http://collector:4318", True),
        ("https://otlp.example.com", True),
        ("http://localhost:4318", False),
        ("http://127.0.0.1:4318", False),
        ("http://[::1]:4318", False),
    ],
)
def test_compression_unless_the_endpoint_is_on_this_machine(read, endpoint, expected):
    """Where nothing travels, compressing costs more than it saves; who asks for it gets it."""
    (found,) = {one.is_gzip for one in read(OTEL_EXPORTER_OTLP_ENDPOINT=endpoint).endpoints.values()}
    asked = read(OTEL_EXPORTER_OTLP_ENDPOINT=endpoint, OTEL_EXPORTER_OTLP_COMPRESSION="gzip")
    assert (expected, True) == (found, asked.endpoints["traces"].is_gzip)


def test_service_name_precedence(read):
    """Argument, OTEL_SERVICE_NAME, service.name among the resource attributes, in this order."""
    named = {"OTEL_SERVICE_NAME": "named", "OTEL_RESOURCE_ATTRIBUTES": "service.name=attribute"}
    assert "argument" == read("argument", **named).service
    assert "named" == read(None, **named).service
    assert "attribute" == read(None, OTEL_RESOURCE_ATTRIBUTES="service.name=attribute").service


def test_endpoint_precedence(read):
    """An argument beats the signal's own variable, that beats the common one, that the default."""
    own = {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://own:1/x", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://common:2/"}
    assert "http://argument:3/v1/traces" == read(endpoint="http://argument:3", **own).endpoints["traces"].url
    settings = read(**own)
    assert "http://own:1/x" == settings.endpoints["traces"].url
    assert "http://common:2/v1/logs" == settings.endpoints["logs"].url


def test_environment_precedes_file(read):
    """OTEL_RESOURCE_ATTRIBUTES beats the file's namespace; arguments beat both."""
    attributes = "service.namespace=from-env,service.version=1,deployment.environment.name=env"
    settings = read(version="2", OTEL_RESOURCE_ATTRIBUTES=attributes)
    assert {
        "service.namespace": "from-env",
        "service.version": "2",
        "deployment.environment.name": "env",
    } == settings.resource
    assert "from-file" == read().resource["service.namespace"]


def test_signal_settings_beat_common_ones(read):
    """Headers, timeout and compression can be set for one signal alone."""
    settings = read(
        OTEL_EXPORTER_OTLP_HEADERS="a=1",
        OTEL_EXPORTER_OTLP_LOGS_HEADERS="b=2,c=x%20y%3D",
        OTEL_EXPORTER_OTLP_TIMEOUT="2000",
        OTEL_EXPORTER_OTLP_LOGS_TIMEOUT="500",
        OTEL_EXPORTER_OTLP_COMPRESSION="gzip",
        OTEL_EXPORTER_OTLP_LOGS_COMPRESSION="none",
    )
    logs, traces = settings.endpoints["logs"], settings.endpoints["traces"]
    assert ({"b": "2", "c": "x y="}, 0.5, False) == (logs.headers, logs.timeout_seconds, logs.is_gzip)
    assert ({"a": "1"}, 2.0, True) == (traces.headers, traces.timeout_seconds, traces.is_gzip)


@pytest.mark.parametrize(
    "variable",
    [
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        "OTEL_EXPORTER_OTLP_HEADERS",
        "OTEL_EXPORTER_OTLP_TIMEOUT",
        "OTEL_EXPORTER_OTLP_COMPRESSION",
        "OTEL_BSP_SCHEDULE_DELAY",
        "OTEL_METRIC_EXPORT_INTERVAL",
        "OTEL_RESOURCE_ATTRIBUTES",
        "OTEL_SDK_DISABLED",
        "SHOPSCOPE_LOG_LEVEL",
        "SHOPSCOPE_SHUTDOWN_TIMEOUT",
        "SHOPSCOPE_PEERS",
    ],
)
@pytest.mark.parametrize("empty", ["", "  "])
def test_empty_variable_counts_as_unset(read, variable, empty):
    """The specification: an empty value is the same as none."""
    assert read() == read(**{variable: empty})


def test_numbers_of_the_batch_processors(read):
    """The OTEL_BSP_ and OTEL_BLRP_ variables bound the two queues."""
    settings = read(
        OTEL_BSP_MAX_QUEUE_SIZE="7",
        OTEL_BSP_MAX_EXPORT_BATCH_SIZE="3",
        OTEL_BSP_SCHEDULE_DELAY="250",
        OTEL_BLRP_MAX_QUEUE_SIZE="9",
    )
    spans, logs = settings.span_limits, settings.log_limits
    assert (7, 3, 0.25) == (spans.max_records, spans.batch_records, spans.interval_seconds)
    assert (9, 9, 5.0) == (logs.max_records, logs.batch_records, logs.interval_seconds)


def test_peers_and_levels(read):
    """Peers are pairs; choices are not case-sensitive."""
    settings = read(SHOPSCOPE_PEERS="127.0.0.1:8606=bank, db=orders", SHOPSCOPE_LOG_LEVEL="DEBUG")
    assert ({"127.0.0.1:8606": "bank", "db": "orders"}, "debug") == (settings.peers, settings.log_level)


@pytest.mark.parametrize(
    ("setting", "value", "rule"),
    [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318", "an http or https address"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://", "an http or https address"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://host:99999", "an http or https address"),
        ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "grpc://host", "an http or https address"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon", "milliseconds, or 0 for no limit"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "nan", "milliseconds, or 0 for no limit"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "0", "milliseconds above zero"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "inf", "milliseconds above zero"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "-1", "a whole number above zero"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "1.5", "a whole number above zero"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd", "one of gzip, none"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "secret", "pairs of key=value"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=x%0Ay", "header values of visible ASCII"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=%E6%BC%A2", "header values of visible ASCII"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a b=1", "header names"),
        ("OTEL_RESOURCE_ATTRIBUTES", "=x", "pairs of key=value"),
        ("SHOPSCOPE_LOG_FORMAT", "xml", "one of json, console"),
        ("SHOPSCOPE_LOG_LEVEL", "loud", "one of debug, info"),
        ("SHOPSCOPE_SHUTDOWN_TIMEOUT", "5", "a number followed by ms, s, m, h or d"),
        ("OTEL_SDK_DISABLED", "maybe", "one of true, false"),
        ("SHOPSCOPE_PEERS", "bank", "pairs of key=value"),
    ],
)
def test_wrong_value_names_setting_and_rule(read, setting, value, rule):
    """Each fault is one sentence with the setting's name, its rule and what to do."""
    (problem,) = problems_of(read, **{setting: value})
    assert [True, True, True] == [problem.startswith(f"{setting} must be"), rule in problem, ";" in problem]


def test_header_value_is_not_shown(read):
    """A header's value is most often a token, so that an error must not repeat it."""
    (problem,) = problems_of(read, OTEL_EXPORTER_OTLP_HEADERS="authorization=Bearer%0Aabc")
    assert "abc" not in problem


def test_all_faults_in_one_error(read):
    """Argument, environment and file are wrong together: the service fails once and says all."""
    problems = problems_of(
        read,
        " ",
        shop="[journeys.Checkout]\nlatency = 5\n",
        endpoint="nowhere",
        OTEL_METRIC_EXPORT_INTERVAL="x",
        SHOPSCOPE_LOG_LEVEL="loud",
    )
    places = [problem.partition(" must be")[0].rpartition(": ")[2] for problem in problems]
    assert [
        "journeys.Checkout",
        "journeys.Checkout.service",
        "journeys.Checkout.latency",
        "journeys.Checkout.objective",
        "service_name",
        "endpoint",
        "OTEL_METRIC_EXPORT_INTERVAL",
        "SHOPSCOPE_LOG_LEVEL",
    ] == sorted(places, key=places.index)


def test_missing_file_is_a_fault(read, tmp_path):
    """A file that is named has to be there."""
    (problem,) = problems_of(read, config=tmp_path / "none.toml")
    assert "none.toml must be a readable TOML file" in problem
    (problem,) = problems_of(read, SHOPSCOPE_CONFIG=str(tmp_path / "none.toml"))
    assert problem.startswith("SHOPSCOPE_CONFIG must name a file")


def test_file_is_found_upward(tmp_path, monkeypatch):
    """Without SHOPSCOPE_CONFIG the nearest file in the working directory or above counts."""
    (tmp_path / "shopscope.toml").write_text(_SHOP, encoding="utf-8")
    below = tmp_path / "a/b"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    assert "from-file" == read_settings("x", {}).shop.namespace
    shutil.copy(tmp_path / "shopscope.toml", below)
    (below / "shopscope.toml").write_text("[shop]\nnamespace = 'near'\n", encoding="utf-8")
    assert "near" == read_settings("x", {}).shop.namespace


def test_disabled(read):
    """OTEL_SDK_DISABLED=true, in any case."""
    assert read(OTEL_SDK_DISABLED="TRUE").is_disabled
