"""A full disk, too much load and requests that are wrong: refused, counted and alerted, and the collector goes on."""

import contextlib
import gzip
import http.client
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from asking import settled, wait_until
from otlp_load import NO_ANSWER, PROTOBUF, Load

from shopscope_ops.engines.native import read_components

MIB = 2**20
DISK_BYTES = 2 * MIB
USUAL_RATE = 10
QUEUE_ITEMS = 40_000
HEAP_MIB = 100
DRIPPING = 200


def wait_for_alerts(rig, signal):
    """What is refused and what does not get into the queue is known to Prometheus, and to the webhook's receiver."""
    expected = {("ShopscopeCollectorRefuses", signal), ("ShopscopeCollectorQueueFull", signal)}
    wait_until(lambda: expected <= rig.firing(), f"Prometheus fires {expected}")
    wait_until(lambda: expected <= rig.told(), f"the webhook's receiver was told of {expected}")


def assert_counted(collector, load, kind):
    """The collector's own count is the sender's: every item that was answered 503."""
    expected = load.answers[503] * load.size
    assert expected == settled(expected, lambda: collector.metric(f"otelcol_receiver_refused_{kind}"))
    assert {200, 503} == set(load.answers)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of its own that is soon full."""
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, check=False, capture_output=True).returncode != 0:
        pytest.skip("a small file system can be mounted by root alone, and not in every container")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_refuses_what_it_cannot_keep(rig, fault_table, small_disk):
    """What was acknowledged before arrives, what was refused is counted and alerted, and there is room again after."""
    place = str(small_disk / "queue")
    with rig.collector({"extensions": {"file_storage": {"directory": place, "compaction": {"directory": place}}}}) as (
        collector
    ):
        assert not rig.firing() & {("ShopscopeCollectorRefuses", "metrics")}
        rig.gates["metrics"].shut()
        load = Load(collector.address, "metrics", connections=1, retries=False)
        load.send(2 * DISK_BYTES // len(load.marked(0)))
        assert_counted(collector, load, "metric_points")
        wait_for_alerts(rig, "metrics")
        rig.gates["metrics"].open()
        fate = rig.fate(load)
        fault_table(f"queue's disk of {DISK_BYTES // MIB} MiB full", "metrics", fate, load.refused, "counted, alerted")
        assert (0, 0) == (fate.lost, fate.twice)
        later = Load(collector.address, "metrics")
        later.send(5)
        assert 0 == rig.fate(later).lost


def test_ten_times_the_usual_load_stays_within_memory(rig, fault_table, monkeypatch):
    """The usual load goes through; of ten times as much before a backend that stands still, the rest is sent back."""
    monkeypatch.setenv("SHOPSCOPE_COLLECTOR_MEMORY_MIB", str(HEAP_MIB))
    monkeypatch.setenv("SHOPSCOPE_COLLECTOR_SPIKE_MIB", str(HEAP_MIB // 4))
    small_queue = {"exporters": {"otlp_http/tempo": {"sending_queue": {"queue_size": QUEUE_ITEMS}}}}
    with rig.collector(small_queue) as collector:
        assert not rig.firing() & {("ShopscopeCollectorRefuses", "traces")}
        usual = Load(collector.address, rate=USUAL_RATE, padding="x" * 500)
        with usual.running():
            usual.wait_for(3 * USUAL_RATE)
        assert 0 == usual.refused
        rig.gates["traces"].hang()
        much = Load(collector.address, rate=10 * USUAL_RATE, padding="x" * 500, connections=32, retries=False)
        peak_bytes = 0
        with much.running():
            while much.answers.total() * much.size < 3 * QUEUE_ITEMS:
                peak_bytes = max(peak_bytes, collector.memory_bytes)
        assert_counted(collector, much, "spans")
        wait_for_alerts(rig, "traces")
        rig.gates["traces"].open()
        fate = rig.fate(much)
        note = f"counted, alerted; {peak_bytes // MIB} MiB resident at most, a limit of {HEAP_MIB} MiB for the heap"
        fault_table("ten times the usual load, backend hung", "traces", fate, much.refused, note)
        assert (0, 0) == (fate.lost, fate.twice)
        assert peak_bytes < int(read_components()["collector"].memory.removesuffix("MiB")) * MIB


WRONG = {
    "no protobuf": (b"\xff" * 100, PROTOBUF, {400}),
    "no JSON": (b"{", {"Content-Type": "application/json"}, {400}),
    "no gzip": (b"plain", PROTOBUF | {"Content-Encoding": "gzip"}, {400}),
    "unknown encoding": (b"plain", PROTOBUF | {"Content-Encoding": "lzma"}, {400}),
    "unknown type": (b"plain", {"Content-Type": "text/plain"}, {415}),
    # It is not read to its end: whether its sender sees the answer before the end of the connection is not certain.
    "20 MiB": (b"\0" * 20 * MIB, PROTOBUF, {400, NO_ANSWER}),
    "200 MiB in 200 KiB": (gzip.compress(b"\0" * 200 * MIB, 1), PROTOBUF | {"Content-Encoding": "gzip"}, {400}),
}


def post(address, body, headers):
    """The status that a body is answered with."""
    parts = urlsplit(address)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=20)
    with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.request("POST", "/v1/traces", body, headers)
        return connection.getresponse().status
    return NO_ANSWER


def test_wrong_requests_are_refused(rig, fault_table):
    """Each with a status that tells its sender not to try again; right ones beside them are taken."""
    with rig.collector() as collector:
        load = Load(collector.address, rate=USUAL_RATE)
        with load.running():
            got = {name: post(collector.address, body, headers) for name, (body, headers, _) in WRONG.items()}
            load.wait_for(len(load.acknowledged) + USUAL_RATE)
        fate = rig.fate(load)
        answers = ", ".join(f"{name}: {status or 'closed'}" for name, status in got.items())
        fault_table("malformed and oversized requests beside it", "traces", fate, load.refused, answers)
        assert {} == {name: status for name, status in got.items() if status not in WRONG[name][2]}
        assert (0, 0, 0) == (fate.lost, fate.twice, load.refused)


HEAD = b"POST /v1/traces HTTP/1.1\r\nHost: shop\r\nContent-Type: application/x-protobuf\r\n"
# What comes at once, before the rest drips in.
DRIPPED = {"headers": HEAD, "body": HEAD + b"Content-Length: 100000\r\n\r\n"}


def drip(address, start):
    """Send requests byte by byte over many connections, until each was closed."""
    parts = urlsplit(address)
    with contextlib.ExitStack() as opened:
        dripping = [
            opened.enter_context(socket.create_connection((parts.hostname, parts.port))) for _ in range(DRIPPING)
        ]
        for one in dripping:
            one.sendall(start)
        deadline = time.monotonic() + 60
        while dripping:
            assert time.monotonic() < deadline, f"{len(dripping)} of {DRIPPING} are open still"
            time.sleep(0.1)
            dripping = [one for one in dripping if is_open(one)]


def is_open(one):
    """Whether a connection takes one more byte."""
    try:
        one.send(b"x")
    except OSError:
        return False
    return True


@pytest.mark.parametrize("part", DRIPPED)
def test_slowly_dripped_requests_are_cut_off(rig, fault_table, part):
    """Hundreds of connections that never come to an end hold nobody up, and are closed."""
    quick = {"receivers": {"otlp": {"protocols": {"http": {"read_header_timeout": "2s", "read_timeout": "3s"}}}}}
    with rig.collector(quick) as collector:
        load = Load(collector.address, rate=USUAL_RATE)
        with load.running():
            drip(collector.address, DRIPPED[part])
        fate = rig.fate(load)
        fault_table(
            f"{DRIPPING} requests with slowly dripping {part} beside it", "traces", fate, load.refused, "all closed"
        )
        assert (0, 0, 0) == (fate.lost, fate.twice, load.refused)
        assert len(load.acknowledged) > 0
