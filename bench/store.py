"""Spans/s that the embedded engine accepts on one core, and whether what it acknowledged survives kill -9.

The real engine process is pinned to one core; another process sends gzip'd OTLP protobuf batches of 512 spans over
several connections for a fixed time. Every acknowledged span must be in the store once. Then the engine is killed in
mid-load and started again: every acknowledged span must still be there.
"""

import argparse
import asyncio
import contextlib
import json
import multiprocessing
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil

from bench.machine import peak_bytes
from bench.spans import BATCH, batch, packed

BUDGET = 10_000
STRETCH = 25_000
CONNECTIONS = 48
PREPARED = 400
KILL_SECONDS = 5


@dataclass
class Sent:
    """What the sender saw."""

    acknowledged: int = 0
    refused: int = 0
    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    marks: list[int] = field(default_factory=list)


async def send(port: int, bodies: list[bytes], seconds: float) -> Sent:
    """Post bodies over all connections until the time is up or the engine is gone."""
    sent = Sent()
    began = time.monotonic()
    turn = iter(range(10**9))

    async def connection(client: httpx.AsyncClient) -> None:
        headers = {"content-type": "application/x-protobuf", "content-encoding": "gzip"}
        while time.monotonic() - began < seconds:
            number = next(turn)
            start = time.monotonic()
            try:
                body = bodies[number % len(bodies)]
                answer = await client.post(f"http://127.0.0.1:{port}/v1/traces", content=body, headers=headers)
            except httpx.TransportError:
                return
            if answer.status_code == 200 and not answer.content:
                sent.acknowledged += BATCH
                sent.marks.append(number % len(bodies))
                sent.latencies.append(time.monotonic() - start)
            else:
                sent.refused += BATCH
                await asyncio.sleep(float(answer.headers.get("retry-after", "1")))

    async with httpx.AsyncClient(timeout=60, limits=httpx.Limits(max_connections=CONNECTIONS)) as client:
        await asyncio.gather(*(connection(client) for _ in range(CONNECTIONS)))
    sent.seconds = time.monotonic() - began
    return sent


def sender(port: int, bodies: list[bytes], seconds: float, results: Any) -> None:
    """The sending process: on another core than the engine where there is one."""
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, set(cores[1:] or cores))
    results.put(asyncio.run(send(port, bodies, seconds)))


def start_sender(port: int, bodies: list[bytes], seconds: float) -> tuple[Any, Any]:
    """Start the sending process; its ``Sent`` comes through the queue."""
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    process = context.Process(target=sender, args=(port, bodies, seconds, results))
    process.start()
    return process, results


@contextlib.contextmanager
def engine(data: Path) -> Iterator[tuple[psutil.Process, int]]:
    """The engine on a free port, pinned to one core."""
    command = [sys.executable, "-m", "shopscope_ops.engines.embedded", "--port", "0", "--page-port", "0"]
    with subprocess.Popen([*command, "--data", str(data)], stdout=subprocess.PIPE, text=True) as process:
        try:
            if hasattr(os, "sched_setaffinity"):
                os.sched_setaffinity(process.pid, {min(os.sched_getaffinity(0))})
            assert process.stdout is not None
            ready = re.search(r"127\.0\.0\.1:(\d+)", process.stdout.readline())
            assert ready is not None, "the engine did not start"
            yield psutil.Process(process.pid), int(ready[1])
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            process.wait(30)


def stored(port: int) -> tuple[int, int]:
    """Spans in the store, and bytes of its files."""
    status = httpx.get(f"http://127.0.0.1:{port}/api/status", timeout=60).json()
    return status["tables"]["spans"], status["database"]["bytes"]


def sustained(data: Path, bodies: list[bytes], seconds: float) -> dict[str, Any]:
    """Full load for the given time."""
    with engine(data) as (process, port):
        before = process.cpu_times()
        load, results = start_sender(port, bodies, seconds)
        sent: Sent = results.get(timeout=seconds + 120)
        load.join()
        after = process.cpu_times()
        memory = peak_bytes(process)
        rows, _ = stored(port)
    size = sum(file.stat().st_size for file in data.iterdir())
    latencies = sorted(sent.latencies)
    cpu = after.user + after.system - before.user - before.system
    return {
        "seconds": round(sent.seconds, 2),
        "acknowledged": sent.acknowledged,
        "stored": rows,
        "refused": sent.refused,
        "spans_per_second": round(sent.acknowledged / sent.seconds),
        "ack_p50_ms": round(latencies[len(latencies) // 2] * 1000, 1),
        "ack_p99_ms": round(latencies[int(len(latencies) * 0.99)] * 1000, 1),
        "engine_cpu_cores": round(cpu / sent.seconds, 2),
        "engine_cpu_us_per_span": round(cpu / max(sent.acknowledged, 1) * 1e6, 1),
        "spans_per_second_of_a_whole_core": round(max(sent.acknowledged, 1) / cpu),
        "engine_peak_rss_mb": round(memory / 1e6, 1),
        "disk_bytes_per_span": round(size / max(rows, 1), 1),
    }


def killed(data: Path, bodies: list[bytes]) -> dict[str, Any]:
    """Kill -9 in mid-load, start again, and look for every acknowledged batch by its mark."""
    with engine(data) as (process, port):
        load, results = start_sender(port, bodies, KILL_SECONDS * 2)
        time.sleep(KILL_SECONDS)
        process.kill()
        sent: Sent = results.get(timeout=60)
        load.join()
    with engine(data) as (_, port):
        rows, _ = stored(port)
    return {
        "acknowledged": sent.acknowledged,
        "stored": rows,
        "unacknowledged_but_stored": rows - sent.acknowledged,
        "missing_batches": missing(data, sent.marks),
    }


def missing(data: Path, marks: list[int]) -> int:
    """Acknowledgements without their 512 rows; batches are sent in turn, so a mark may have been acknowledged twice."""
    from shopscope_ops.store import Store  # noqa: PLC0415  # the engine has the file until now

    with Store(data) as store:
        found = store.sql("SELECT trace_state, count(*) AS n FROM spans GROUP BY trace_state").to_pylist()
    counts = {row["trace_state"]: row["n"] for row in found}
    expected: dict[str, int] = {}
    for mark in marks:
        expected[f"bench={mark}"] = expected.get(f"bench={mark}", 0) + BATCH
    return sum(counts.get(mark, 0) < rows for mark, rows in expected.items())


def report(result: dict[str, Any]) -> None:
    """Print the result for people."""
    load, kill = result["sustained"], result["kill"]
    rate = load["spans_per_second"]
    print(f"embedded engine, one core, batches of {BATCH} spans of {result['span_bytes']} bytes, 8 attributes")
    print(f"  accepted        {rate:>10,} spans/s for {load['seconds']} s ({load['refused']} refused)")
    print(f"  against budget  {rate / BUDGET:>10.2f} x {BUDGET:,}   against stretch {rate / STRETCH:.2f} x {STRETCH:,}")
    print(f"  acknowledgement {load['ack_p50_ms']:>10} ms p50, {load['ack_p99_ms']} ms p99, {CONNECTIONS} connections")
    print(f"  engine          {load['engine_cpu_cores']:>10} cores, {load['engine_cpu_us_per_span']} µs/span")
    print(f"  a whole core    {load['spans_per_second_of_a_whole_core']:>10,} spans/s, if it had none to share it with")
    print(f"  memory          {load['engine_peak_rss_mb']:>10} MB peak")
    print(f"  disk            {load['disk_bytes_per_span']:>10} bytes/span")
    print(f"  acknowledged    {load['acknowledged']:>10,} spans, stored {load['stored']:,}")
    print(f"  after kill -9   {kill['acknowledged']:>10,} acknowledged, stored {kill['stored']:,}, ", end="")
    print(f"batches missing {kill['missing_batches']}")


def main() -> int:
    """Run both phases; 1 when the budget is missed or anything is lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="length of the sustained load")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    options = parser.parse_args()
    rng = random.Random(20260801)  # noqa: S311  # load, not secrets
    prepared = [batch(rng, f"bench={mark}") for mark in range(PREPARED)]
    bodies = [packed(body) for body in prepared]
    folder = Path(tempfile.mkdtemp(prefix="shopscope-bench-"))
    try:
        result = {
            "span_bytes": round(sum(map(len, prepared)) / PREPARED / BATCH),
            "sustained": sustained(folder / "sustained", bodies, options.seconds),
            "kill": killed(folder / "kill", bodies),
        }
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps(result, indent=2)) if options.json else report(result)
    load, kill = result["sustained"], result["kill"]
    is_lossless = load["stored"] == load["acknowledged"] and kill["missing_batches"] == 0
    return 0 if is_lossless and load["spans_per_second"] >= BUDGET else 1


if __name__ == "__main__":
    sys.exit(main())
