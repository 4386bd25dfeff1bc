"""What the others are told of a component that is left out."""

import yaml

from shopscope_ops.engines.native._left_out import collector_override, prometheus_without

COLLECTOR = """
exporters:
  otlp_http/tempo: {endpoint: "http://tempo:14318"}
  otlp_http/loki: {endpoint: "http://loki:3100/otlp"}
  otlp_http/answers: {endpoint: "http://answers:4319"}
  otlp_http/vendor: {endpoint: "${env:VENDOR:-https://tempo.example.com}"}
service:
  pipelines:
    traces: {receivers: [otlp], exporters: [otlp_http/tempo, otlp_http/answers]}
    metrics: {receivers: [otlp], exporters: [otlp_http/answers]}
    logs: {receivers: [otlp], exporters: [otlp_http/loki]}
    traces/vendor: {receivers: [otlp], exporters: [otlp_http/vendor]}
"""
PROMETHEUS = """
# a comment
global: {scrape_interval: 15s}
alerting:
  alertmanagers:
    - static_configs: [{targets: ["alertmanager:9093"]}]
remote_write: [{url: "http://tempo:3200/write"}, {url: "https://mimir.example.com/push"}]
scrape_configs:
  - job_name: stack
    static_configs:
      - targets: ["collector:8888"]
      - targets: ["tempo:3200"]
        labels: {job: tempo}
  - job_name: loki
    static_configs: [{targets: ["loki:3100"]}]
  - job_name: files
    file_sd_configs: [{files: ["/etc/prometheus/targets/*.yml"]}]
"""


def test_exporters_to_what_is_left_out_are_taken_out_of_their_pipelines():
    """The other pipelines are not mentioned, and one without any exporter left gets one that does nothing."""
    override = yaml.safe_load(collector_override(COLLECTOR, ["tempo", "loki"]))
    assert {
        "exporters": {"nop": {}},
        "service": {"pipelines": {"traces": {"exporters": ["otlp_http/answers"]}, "logs": {"exporters": ["nop"]}}},
    } == override


def test_a_complete_stack_needs_no_second_configuration():
    """Nothing left out, or nothing that the collector sends to."""
    assert collector_override(COLLECTOR, []) == ""
    assert collector_override(COLLECTOR, ["grafana"]) == ""


def test_prometheus_neither_scrapes_nor_writes_to_what_is_left_out():
    """Targets, jobs without targets and writers go; all else stays."""
    document = yaml.safe_load(prometheus_without(PROMETHEUS, ["tempo", "loki"]))
    jobs = document["scrape_configs"]
    assert ["stack", "files"] == [job["job_name"] for job in jobs]
    assert [{"targets": ["collector:8888"]}] == jobs[0]["static_configs"]
    assert [{"url": "https://mimir.example.com/push"}] == document["remote_write"]
    assert [{"static_configs": [{"targets": ["alertmanager:9093"]}]}] == document["alerting"]["alertmanagers"]


def test_prometheus_without_alertmanager_sends_alerts_nowhere():
    """An empty list is what Prometheus takes."""
    document = yaml.safe_load(prometheus_without(PROMETHEUS, ["alertmanager"]))
    assert {"alertmanagers": []} == document["alerting"]


def test_a_file_that_names_nothing_left_out_stays_as_it_is():
    """Comments included."""
    assert PROMETHEUS == prometheus_without(PROMETHEUS, ["grafana"])
    assert PROMETHEUS == prometheus_without(PROMETHEUS, [])
