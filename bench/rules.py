"""What the rules of many journeys cost a Prometheus that has 30 days behind it.

A Prometheus gets the history that the rules read (the recorded rates of 30 days, the counters of the last hours, with
noise, so that samples compress as badly as real ones), then evaluates the rules as they are generated. Printed are, for
each group, how long an evaluation takes beside its interval, and how many samples its rules read; and what 30 days read
straight from the services' counters would be. Exits with 1 when a budget is broken.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
import yaml
from numpy.typing import NDArray

from bench.machine import free_port, wait_for
from shopscope.config import Journey, Shop
from shopscope_ops.engines.native import find_binary
from shopscope_ops.slo import RULES, files

BUDGET_SHARE = 0.1  # of its interval that a group may take
BUDGET_CORE = 0.1  # of one core that Prometheus may take for all rules
OUTCOMES = ("good", "slow", "error")
DAY = 86400
PUSH_SECONDS = 10
_TSDB = ("--storage.tsdb.min-block-duration=1d", "--storage.tsdb.max-block-duration=1d")


def shop_of(count: int) -> Shop:
    """Journeys that differ in name and objective."""
    journeys = [
        Journey(f"journey-{n}", (f"GET /{n}",), "storefront", 0.3, 0.995 if n % 2 else 0.99, owner="team")
        for n in range(count)
    ]
    return Shop("bench", "EUR", {journey.name: journey for journey in journeys})


def varint(number: int) -> bytes:
    """A number as protobuf writes it."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes(out) + bytes([number])


def field(number: int, body: bytes) -> bytes:
    """A length-delimited field."""
    return varint(number << 3 | 2) + varint(len(body)) + body


def samples(times_ms: NDArray[np.int64], values: NDArray[np.float64]) -> bytes:
    """Samples of a series in remote write: 18 bytes each, as milliseconds since 1970 take six bytes."""
    rows = np.empty((len(times_ms), 18), np.uint8)
    rows[:, 0], rows[:, 1], rows[:, 2], rows[:, 11] = 0x12, 16, 0x09, 0x10
    rows[:, 3:11] = values.astype("<f8").view(np.uint8).reshape(-1, 8)
    for index in range(6):
        more = 0x80 if index < 5 else 0
        rows[:, 12 + index] = (times_ms >> (7 * index)) & 0x7F | more
    return rows.tobytes()


def labelled(name: str, journey: str, outcome: str, instance: str = "") -> bytes:
    """The labels of a series."""
    labels = {"__name__": name, "deployment_environment_name": "bench", "journey": journey, "outcome": outcome}
    labels |= {"service_instance_id": instance, "service_name": "storefront"} if instance else {}
    return b"".join(field(1, field(1, key.encode()) + field(2, text.encode())) for key, text in sorted(labels.items()))


class Server:
    """A Prometheus with the rules."""

    def __init__(self, folder: Path, rules: str) -> None:
        self.folder, self.port = folder, free_port()
        (folder / "slo.yml").write_text(rules, encoding="utf-8")
        (folder / "prometheus.yml").write_text("storage: {tsdb: {out_of_order_time_window: 10m}}\n", encoding="utf-8")
        binary = find_binary("prometheus")
        if binary is None:
            raise SystemExit("prometheus is neither on PATH nor in the cache: run make stack-binaries")
        self.process = subprocess.Popen(
            [
                binary,
                f"--config.file={folder}/prometheus.yml",
                f"--storage.tsdb.path={folder}/data",
                f"--web.listen-address=127.0.0.1:{self.port}",
                "--web.enable-remote-write-receiver",
                "--web.enable-lifecycle",
                "--storage.tsdb.retention.time=40d",
                "--log.level=error",
                *_TSDB,
            ]
        )
        wait_for(self.port, self.process)
        while self.ready() != 200:
            time.sleep(0.2)

    def ready(self) -> int:
        """Status of the readiness probe."""
        try:
            with self.open("/-/ready") as answer:
                return int(answer.status)
        except OSError:
            return 0

    def open(self, path: str, body: bytes | None = None) -> Any:
        """A request; remote write where there is a body."""
        headers = {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf"} if body else {}
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data=body, headers=headers)
        return urllib.request.urlopen(request, timeout=300)  # noqa: S310 (same)

    def write(self, series: list[bytes]) -> None:
        """Remote write."""
        body = b"".join(field(1, one) for one in series)
        self.open("/api/v1/write", pa.compress(body, codec="snappy", asbytes=True)).close()

    def read(self, query: str) -> dict[str, Any]:
        """An instant query with its statistics."""
        with self.open(f"/api/v1/query?stats=all&query={urllib.parse.quote(query)}") as answer:
            return dict(json.load(answer)["data"])

    def begin(self) -> None:
        """Evaluate the rules from now on."""
        # Only now: a sample of today would make those of last month too old.
        path = self.folder / "prometheus.yml"
        scraped = f"[{{job_name: self, scrape_interval: 5s, static_configs: [{{targets: ['127.0.0.1:{self.port}']}}]}}]"
        more = f"rule_files: [slo.yml]\nscrape_configs: {scraped}\n"
        path.write_text(path.read_text(encoding="utf-8") + more, encoding="utf-8")
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/-/reload", method="POST")
        urllib.request.urlopen(request, timeout=60).close()  # noqa: S310 (same)


def fill(server: Server, shop: Shop, days: int, replicas: int) -> None:
    """History: an ascending write for every quarter of a day, and the counters until ten minutes from now."""
    rng, now = np.random.default_rng(7), int(time.time())
    chosen = [(journey, outcome) for journey in shop.journeys for outcome in OUTCOMES]
    for begin in range(now - days * DAY, now, DAY // 4):
        end, write = min(begin + DAY // 4, now), []
        plan = [("shopscope:slo_events:rate1h", 60)]
        plan += [("shopscope:slo_events:rate5m", 15)] if end > now - 3 * DAY else []
        for name, step in plan:
            times = np.arange(begin, end, step, dtype=np.int64) * 1000
            for journey, outcome in chosen:
                rate = 20.0 if outcome == "good" else 0.02
                write.append(labelled(name, journey, outcome) + samples(times, rng.gamma(4, rate / 4, len(times))))
        server.write(write)
    times = np.arange(now - 2 * 3600, now + 9 * 60, PUSH_SECONDS, dtype=np.int64) * 1000
    for journey, outcome in chosen:
        rate = 200.0 if outcome == "good" else 0.2
        counters = [np.cumsum(rng.poisson(rate / replicas, len(times))).astype(np.float64) for _ in range(replicas)]
        server.write(
            [
                labelled("shopscope_slo_events_total", journey, outcome, f"instance-{n}") + samples(times, counter)
                for n, counter in enumerate(counters)
            ]
        )


def watch(server: Server, seconds: float) -> tuple[dict[str, list[float]], float, float]:
    """Durations of each group, cores that Prometheus took, and the bytes that it held at most."""
    process, durations, most = psutil.Process(server.process.pid), {}, 0.0
    time.sleep(75)  # the first evaluations find everything cold
    begin, used = time.monotonic(), sum(process.cpu_times()[:2])
    while time.monotonic() < begin + seconds:
        time.sleep(5)
        most = max(most, process.memory_info().rss)
        for row in server.read("prometheus_rule_group_last_duration_seconds")["result"]:
            group = row["metric"]["rule_group"].partition(";")[2]
            durations.setdefault(group, []).append(float(row["value"][1]))
    cores = (sum(process.cpu_times()[:2]) - used) / (time.monotonic() - begin)
    return durations, cores, most


def main() -> int:
    """Fill, evaluate, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--journeys", type=int, default=50)
    parser.add_argument("--replicas", type=int, default=4, help="instances that count each journey")
    parser.add_argument("--days", type=int, default=30, help="of history")
    parser.add_argument("--seconds", type=float, default=150, help="to watch the rules for")
    options = parser.parse_args()
    shop = shop_of(options.journeys)
    rules = files(shop)[RULES]
    with tempfile.TemporaryDirectory() as name:
        server = Server(Path(name), rules)
        try:
            begun = time.monotonic()
            fill(server, shop, options.days, options.replicas)
            print(f"{options.days} days written in {time.monotonic() - begun:.0f} s")
            server.begin()
            durations, cores, most = watch(server, options.seconds)
            return report(server, rules, options, durations, cores, most)
        finally:
            server.process.terminate()
            server.process.wait()


def report(
    server: Server,
    rules: str,
    options: argparse.Namespace,
    durations: dict[str, list[float]],
    cores: float,
    most: float,
) -> int:
    """Print the table; 1 when a budget is broken."""
    groups = yaml.safe_load(rules)["groups"]
    print(f"\n{options.journeys} journeys, {options.replicas} instances each, {options.days} days of history\n")
    head = ("group", "rules", "interval", "median", "longest", "of interval", "samples read")
    print("{:24} {:>5} {:>8} {:>9} {:>9} {:>11} {:>13}".format(*head))
    broken, read_30d = [], 0
    for group in groups:
        seconds = {"s": 1, "m": 60}[group["interval"][-1]] * int(group["interval"][:-1])
        read = 0
        for rule in group["rules"]:
            peak = server.read(rule["expr"])["stats"]["samples"]["totalQueryableSamples"]
            read += peak
            read_30d = peak if "rate1h[30d]" in rule["expr"] else read_30d
        taken = durations[group["name"]]
        median = statistics.median(taken)
        broken += [group["name"]] if median > BUDGET_SHARE * seconds else []
        print(
            f"{group['name']:24} {len(group['rules']):5} {group['interval']:>8} {median * 1000:6.1f} ms "
            f"{max(taken) * 1000:6.1f} ms {median / seconds:10.2%} {read:13,}"
        )
    direct = options.journeys * len(OUTCOMES) * options.replicas * 30 * DAY // PUSH_SECONDS
    failures = server.read("sum(prometheus_rule_evaluation_failures_total)")["result"]
    print(f"\nPrometheus with all rules: {cores:.3f} of a core (budget {BUDGET_CORE}), {most / 2**20:.0f} MiB")
    print(f"30 days read {read_30d:,} samples; from the counters {direct:,}: {direct / read_30d:.0f} times as many")
    print(f"evaluations that failed: {failures[0]['value'][1] if failures else 0}")
    broken += ["cores"] if cores > BUDGET_CORE else []
    if broken:
        print(f"over the budget: {', '.join(broken)}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
