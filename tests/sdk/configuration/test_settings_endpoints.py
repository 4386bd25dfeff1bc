"""Where signals go: exporters, protocols, targets, TLS and timeouts; meanings, defaults and faults."""

import sys

import pytest
import trustme
from settings_reading import problem_of, read

from shopscope import ConfigError
from shopscope._configuration._environment import FOREVER_SECONDS
from shopscope._export._endpoints import DEFAULT_GRPC_ENDPOINT, Tls

OTLP = "OTEL_EXPORTER_OTLP"


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture
def pem(authority, tmp_path):
    """A function that writes a PEM file and returns its path."""
    certificate = authority.issue_cert("localhost")
    contents = {
        "ca": authority.cert_pem,
        "certificate": certificate.cert_chain_pems[0],
        "key": certificate.private_key_pem,
        "other key": authority.issue_cert("localhost").private_key_pem,
    }

    def write(name):
        path = tmp_path / f"{name}.pem"
        contents[name].write_to_path(path)
        return str(path)

    return write


def test_exporters_by_default():
    """OTLP for each signal, as the specification says."""
    assert [("otlp",)] * 3 == [endpoint.exporters for endpoint in read().endpoints.values()]


def test_exporters_of_each_signal():
    """One, several, none; `otlp/stdout` is the specification's other name of our console."""
    endpoints = read(
        OTEL_TRACES_EXPORTER="Console, otlp", OTEL_METRICS_EXPORTER="prometheus", OTEL_LOGS_EXPORTER="none"
    ).endpoints
    assert {"traces": ("console", "otlp"), "metrics": ("prometheus",), "logs": ()} == {
        signal: endpoint.exporters for signal, endpoint in endpoints.items()
    }
    assert ("console",) == read(OTEL_LOGS_EXPORTER="otlp/stdout,console").endpoints["logs"].exporters


@pytest.mark.parametrize("value", ["zipkin", "otlp,zipkin", "prometheus", "logging"])
def test_exporters_that_there_are_not(value):
    """The fault lists what there is."""
    assert "a list of otlp, console, otlp/stdout, none" in problem_of(OTEL_TRACES_EXPORTER=value)


def test_none_stands_alone():
    """None and something is a contradiction."""
    assert "none alone" in problem_of(OTEL_TRACES_EXPORTER="none,otlp")


def test_protocol():
    """http/protobuf by default; all signals or one can have another."""
    assert {"http/protobuf"} == {endpoint.protocol for endpoint in read().endpoints.values()}
    settings = read(OTEL_EXPORTER_OTLP_PROTOCOL="http/json", OTEL_EXPORTER_OTLP_LOGS_PROTOCOL="GRPC")
    protocols = {signal: endpoint.protocol for signal, endpoint in settings.endpoints.items()}
    assert {"traces": "http/json", "metrics": "http/json", "logs": "grpc"} == protocols


def test_grpc_that_is_not_installed(monkeypatch):
    """One clear error, with what to install."""
    monkeypatch.setitem(sys.modules, "grpc", None)
    problem = problem_of(OTEL_EXPORTER_OTLP_PROTOCOL="grpc")
    assert "OTEL_EXPORTER_OTLP_PROTOCOL must be a protocol that is installed: 'grpc'" in problem
    assert "pip install 'shopscope[grpc]'" in problem


def test_grpc_that_is_not_needed(monkeypatch):
    """Who exports nothing by OTLP needs no library for it."""
    monkeypatch.setitem(sys.modules, "grpc", None)
    names = ("OTEL_TRACES_EXPORTER", "OTEL_METRICS_EXPORTER", "OTEL_LOGS_EXPORTER")
    settings = read(OTEL_EXPORTER_OTLP_PROTOCOL="grpc", **dict.fromkeys(names, "console"))
    assert {"grpc"} == {endpoint.protocol for endpoint in settings.endpoints.values()}


@pytest.mark.parametrize(
    ("target", "insecure", "url", "is_secure"),
    [
        ("", "", DEFAULT_GRPC_ENDPOINT, False),
        ("http://collector:4317", "false", "http://collector:4317", False),
        ("https://collector:4317", "true", "https://collector:4317", True),
        ("collector:4317", "", "collector:4317", True),
        ("collector:4317", "TRUE", "collector:4317", False),
        ("dns:///collector:4317", "true", "dns:///collector:4317", False),
        ("unix:/run/otlp", "true", "unix:/run/otlp", False),
    ],
)
def test_grpc_targets(target, insecure, url, is_secure):
    """The scheme decides, `insecure` where there is none; no /v1/traces is added."""
    endpoint = read(
        OTEL_EXPORTER_OTLP_PROTOCOL="grpc", OTEL_EXPORTER_OTLP_ENDPOINT=target, OTEL_EXPORTER_OTLP_INSECURE=insecure
    ).endpoints["traces"]
    assert (url, is_secure) == (endpoint.url, endpoint.is_secure)


def test_grpc_target_of_a_signal_and_by_argument():
    """An argument beats the signal's own variable, that beats the common one."""
    settings = {
        "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "common:1",
        "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": "own:2",
    }
    endpoints = read(**settings).endpoints
    assert ("common:1", "own:2") == (endpoints["traces"].url, endpoints["logs"].url)
    assert "argument:3" == read(endpoint="argument:3", **settings).endpoints["logs"].url


def test_files_of_a_secure_connection(pem):
    """Common files, and a signal's own."""
    settings = read(
        OTEL_EXPORTER_OTLP_CERTIFICATE=pem("ca"),
        OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE=pem("certificate"),
        OTEL_EXPORTER_OTLP_CLIENT_KEY=pem("key"),
        OTEL_EXPORTER_OTLP_LOGS_CERTIFICATE=pem("certificate"),
    )
    assert Tls(pem("ca"), pem("certificate"), pem("key")) == settings.endpoints["traces"].tls
    assert pem("certificate") == settings.endpoints["logs"].tls.certificate


def test_credentials_are_not_shown():
    """An address that is wrong is shown without its password."""
    assert "s3cret" not in problem_of(OTEL_EXPORTER_OTLP_ENDPOINT="ftp://shop:s3cret@host")


@pytest.mark.parametrize("name", ["CERTIFICATE", "CLIENT_CERTIFICATE", "CLIENT_KEY", "TRACES_CERTIFICATE"])
def test_file_that_is_not_there(tmp_path, name):
    """A file that is named has to be there."""
    with pytest.raises(ConfigError) as caught:
        read(**{f"{OTLP}_{name}": str(tmp_path / "none.pem")})
    assert f"{OTLP}_{name} must be a file that can be read" in caught.value.problems[0]


def test_file_that_is_no_certificate(tmp_path):
    """A file that is not what it should be is a fault at start, not an outage later."""
    rubbish = tmp_path / "rubbish.pem"
    rubbish.write_text("rubbish", encoding="utf-8")
    problem = problem_of(OTEL_EXPORTER_OTLP_CERTIFICATE=str(rubbish))
    assert "OTEL_EXPORTER_OTLP_CERTIFICATE must be PEM files that belong together" in problem


def test_key_of_another_certificate(pem):
    """A client's certificate and key have to fit."""
    settings = {
        "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": pem("certificate"),
        "OTEL_EXPORTER_OTLP_CLIENT_KEY": pem("other key"),
    }
    assert "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE must be PEM files" in problem_of(**settings)


@pytest.mark.parametrize(
    ("given", "lacking"), [("CLIENT_CERTIFICATE", "CLIENT_KEY"), ("CLIENT_KEY", "CLIENT_CERTIFICATE")]
)
def test_half_of_a_pair(pem, given, lacking):
    """A client's certificate needs its key, and the other way round."""
    problem = problem_of(**{f"{OTLP}_{given}": pem("certificate" if given == "CLIENT_CERTIFICATE" else "key")})
    assert problem.startswith(f"{OTLP}_{lacking} must be set when {OTLP}_{given} is")


def test_timeouts():
    """Zero is no limit, as the specification says; a push of metrics is one attempt, so the shorter timeout counts."""
    assert FOREVER_SECONDS == read(OTEL_EXPORTER_OTLP_TRACES_TIMEOUT="0").endpoints["traces"].timeout_seconds
    settings = read(OTEL_METRIC_EXPORT_TIMEOUT="2000", OTEL_EXPORTER_OTLP_TIMEOUT="3000")
    assert (2.0, 3.0) == tuple(settings.endpoints[signal].timeout_seconds for signal in ("metrics", "logs"))
    limits = read(OTEL_BSP_EXPORT_TIMEOUT="1500", OTEL_BLRP_EXPORT_TIMEOUT="0")
    assert (1.5, FOREVER_SECONDS) == (limits.span_limits.export_seconds, limits.log_limits.export_seconds)
    assert (None, None) == (read().span_limits.export_seconds, read().log_limits.export_seconds)
