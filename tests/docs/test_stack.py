"""docs/how-to/stack.md says what the stack's files say."""

import re
from pathlib import Path

import pytest
import yaml

from shopscope_ops.engines.embedded._options import parse_options
from shopscope_ops.engines.native import read_components

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/how-to/stack.md").read_text(encoding="utf-8")
COMPONENTS = read_components()


def row(first):
    """The cells of the table's row that begins with this one."""
    (line,) = re.findall(rf"^\| {re.escape(first)} \|.*$", PAGE, re.MULTILINE)
    return [cell.strip() for cell in line.strip("|").split("|")]


def configuration(path):
    return yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", COMPONENTS)
def test_component(name):
    """Its version and the ports that it publishes."""
    part = COMPONENTS[name]
    _, version, _, ports = row(name)
    assert (part.version or "ours") == version
    assert ", ".join(f"{port} {number}" for port, number in part.ports.items()) == ports


def test_memory():
    """What the limits add up to."""
    assert f"{sum(int(part.memory.removesuffix('MiB')) for part in COMPONENTS.values())} MiB" in PAGE


def test_what_is_kept():
    """Retention of each store, and the length of the collector's queues."""
    prometheus = configuration("stack/prometheus/prometheus.yml")["storage"]["tsdb"]["retention"]
    assert {"time": "35d", "size": "4GB"} == prometheus
    assert ["metrics", "35 days", "4 GB"] == row("metrics")[:3]
    tempo = configuration("stack/tempo/tempo.yaml")
    assert f"{7 * 24}h" == tempo["backend_worker"]["compaction"]["block_retention"]
    assert f"{7 * 24}h" == configuration("stack/loki/loki.yaml")["limits_config"]["retention_period"]
    assert ["7 days", "7 days"] == [row("traces")[1], row("logs")[1]]
    answers = parse_options(["--data", "data"]).limits
    assert (24 * 3600, 2 * 10**9) == (answers.max_age_seconds, answers.max_bytes)
    assert ["24 hours", "2 GB"] == row("the answers' copy")[1:3]
    exporters = configuration("collector/agent.yaml")["exporters"].values()
    assert {500_000} == {exporter["sending_queue"]["queue_size"] for exporter in exporters}
    assert "500,000 records" in row("what waits in the collector")[2]


def test_override_of_ones_own():
    """The override that bring-your-own.md shows names files that the container has, and variables that they read."""
    page = (ROOT / "docs/how-to/bring-your-own.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"```yaml\n(# docker-compose\.override\.yml.*?)```", page, re.DOTALL)
    service = yaml.safe_load(text)["services"]["collector"]
    mounted = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]["collector"][
        "volumes"
    ]
    assert "./collector:/etc/collector:ro" in mounted
    files = [ROOT / "collector" / argument.removeprefix("--config=/etc/collector/") for argument in service["command"]]
    read = "".join(file.read_text(encoding="utf-8") for file in files)
    assert [] == [name for name in service["environment"] if f"${{env:{name}" not in read]
