"""Prometheus, Alertmanager and the embedded engine behind gates, and a collector before them that may be killed."""

import contextlib
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path
from typing import Any

import psutil
import yaml
from asking import Answers, Prometheus, read, read_json, settled
from gates import Gate
from otlp_load import Fate, Load, items_in

from shopscope_ops.engines.native import NativeStack, read_components

ROOT = Path(__file__).parents[2]
EXPORTERS = {"traces": "otlp_http/tempo", "metrics": "otlp_http/prometheus", "logs": "otlp_http/loki"}
"""Each signal's own exporter; the embedded engine stands behind Tempo's and Loki's."""

BACKENDS = tuple(name for name in read_components() if name != "collector")
_PATHS = {"traces": "", "metrics": "/api/v1/otlp", "logs": ""}
# What takes minutes in production takes seconds here, and proves the same.
_QUICK = {"timeout": "3s", "retry_on_failure": {"initial_interval": "100ms", "max_interval": "500ms"}}


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Both, as the collector merges its files: maps are merged, all else is replaced."""
    both = dict(base)
    for key, value in changes.items():
        both[key] = merged(both.get(key) or {}, value) if isinstance(value, Mapping) else value
    return both


def quick_prometheus(folder: Path, telemetry_port: int) -> Path:
    """The stack's Prometheus that looks every second, also at a collector that another engine runs."""
    document = yaml.safe_load((ROOT / "stack/prometheus/prometheus.yml").read_text(encoding="utf-8"))
    document["global"] |= {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
    (job,) = document["scrape_configs"]
    job["static_configs"].append({"targets": [f"127.0.0.1:{telemetry_port}"], "labels": {"job": "collector"}})
    path = folder / "prometheus.yml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    return path


def quick_alertmanager(folder: Path) -> Path:
    """The stack's Alertmanager that waits for no group to fill."""
    document = yaml.safe_load((ROOT / "stack/alertmanager/alertmanager.yml").read_text(encoding="utf-8"))
    document["route"] |= {"group_wait": "0s", "group_interval": "1s"}
    path = folder / "alertmanager.yml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    return path


class Collector:
    """The real collector, run by the native engine with nothing beside it."""

    def __init__(self, stack: NativeStack) -> None:
        self._stack = stack
        self.address = stack.address("collector.otlp-http")

    def kill(self) -> None:
        """Kill it without a word of warning, and start it again."""
        self._stack.kill("collector")
        self._stack.start_one("collector")

    @property
    def memory_bytes(self) -> int:
        """Its resident memory."""
        return int(psutil.Process(self._stack.pid("collector")).memory_info().rss)

    @property
    def log(self) -> str:
        """What it has written."""
        return self._stack.log("collector").read_text(encoding="utf-8")

    def metric(self, name: str) -> float:
        """The sum of one of its own metrics over all series."""
        lines = read(self._stack.address("collector.telemetry"), "/metrics").decode().splitlines()
        return sum(
            float(line.rpartition(" ")[2]) for line in lines if line.partition("{")[0] in (name, f"{name}_total")
        )


@dataclass
class Rig:
    """What stands behind the collector, and the gates between.

    Attributes:
        folder: for whatever a test's collector needs.
        ports: of every collector, one after the other.
        backends: the running stack without a collector.
        gates: one before each signal's backend.
    """

    folder: Path
    ports: dict[str, int]
    backends: NativeStack
    gates: dict[str, Gate]
    prometheus: Prometheus = field(init=False)
    answers: Answers = field(init=False)

    def __post_init__(self) -> None:
        self.prometheus = Prometheus(self.backends.address("prometheus.http"))
        self.answers = Answers(self.backends.address("answers.otlp-http"))

    @contextlib.contextmanager
    def collector(self, changes: Mapping[str, Any] | None = None, overlays: Sequence[str] = ()) -> Iterator[Collector]:
        """A collector with fresh data while the context lasts.

        Args:
            changes: merged into its configuration last.
            overlays: files of ``collector/`` over agent.yaml.
        """
        for gate in self.gates.values():
            gate.open()
            gate.unsettled.clear()
        folder = self.folder / f"collector-{time.monotonic_ns()}"
        folder.mkdir()
        main = folder / "agent.yaml"
        documents = [
            yaml.safe_load((ROOT / "collector" / name).read_text(encoding="utf-8"))
            for name in ("agent.yaml", *overlays)
        ]
        main.write_text(yaml.safe_dump(reduce(merged, [*documents, self._quick(), changes or {}])), encoding="utf-8")
        with NativeStack(folder, ports=self.ports, without=BACKENDS, config={"collector": main}) as stack:
            yield Collector(stack)

    def fate(self, load: Load, seconds: float = 60.0) -> Fate:
        """What became of a load, once all that was acknowledged has arrived or the time is up."""
        settled(load.items, lambda: self.fate_now(load).arrived, seconds)
        return self.fate_now(load)

    def fate_now(self, load: Load) -> Fate:
        """What has become of a load up to now."""
        return load.fate(self._samples(load) if load.signal == "metrics" else self._rows(load))

    def unsettled(self, signal: str) -> int:
        """Items of exports that a killed collector, or one whose backend was killed, is right to send again."""
        return sum(items_in(signal, request) for request in self.gates[signal].unsettled)

    def firing(self) -> set[tuple[str, str]]:
        """Name and signal of the alerts that fire in Prometheus."""
        return {_named(alert) for alert in self.prometheus.alerts() if alert["state"] == "firing"}

    def told(self) -> set[tuple[str, str]]:
        """Name and signal of the alerts that Alertmanager has told the webhook's receiver."""
        return {_named(alert) for alert in read_json(self.answers.address, "/api/alerts")["alerts"]}

    def _rows(self, load: Load) -> Counter[tuple[int, str]]:
        table = {"traces": "spans", "logs": "logs"}[load.signal]
        ids = self.answers.table(table, service=load.service)["trace_id"].to_pylist()
        return Counter((int(trace[8:16], 16), trace[16:]) for trace in ids)

    def _samples(self, load: Load) -> Counter[tuple[int, str]]:
        numbers = {load.time_nano(number) // 10**6: number for number in load.acknowledged | load.resent}
        found = self.prometheus.samples(f'load_probe{{service_name="{load.service}"}}')
        return Counter((numbers[round(when * 1000)], labels["series"]) for labels, when in found)

    def _quick(self) -> dict[str, Any]:
        exporters = {
            name: _QUICK | {"endpoint": f"http://127.0.0.1:{self.gates[signal].port}{_PATHS[signal]}"}
            for signal, name in EXPORTERS.items()
        }
        pipelines = {signal: {"exporters": [name]} for signal, name in EXPORTERS.items()}
        return {"exporters": exporters, "service": {"pipelines": pipelines}}


def _named(alert: Mapping[str, Any]) -> tuple[str, str]:
    labels = alert["labels"]
    return labels["alertname"], labels.get("signal", labels.get("data_type", ""))
