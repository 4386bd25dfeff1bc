"""The reference of environment variables: complete, true to the code, and the same when generated again."""

import ast
import re
from pathlib import Path

import pytest

from shopscope._configuration import _settings
from shopscope._configuration._environment import Environment
from shopscope._configuration._settings import NOT_HONOURED, read_settings
from shopscope_ops.reference import pages
from shopscope_ops.reference._environment import ELSEWHERE, honoured

ROOT = Path(__file__).parents[3]
VARIABLES = list(honoured())
NAMES = [name for variable in VARIABLES for name in variable.names]
# Of https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/ and what it refers to; of names
# that a signal may have of its own, the common one.
SPECIFICATION = [
    "OTEL_SDK_DISABLED",
    "OTEL_ENTITIES",
    "OTEL_RESOURCE_ATTRIBUTES",
    "OTEL_SERVICE_NAME",
    "OTEL_LOG_LEVEL",
    "OTEL_PROPAGATORS",
    "OTEL_TRACES_SAMPLER",
    "OTEL_TRACES_SAMPLER_ARG",
    "OTEL_BSP_SCHEDULE_DELAY",
    "OTEL_BSP_EXPORT_TIMEOUT",
    "OTEL_BSP_MAX_QUEUE_SIZE",
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
    "OTEL_BLRP_SCHEDULE_DELAY",
    "OTEL_BLRP_EXPORT_TIMEOUT",
    "OTEL_BLRP_MAX_QUEUE_SIZE",
    "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE",
    "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT",
    "OTEL_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT",
    "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_SPAN_EVENT_COUNT_LIMIT",
    "OTEL_SPAN_LINK_COUNT_LIMIT",
    "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT",
    "OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_INSECURE",
    "OTEL_EXPORTER_OTLP_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_CLIENT_KEY",
    "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_HEADERS",
    "OTEL_EXPORTER_OTLP_COMPRESSION",
    "OTEL_EXPORTER_OTLP_TIMEOUT",
    "OTEL_EXPORTER_OTLP_PROTOCOL",
    "OTEL_EXPORTER_OTLP_SPAN_INSECURE",
    "OTEL_EXPORTER_OTLP_METRIC_INSECURE",
    "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
    "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
    "OTEL_EXPORTER_ZIPKIN_ENDPOINT",
    "OTEL_EXPORTER_ZIPKIN_TIMEOUT",
    "OTEL_EXPORTER_ZIPKIN_PROTOCOL",
    "OTEL_EXPORTER_PROMETHEUS_HOST",
    "OTEL_EXPORTER_PROMETHEUS_PORT",
    "OTEL_TRACES_EXPORTER",
    "OTEL_METRICS_EXPORTER",
    "OTEL_LOGS_EXPORTER",
    "OTEL_METRICS_EXEMPLAR_FILTER",
    "OTEL_METRIC_EXPORT_INTERVAL",
    "OTEL_METRIC_EXPORT_TIMEOUT",
    "OTEL_EXPERIMENTAL_CONFIG_FILE",
    "OTEL_CONFIG_FILE",
]


def test_generating_again_changes_nothing():
    """The committed page is what the code says; if this fails, run `make generate`."""
    committed = {name: (ROOT / "docs/reference" / name).read_text(encoding="utf-8") for name in pages()}
    assert committed == dict(pages())


def test_every_variable_of_the_specification_is_there():
    """Followed or not, each is said."""
    assert [] == [name for name in SPECIFICATION if name not in NAMES and name not in NOT_HONOURED]


def test_no_variable_is_there_twice():
    """One name, one row, and one answer."""
    assert sorted(set(NAMES)) == sorted(NAMES)
    assert set() == set(NAMES) & (NOT_HONOURED.keys() | ELSEWHERE.keys())


def test_what_is_read_is_what_is_documented(monkeypatch, tmp_path):
    """Every variable that settings look up is in the table, and the table has no other."""
    read = []

    class Noting(Environment):
        def __init__(self, environ):
            super().__init__(environ)
            read.append(self)

    monkeypatch.setattr(_settings, "Environment", Noting)
    (tmp_path / "shopscope.toml").write_text("", encoding="utf-8")
    # A variable may be looked up only because another one is set.
    read_settings("checkout", {"SHOPSCOPE_CONFIG": str(tmp_path / "shopscope.toml")})
    (environment,) = read
    assert sorted(NAMES) == sorted(environment.names)


def test_no_other_name_is_in_the_code():
    """A variable that some module reads by itself would be in no table."""
    known = [*NAMES, *NOT_HONOURED, *ELSEWHERE]
    texts = {
        node.value
        for path in (ROOT / "sdk/shopscope").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    named = {text for text in texts if re.fullmatch(r"(OTEL|SHOPSCOPE)_[A-Z_]+", text)}
    page = pages()["environment.md"]
    assert [] == sorted(text for text in named if text not in page and not any(name.startswith(text) for name in known))


@pytest.mark.parametrize("variable", VARIABLES, ids=lambda variable: variable.names[0])
def test_named_test_exists(variable):
    """What a row says is tested is tested, there."""
    file, _, name = variable.test.partition("::")
    (path,) = Path(__file__).parents[1].rglob(file)
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
