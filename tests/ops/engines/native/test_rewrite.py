"""Replacing hosts, ports and folders in the containers' configuration."""

from pathlib import Path

import pytest

from shopscope_ops.engines.native._manifest import read_components
from shopscope_ops.engines.native._rewrite import Rewriter
from shopscope_ops.engines.native._stack import default_ports

PARTS = read_components()
CHOSEN = default_ports() | {
    "collector.otlp-http": 24318,
    "prometheus.http": 29090,
    "tempo.http": 23200,
    "tempo.otlp-http": 24319,
    "tempo.grpc": 29095,
    "grafana.http": 23000,
    "answers.otlp-http": 24320,
}


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("collector", "endpoint: http://tempo:14318", "endpoint: http://127.0.0.1:24319"),
        ("collector", "endpoint: 0.0.0.0:4318", "endpoint: 127.0.0.1:24318"),
        ("collector", "endpoint: 0.0.0.0:55679", "endpoint: 127.0.0.1:55679"),
        ("collector", "host: 0.0.0.0\nport: 8888", "host: 127.0.0.1\nport: 8888"),
        ("collector", "directory: /var/lib/otelcol/queue", "directory: /s/data/collector/queue"),
        ("collector", "http://prometheus:9090/api/v1/otlp", "http://127.0.0.1:29090/api/v1/otlp"),
        ("collector", "my-prometheus:9090 prometheus:90900", "my-prometheus:9090 127.0.0.1:90900"),
        ("collector", "after prometheus:10m", "after prometheus:10m"),
        ("prometheus", "- /etc/prometheus/rules/*.yml", "- /s/config/prometheus/rules/*.yml"),
        ("prometheus", "--storage.tsdb.path=/prometheus", "--storage.tsdb.path=/s/data/prometheus"),
        ("prometheus", "https://example.com/prometheus", "https://example.com/prometheus"),
        ("prometheus", "http://127.0.0.1:3000/d/slo", "http://127.0.0.1:23000/d/slo"),
        ("tempo", "http_listen_port: 3200\ngrpc_listen_port: 9095", "http_listen_port: 23200\ngrpc_listen_port: 29095"),
        ("tempo", "endpoint: 0.0.0.0:14318", "endpoint: 127.0.0.1:24319"),
        ("tempo", "path: /var/tempo/wal", "path: /s/data/tempo/wal"),
        ("tempo", "limit: 3200", "limit: 3200"),
        ("grafana", "http_port = 3000\nhttp_addr = 0.0.0.0", "http_port = 23000\nhttp_addr = 127.0.0.1"),
        ("grafana", "data = /var/lib/grafana", "data = /s/data/grafana"),
        ("loki", "url: http://localhost:3100/loki/api", "url: http://127.0.0.1:3100/loki/api"),
        ("answers", "--port=4319", "--port=24320"),
        ("answers", "--data=/data", "--data=/s/data/answers"),
    ],
)
def test_a_setting_reads_as_it_must_on_this_machine(name, text, expected):
    """Whole hosts, ports and folders are replaced; what only resembles one stays."""
    rewriter = Rewriter(PARTS, CHOSEN, Path("/s/config"), Path("/s/data"))
    assert expected == rewriter.rewrite(PARTS[name], text)


def test_ports_that_change_places_are_replaced_once():
    """Each place is replaced on its own, so that two ports can be swapped."""
    swapped = default_ports() | {"collector.otlp-http": 4319, "answers.otlp-http": 4318}
    rewriter = Rewriter(PARTS, swapped, Path("/c"), Path("/d"))
    text = "endpoint: 0.0.0.0:4318\nexporter: http://answers:4319"
    assert "endpoint: 127.0.0.1:4319\nexporter: http://127.0.0.1:4318" == rewriter.rewrite(PARTS["collector"], text)
