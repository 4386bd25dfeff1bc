"""Variables of the specification that the SDK reads: how each is followed, its default, the test that shows it."""

from dataclasses import dataclass

SIGNALS = ("TRACES", "METRICS", "LOGS")


@dataclass(frozen=True, slots=True)
class Variable:
    """One row of the reference.

    Attributes:
        name: of the variable; ``{signal}`` stands for ``TRACES_``, ``METRICS_``, ``LOGS_`` and for nothing.
        how: what it does; where we differ from the specification, how and why.
        default: what counts if it is unset, with the specification's own in brackets where that is another.
        test: file and name of the test.
    """

    name: str
    how: str
    default: str
    test: str

    @property
    def names(self) -> tuple[str, ...]:
        """All names that the row speaks of."""
        if "{signal}" not in self.name:
            return (self.name,)
        return tuple(self.name.format(signal=signal) for signal in ("", *(f"{signal}_" for signal in SIGNALS)))


def _limit(name: str, what: str, default: str, test: str) -> Variable:
    return Variable(name, what, default, test)


_VARIABLES = "test_settings_variables.py"
_EFFECTS = "test_environment_effects.py"
_EXPORTERS = "test_exporters.py"
_GRPC = "test_exporters_grpc.py"
_SPAN_LIMITS = f"{_VARIABLES}::test_span_limits"
_NO_LIMIT = "no limit"

GENERAL = (
    Variable(
        "OTEL_SDK_DISABLED",
        "`true`: nothing is recorded or sent; propagators stay, as the specification says",
        "`false`",
        f"{_EFFECTS}::test_disabled_sdk",
    ),
    Variable(
        "OTEL_SERVICE_NAME", "`service.name`, unless `init` is given one", "", f"{_EFFECTS}::test_service_and_resource"
    ),
    Variable(
        "OTEL_RESOURCE_ATTRIBUTES",
        "attributes of the resource, percent-decoded; before what detectors find, after arguments of `init`",
        "",
        f"{_EFFECTS}::test_service_and_resource",
    ),
    Variable(
        "OTEL_EXPERIMENTAL_RESOURCE_DETECTORS",
        "a list of `process`, `host`, `os`, `container`, `kubernetes`; `*` all, `none` none",
        "all",
        "test_resource.py::test_choice_of_detectors",
    ),
    Variable(
        "OTEL_LOG_LEVEL",
        "level of the SDK's own messages: `debug`, `info`, `warn`, `error`, `fatal`, `none`",
        "that of the service's logging (`info`)",
        f"{_EFFECTS}::test_log_level_of_the_sdk",
    ),
    Variable(
        "OTEL_PROPAGATORS",
        "a list of `tracecontext`, `baggage`, `b3`, `b3multi`, `jaeger`, `xray`, or `none`; for our own and, "
        "as the API's global one, for others. Without `baggage` or `jaeger` a journey ends with its first service",
        "`tracecontext,baggage`",
        "test_propagators.py::test_in_and_out_of_a_service",
    ),
    Variable(
        "OTEL_TRACES_SAMPLER",
        "`always_on`, `always_off`, `traceidratio` and `parentbased_` with each; metrics count every request whatever "
        "is sampled. `jaeger_remote` and `xray` are refused: they need a service of their own",
        "`parentbased_always_on`",
        f"{_EFFECTS}::test_sampler",
    ),
    Variable(
        "OTEL_TRACES_SAMPLER_ARG",
        "share of traces, 0 to 1, for the two ratio samplers",
        "`1`",
        f"{_EFFECTS}::test_ratio_of_a_sampler",
    ),
)

QUEUES = (
    Variable(
        "OTEL_BSP_SCHEDULE_DELAY",
        "milliseconds between two requests with spans; a full batch does not wait",
        "`5000`",
        "test_export.py::test_batches",
    ),
    Variable(
        "OTEL_BSP_EXPORT_TIMEOUT",
        "milliseconds of all attempts for one batch; then it is dropped and counted. `0`: no limit",
        "no limit while the queue has room (`30000`): a collector that restarts costs nothing",
        f"{_EXPORTERS}::test_export_timeout_of_spans",
    ),
    Variable(
        "OTEL_BSP_MAX_QUEUE_SIZE",
        "spans that wait at most; more are dropped and counted",
        "`16384` (`2048`, some seconds of a busy service)",
        f"{_EFFECTS}::test_queue_of_spans",
    ),
    Variable(
        "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
        "spans a request, no more than the queue holds",
        "`1024` (`512`), or the queue's size",
        f"{_EFFECTS}::test_queue_of_spans",
    ),
    Variable(
        "OTEL_BLRP_SCHEDULE_DELAY",
        "milliseconds between two requests with log records",
        "`5000` (`1000`)",
        f"{_EFFECTS}::test_queue_of_log_records",
    ),
    Variable(
        "OTEL_BLRP_EXPORT_TIMEOUT",
        "as OTEL_BSP_EXPORT_TIMEOUT",
        "no limit while the queue has room (`30000`)",
        f"{_EXPORTERS}::test_export_timeout_of_logs",
    ),
    Variable(
        "OTEL_BLRP_MAX_QUEUE_SIZE",
        "log records that wait at most",
        "`16384` (`2048`)",
        "test_settings.py::test_numbers_of_the_batch_processors",
    ),
    Variable(
        "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE",
        "log records a request",
        "`1024` (`512`), or the queue's size",
        f"{_EFFECTS}::test_queue_of_log_records",
    ),
)

LIMITS = (
    _limit("OTEL_ATTRIBUTE_COUNT_LIMIT", "attributes, where no other limit is set", "`128`", _SPAN_LIMITS),
    _limit(
        "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT",
        "characters of a value, likewise",
        _NO_LIMIT,
        f"{_EFFECTS}::test_span_limits",
    ),
    _limit("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "attributes of a span", "`128`", f"{_EFFECTS}::test_span_limits"),
    _limit("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "characters of a span's value", _NO_LIMIT, _SPAN_LIMITS),
    _limit("OTEL_SPAN_EVENT_COUNT_LIMIT", "events of a span", "`128`", f"{_EFFECTS}::test_span_limits"),
    _limit("OTEL_SPAN_LINK_COUNT_LIMIT", "links of a span", "`128`", _SPAN_LIMITS),
    _limit("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", "attributes of an event", "`128`", _SPAN_LIMITS),
    _limit("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", "attributes of a link", "`128`", _SPAN_LIMITS),
    _limit(
        "OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT",
        "attributes of a log record",
        "`128`",
        f"{_EFFECTS}::test_log_record_limits",
    ),
    _limit(
        "OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT",
        "characters of a log record's value",
        _NO_LIMIT,
        f"{_EFFECTS}::test_log_record_limits",
    ),
)

OTLP = (
    Variable(
        "OTEL_EXPORTER_OTLP_{signal}ENDPOINT",
        "the receiver; over HTTP the common one gets `/v1/traces` and so on, a signal's own is used as it is; for gRPC "
        "also `host:port`, `dns:` and `unix:`",
        "`http://localhost:4318`, gRPC `http://localhost:4317`",
        "test_export.py::test_own_endpoint_of_a_signal",
    ),
    Variable(
        "OTEL_EXPORTER_OTLP_{signal}PROTOCOL",
        "`http/protobuf`, `http/json`, or `grpc` with the extra `shopscope[grpc]`",
        "`http/protobuf`",
        f"{_GRPC}::test_one_signal_by_grpc",
    ),
    Variable(
        "OTEL_EXPORTER_OTLP_{signal}HEADERS",
        "headers or gRPC metadata, percent-decoded; an error about one never shows its value",
        "",
        "test_export.py::test_requests_are_as_the_specification_says",
    ),
    Variable(
        "OTEL_EXPORTER_OTLP_{signal}TIMEOUT",
        "milliseconds of one request; `0`: no limit",
        "`10000`",
        f"{_EXPORTERS}::test_timeout_of_a_request",
    ),
    Variable(
        "OTEL_EXPORTER_OTLP_{signal}COMPRESSION",
        "`gzip` or `none`",
        "`none` for an endpoint on this machine, else `gzip` (`none`)",
        "test_export.py::test_without_compression",
    ),
    Variable(
        "OTEL_EXPORTER_OTLP_{signal}INSECURE",
        "`true`: a gRPC target without a scheme is plain; a scheme decides by itself, over HTTP always",
        "`false`",
        "test_settings_endpoints.py::test_grpc_targets",
    ),
    Variable(
        "OTEL_EXPORTER_OTLP_{signal}CERTIFICATE",
        "PEM file of the authority that the server is checked with; read anew for each connection",
        "the system's authorities",
        f"{_EXPORTERS}::test_tls_with_a_certificate_of_ones_own",
    ),
    Variable(
        "OTEL_EXPORTER_OTLP_{signal}CLIENT_CERTIFICATE",
        "PEM file with our own certificate, for mTLS",
        "",
        f"{_EXPORTERS}::test_mutual_tls",
    ),
    Variable(
        "OTEL_EXPORTER_OTLP_{signal}CLIENT_KEY",
        "PEM file with its key, not encrypted",
        "",
        f"{_GRPC}::test_mutual_tls",
    ),
)

EXPORTERS = (
    Variable(
        "OTEL_TRACES_EXPORTER",
        "a list of `otlp` and `console` (OTLP JSON lines on standard output, also called `otlp/stdout`), or `none`; "
        "`zipkin` is refused: a collector translates",
        "`otlp`",
        f"{_EXPORTERS}::test_console_beside_otlp",
    ),
    Variable(
        "OTEL_METRICS_EXPORTER",
        "the same, and `prometheus`: a page to be scraped, in OpenMetrics with exemplars for whoever asks",
        "`otlp`",
        f"{_EXPORTERS}::test_prometheus",
    ),
    Variable(
        "OTEL_LOGS_EXPORTER",
        "as for traces; lines on standard output do not depend on it",
        "`otlp`",
        f"{_EXPORTERS}::test_none",
    ),
    Variable(
        "OTEL_EXPORTER_PROMETHEUS_HOST",
        "where that page listens",
        "`localhost`",
        f"{_VARIABLES}::test_prometheus_address",
    ),
    Variable(
        "OTEL_EXPORTER_PROMETHEUS_PORT",
        "its port, `0` for any that is free; a port that is taken costs the page, not the service",
        "`9464`",
        f"{_EXPORTERS}::test_prometheus_on_a_taken_port",
    ),
)

METRICS = (
    Variable(
        "OTEL_METRIC_EXPORT_INTERVAL",
        "milliseconds between two pushes",
        "`10000` (`60000`: dashboards would be a minute behind)",
        f"{_EFFECTS}::test_interval_of_metrics",
    ),
    Variable(
        "OTEL_METRIC_EXPORT_TIMEOUT",
        "milliseconds of one push; the shorter of this and OTEL_EXPORTER_OTLP_METRICS_TIMEOUT counts",
        "`30000`",
        f"{_EXPORTERS}::test_timeout_of_a_request",
    ),
    Variable(
        "OTEL_METRICS_EXEMPLAR_FILTER",
        "`trace_based` or `always_off`; `always_on` is refused: such an exemplar leads to no trace",
        "`trace_based`",
        f"{_EFFECTS}::test_exemplars",
    ),
    Variable(
        "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
        "`cumulative`; `delta` and `lowmemory` are refused: Prometheus drops them",
        "`cumulative`",
        f"{_VARIABLES}::test_metrics_that_are_not_cumulative",
    ),
    Variable(
        "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
        "`explicit_bucket_histogram`; exponential ones are refused: the bounds are the journeys' thresholds",
        "`explicit_bucket_histogram`",
        f"{_VARIABLES}::test_metrics_that_are_not_cumulative",
    ),
)
