"""Seconds and memory of both answers over a million spans, against the budget of 10 s and 1.5 GB.

A shop of six services is made up (checkout with a bank outside, search, product, cart; lognormal times, a slow bank)
and written as Parquet. A fresh process then reads the file, answers, and turns the answers into their document: what it
took, its peak memory included, is what counts.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

BUDGET_SECONDS = 10.0
BUDGET_BYTES = 1.5e9
SPANS = 1_000_000

Nanos = NDArray[np.int64]


@dataclass(frozen=True)
class Call:
    """A span of the made-up shop, and what it does one after the other."""

    service: str
    name: str
    kind: str
    milliseconds: float
    peer: str = ""
    children: tuple["Call", ...] = ()


def sql(service: str, name: str, milliseconds: float = 1.5) -> Call:
    """A statement that PostgreSQL answers without a span of its own."""
    return Call(service, name, "client", milliseconds, "postgresql")


def http(caller: str, callee: str, name: str, milliseconds: float, *children: Call) -> Call:
    """A client span around the callee's server span."""
    server = Call(callee, name, "server", milliseconds, "", children)
    return Call(caller, name.split(maxsplit=1)[0], "client", 0.8, callee, (server,))


CHECKOUT = Call(
    "storefront", "POST /checkout", "server", 2.0, "", (
        Call("storefront", "GET", "client", 0.3, "redis"),
        http("storefront", "checkout", "POST /orders", 4.0,
            sql("checkout", "SELECT carts"),
            http("checkout", "inventory", "POST /reservations", 3.0,
                *(sql("inventory", "SELECT stock FOR UPDATE", 2.0), sql("inventory", "UPDATE stock")) * 3),
            http("checkout", "payment", "POST /charges", 2.0,
                sql("payment", "SELECT charges"),
                Call("payment", "POST", "client", 45.0, "bank"),
                sql("payment", "INSERT charges")),
            sql("checkout", "INSERT orders"), sql("checkout", "COMMIT")),
    ),
)  # fmt: skip
SEARCH = Call(
    "storefront", "GET /search", "server", 1.5, "", (
        http("storefront", "search", "GET /search", 3.0, sql("search", "SELECT products", 20.0)),
    ),
)  # fmt: skip
PRODUCT = Call(
    "storefront", "GET /products/{sku}", "server", 1.0, "", (
        Call("storefront", "GET", "client", 0.3, "redis"), sql("storefront", "SELECT products"),
        http("storefront", "inventory", "GET /stock/{sku}", 1.0, sql("inventory", "SELECT stock")),
    ),
)  # fmt: skip
CART = Call("storefront", "POST /carts/{cart_id}/items", "server", 1.2, "", (sql("storefront", "UPSERT carts", 2.0),))
JOURNEYS = {"checkout": (CHECKOUT, 0.3), "search": (SEARCH, 0.3), "product": (PRODUCT, 0.3), "cart": (CART, 0.1)}


class Shop:
    """Makes the spans of many requests of one journey at a time, column by column."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.columns: dict[str, list[pa.Array]] = {}

    def ids(self, count: int, size: int) -> pa.Array:
        """Random hexadecimal ids."""
        text = self.random.bytes(count * size).hex()
        return pa.array([text[at : at + 2 * size] for at in range(0, len(text), 2 * size)])

    def request(self, journey: str, call: Call, traces: pa.Array, parents: pa.Array, start: Nanos) -> Nanos:
        """Add a call of every trace with all below; returns when it ended."""
        count = len(traces)
        work = self.random.lognormal(np.log(call.milliseconds * 1e6), 0.5, count).astype(np.int64)
        if call.peer == "bank":
            work[self.random.random(count) < 0.02] += 1_000_000_000
        span_ids = self.ids(count, 8)
        step = work // (len(call.children) + 1)
        now = start + step
        for child in call.children:
            now = self.request(journey, child, traces, span_ids, now) + step
        texts = {"service": call.service, "instance": f"{call.service}-1", "name": call.name, "kind": call.kind}
        texts |= {"peer": call.peer, "journey": journey, "status": "unset", "attributes": attributes()}
        row = {name: pa.repeat(pa.scalar(text), count) for name, text in texts.items()}
        row |= {"trace_id": traces, "span_id": span_ids, "parent_span_id": parents}
        row |= {"start_unix_nano": pa.array(start), "duration_nano": pa.array(now - start)}
        for name, array in row.items():
            self.columns.setdefault(name, []).append(array)
        return now


def attributes() -> str:
    """Attributes as the SDK sends them."""
    known: dict[str, str | int] = {"http.request.method": "POST", "server.address": "127.0.0.1", "server.port": 8606}
    known |= {"url.full": "http://127.0.0.1:8606/authorisations", "http.response.status_code": 200}
    return json.dumps(known, separators=(",", ":"))


def size(call: Call) -> int:
    """Spans of a call."""
    return 1 + sum(size(child) for child in call.children)


def write(path: Path, spans: int) -> int:
    """Write about so many spans in the order of their start; returns the number."""
    shop = Shop(seed=3)
    requests = spans / sum(share * size(call) for call, share in JOURNEYS.values())
    for journey, (call, share) in JOURNEYS.items():
        count = round(requests * share)
        begin = 1_790_000_000_000_000_000 + np.sort(shop.random.integers(0, 300 * 10**9, count))
        shop.request(journey, call, shop.ids(count, 16), pa.repeat(pa.scalar(""), count), begin)
    table = pa.table({name: pa.chunked_array(arrays) for name, arrays in shop.columns.items()})
    pq.write_table(table.sort_by("start_unix_nano"), path)
    return len(table)


def measure(path: Path) -> None:
    """Read, answer, and print what it took; runs in a process of its own."""
    begin = time.perf_counter()
    from shopscope.config import Shop as Journeys  # noqa: PLC0415 - importing is part of what the user waits for
    from shopscope_ops.answers import diagnose  # noqa: PLC0415 - same
    from shopscope_ops.sources import from_file  # noqa: PLC0415 - same

    telemetry = from_file(path)
    read = time.perf_counter()
    document = diagnose(telemetry, Journeys()).to_dict()
    answered = time.perf_counter()
    top = {chain["journey"]: chain["sentence"] for chain in document["chains"]["journeys"]}
    # Linux counts in KiB, macOS in bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    print(json.dumps({"read": read - begin, "answer": answered - read, "peak": peak, "checkout": top["checkout"]}))


def main() -> int:
    """Run the benchmark; 1 when a budget is missed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--spans", type=int, default=SPANS)
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        measure(options.measure)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "spans.parquet"
        count = write(path, options.spans)
        output = subprocess.run(
            [sys.executable, __file__, "--measure", str(path)], check=True, capture_output=True, text=True
        ).stdout
    result = json.loads(output)
    seconds = result["read"] + result["answer"]
    print(f"{count:,} spans: read in {result['read']:.2f} s, both answers in {result['answer']:.2f} s")
    print(f"  {result['checkout']}")
    print(f"time    {seconds:6.2f} s  of {BUDGET_SECONDS:.0f} s    ratio {seconds / BUDGET_SECONDS:.2f}")
    gigabytes, bound = result["peak"] / 1e9, BUDGET_BYTES / 1e9
    print(f"memory  {gigabytes:6.2f} GB of {bound:.1f} GB  ratio {gigabytes / bound:.2f}")
    return int(seconds > BUDGET_SECONDS or result["peak"] > BUDGET_BYTES)


if __name__ == "__main__":
    sys.exit(main())
