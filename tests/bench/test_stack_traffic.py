"""Sender and sink of `make bench-stack`: both count the same, packed or not, in pieces, taken or refused."""

import asyncio
import gzip
import importlib
import json
import os
import random
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))
machine, sender, spans = map(importlib.import_module, ("bench.machine", "bench.stack.sender", "bench.spans"))
sys.path.pop(0)

BODY = spans.batch(random.Random(1))


@pytest.fixture
def ports(tmp_path):
    """Two backends of one sink."""
    chosen = machine.free_port(), machine.free_port()
    command = [sys.executable, "-m", "bench.stack.sink", *map(str, chosen)]
    with machine.process(command, dict(os.environ), tmp_path / "log", ROOT) as child:
        for port in chosen:
            machine.wait_for(port, child)
        yield chosen


def counts(ports):
    with urllib.request.urlopen(f"http://127.0.0.1:{ports[0]}/counts", timeout=10) as answer:
        return [count["spans"] for count in json.load(answer)]


def post(port, path, body, **headers):
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body, names)
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - our own sink
        return answer.status


def test_the_mark_is_in_every_span_once():
    """What the sink counts instead of reading protobuf."""
    assert spans.BATCH == BODY.count(spans.MARK)


def test_backends_count_apart_and_packed_as_well(ports):
    """Each port has its own count; gzip is undone; what is no span counts nothing."""
    post(ports[0], "/v1/traces", BODY)
    post(ports[1], "/v1/traces", BODY)
    post(ports[1], "/v1/traces", gzip.compress(BODY), Content_Encoding="gzip")
    post(ports[1], "/v1/logs", BODY)

    assert [512, 1024] == counts(ports)


def test_requests_may_come_in_pieces_and_together(ports):
    """A connection is a stream: two requests in a row, cut where it hurts, are two."""
    both = sender.encoded(BODY) * 2
    cut = both.index(b"\r\n\r\n") + 2
    with socket.create_connection(("127.0.0.1", ports[0]), 10) as connection:
        connection.sendall(both[:cut])
        time.sleep(0.05)
        connection.sendall(both[cut:])
        received = b""
        while received.count(b"HTTP/1.1 200 OK") < 2:
            received += connection.recv(4096)

    assert [1024, 0] == counts(ports)


def test_the_sender_stops_after_so_many_spans_and_counts_what_was_taken(ports, tmp_path):
    """As a process of its own, as the bench runs it; every acknowledged span is at the sink."""
    (tmp_path / "bodies").mkdir()
    (tmp_path / "bodies" / "000").write_bytes(BODY)
    command = [
        sys.executable,
        "-m",
        "bench.stack.sender",
        str(ports[0]),
        str(tmp_path / "bodies"),
        "4",
        "spans",
        "5000",
    ]
    sent = json.loads(subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout)

    assert (5120, 0, [5120, 0]) == (sent["acknowledged"], sent["refused"], counts(ports))


async def sent_to(answers, spans):
    """What the sender says of a collector that answers so, one request after the other on one connection."""

    async def collect(reader, writer):
        for answer in answers:
            await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(len(BODY))
            writer.write(b"HTTP/1.1 %s\r\nContent-Length: 0\r\n\r\n" % answer)
        writer.close()

    async with await asyncio.start_server(collect, "127.0.0.1") as server:
        port = server.sockets[0].getsockname()[1]
        return await sender.send(port, [sender.encoded(BODY)], 1, float("inf"), spans)


def test_a_refusal_is_counted_and_sent_again():
    """503 and 429, then taken: nothing is acknowledged that was refused."""
    sent = asyncio.run(sent_to([b"503 Busy", b"429 Busy", b"200 OK", b"200 OK"], 1024))

    assert (1024, 1024) == (sent.acknowledged, sent.refused)


def test_any_other_answer_ends_the_run():
    """A collector that is misconfigured must not look slow."""
    with pytest.raises(RuntimeError, match="the collector answered 400"):
        asyncio.run(sent_to([b"400 Bad Request"], 512))
