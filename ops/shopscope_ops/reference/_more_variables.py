"""Variables besides the specification's list: of OpenTelemetry's HTTP instrumentations, and our own."""

from shopscope._logging._repeats import DEFAULT_REPEATS
from shopscope_ops.reference._variables import Variable

_VARIABLES = "test_settings_variables.py"
_EFFECTS = "test_environment_effects.py"
_CAPTURE = "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS"
_CAPTURED = (
    "names or patterns of headers that become attributes of the {span} span, lists by the stable conventions "
    "(`http.{kind}.header.content-type`); whatever names a secret has no value"
)
HTTP = (
    Variable(
        "OTEL_PYTHON_EXCLUDED_URLS",
        "patterns, searched in a request's address without its query; a match has no span, line, duration or SLO event",
        "",
        f"{_EFFECTS}::test_excluded_addresses",
    ),
    *(
        Variable(
            f"OTEL_PYTHON_{framework.upper()}_EXCLUDED_URLS",
            f"the same, in the place of the general one, for {framework}",
            "",
            f"{_EFFECTS}::{test}" if test else f"{_VARIABLES}::test_excluded_addresses_of_a_framework",
        )
        for framework, test in (
            ("FastAPI", "test_excluded_addresses"),
            ("Starlette", ""),
            ("Flask", "test_excluded_addresses_under_wsgi"),
            ("Django", ""),
        )
    ),
    *(
        Variable(
            f"{_CAPTURE}_{side}_{kind.upper()}",
            _CAPTURED.format(span=side, kind=kind),
            "",
            f"{_EFFECTS}::test_captured_headers_of_{'requests' if side == 'SERVER' else 'calls'}",
        )
        for side in ("SERVER", "CLIENT")
        for kind in ("request", "response")
    ),
    Variable(
        f"{_CAPTURE}_SANITIZE_FIELDS",
        "patterns of further headers whose value is replaced",
        "names of secrets",
        f"{_VARIABLES}::test_captured_headers",
    ),
    Variable(
        "OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS",
        "methods that are attributes as they are; all others are `_OTHER`",
        "those of RFC 9110, `PATCH`, `QUERY`",
        f"{_EFFECTS}::test_known_methods",
    ),
    Variable(
        "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS",
        "names of libraries to leave alone, such as `redis,httpx`; `*` is all",
        "",
        f"{_EFFECTS}::test_disabled_instrumentations",
    ),
)

OWN = (
    Variable(
        "SHOPSCOPE_CONFIG",
        "path of `shopscope.toml`",
        "the nearest one upward",
        "test_settings.py::test_file_is_found_upward",
    ),
    Variable(
        "SHOPSCOPE_PEERS",
        "names for addresses: `10.0.0.7:8080=bank,pay.internal=payment`",
        "host names",
        "test_settings.py::test_peers_and_levels",
    ),
    Variable(
        "SHOPSCOPE_SHUTDOWN_TIMEOUT",
        "how long the last flush may take",
        "`5s`",
        "test_settings.py::test_wrong_value_names_setting_and_rule",
    ),
    Variable(
        "SHOPSCOPE_LOG_FORMAT",
        "`json` or `console`",
        "`console` in a terminal, else `json`",
        "test_logs.py::test_console",
    ),
    Variable(
        "SHOPSCOPE_LOG_LEVEL",
        "`debug`, `info`, `warning`, `error` or `critical`; loggers may have their own: `info,sqlalchemy=warning`",
        "`info`",
        "test_logs.py::test_level_that_is_set",
    ),
    Variable(
        "SHOPSCOPE_LOG_REPEATS",
        "lines of one kind that a period may have: `100/10s`; `off` for all of them",
        f"`{DEFAULT_REPEATS}`",
        "test_privacy.py::test_wrong_settings",
    ),
    Variable(
        "SHOPSCOPE_REDACT_KEYS",
        "further keys, with commas between them, whose values never leave",
        "",
        "test_privacy.py::test_own_keys_and_patterns",
    ),
    Variable(
        "SHOPSCOPE_REDACT_PATTERNS",
        "further patterns, with blanks between them, that never leave in any text",
        "",
        "test_privacy.py::test_own_keys_and_patterns",
    ),
    Variable(
        "SHOPSCOPE_METRICS_PATH",
        "where the service itself serves its metrics, such as `/metrics`",
        "nowhere",
        "test_exposition.py::test_any_path",
    ),
    Variable(
        "SHOPSCOPE_GC_FREEZE",
        "`true`: collections pass over what was there at the start",
        "`false`",
        "test_saturation_process.py::test_freezing_is_a_choice",
    ),
    Variable(
        "SHOPSCOPE_TRACER",
        "`opentelemetry`: the stock SDK and its FastAPI instrumentation behind the same line",
        "`shopscope`",
        "test_stock_tracer.py::test_the_stock_sdk_traces",
    ),
)
