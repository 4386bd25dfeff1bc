"""A shop's telemetry made up on the spot, a store in memory, a page server and a browser to look at it."""

import asyncio
import contextlib
import json
import os
import random
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import httpx
import pyarrow as pa
import pytest
import uvicorn
from shopscope.config import Shop, load_shop
from shopscope_ops.page import create_page_app
from shopscope_ops.store.schema import TABLES, TIME_COLUMN

SECOND = 1_000_000_000
REPOSITORY = Path(__file__).resolve().parents[3]

ROUTES = {
    "checkout": "POST /checkout",
    "search": "GET /search",
    "product": "GET /products/{sku}",
    "cart": "POST /carts/{cart_id}/items",
    "browse": "GET /",
}
BOUNDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.3, 0.5, 0.8, 1.0, 1.6, 2.5, 5.0]


class MemoryStore:
    """The store's reading surface over DuckDB in memory."""

    def __init__(self) -> None:
        self.connection = duckdb.connect()
        self.lock = threading.Lock()
        self.fault: Exception | None = None
        self.reads = 0
        for name, schema in TABLES.items():
            empty = schema.empty_table()
            self.connection.register("incoming", empty)
            self.connection.execute(f"create table {name} as select * from incoming")  # noqa: S608 - names of the schema
            self.connection.unregister("incoming")

    def add(self, tables: dict[str, pa.Table]) -> None:
        with self.lock:
            for name, table in tables.items():
                self.connection.register("incoming", table)
                self.connection.execute(f"insert into {name} select * from incoming")  # noqa: S608 - names of the schema
                self.connection.unregister("incoming")

    def clear(self) -> None:
        with self.lock:
            for name in TABLES:
                self.connection.execute(f"delete from {name}")  # noqa: S608 - names of the schema

    def sql(self, query: str, params: object = None) -> pa.Table:
        with self.lock:
            self.reads += 1
            if self.fault is not None:
                raise self.fault
            return self.connection.sql(query, params=params).to_arrow_table()

    def read(
        self,
        table: str,
        since_nano: int,
        until_nano: int,
        trace_id: str | None = None,
        service: str | None = None,
        name: str | None = None,
        limit: int | None = None,
    ) -> pa.Table:
        time = TIME_COLUMN[table]
        wanted = {"trace_id": trace_id, "service": service, "name": name}
        given = {column: value for column, value in wanted.items() if value is not None}
        clauses = "".join(f" and {column} = ${column}" for column in given)
        tail = f" order by {time} limit {limit}" if limit is not None else ""
        query = f"select * from {table} where {time} >= $since and {time} < $until{clauses}{tail}"  # noqa: S608 - names of the schema
        return self.sql(query, {"since": since_nano, "until": until_nano, **given}).cast(TABLES[table])


@dataclass
class ShopWriter:
    """Writes traces, logs and histograms as five services would, seeded, into rows of the contract's tables."""

    seed: int = 7
    rows: dict[str, list[dict[str, object]]] = field(default_factory=lambda: {name: [] for name in TABLES})

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.counts: dict[str, list[int]] = {name: [0] * (len(BOUNDS) + 1) for name in ROUTES}
        self.sums = dict.fromkeys(ROUTES, 0.0)
        self.events: dict[tuple[str, str], int] = {}

    def hexadecimal(self, digits: int) -> str:
        return f"{self.random.getrandbits(digits * 4):0{digits}x}"

    def milliseconds(self, median: float) -> int:
        return int(median * self.random.lognormvariate(0, 0.35) * 1_000_000)

    def span(self, trace: str, parent: str, service: str, name: str, kind: str, start: int, duration: int, **more: object) -> str:
        span_id = self.hexadecimal(16)
        attributes = {"server.address": "127.0.0.1", **more.pop("attributes", {})}  # type: ignore[dict-item]
        row = {column: "" for column in TABLES["spans"].names}
        row |= {
            "trace_id": trace,
            "span_id": span_id,
            "parent_span_id": parent,
            "service": service,
            "instance": f"{service}-1",
            "name": name,
            "kind": kind,
            "start_unix_nano": start,
            "duration_nano": duration,
            "status": "unset",
            "attributes": json.dumps(attributes),
            "resource": json.dumps({"service.name": service}),
            **more,
        }
        self.rows["spans"].append(row)
        return span_id

    def log(self, trace: str, span: str, service: str, at: int, body: str, severity: str = "INFO") -> None:
        number = {"INFO": 9, "WARN": 13, "ERROR": 17}[severity]
        self.rows["logs"].append(
            {
                "time_unix_nano": at,
                "service": service,
                "instance": f"{service}-1",
                "severity": severity,
                "severity_number": number,
                "body": body,
                "trace_id": trace,
                "span_id": span,
                "attributes": json.dumps({"shopscope.journey": "checkout", "order": self.random.randrange(9999)}),
                "resource": "",
                "scope": "",
            }
        )

    def request(self, journey: str, start: int, *, bank_milliseconds: float = 60.0, failed: bool = False) -> str:
        """One request of a journey; returns its trace id."""
        trace = self.hexadecimal(32)
        inner = self.checkout if journey == "checkout" else self.simple
        latency = inner(trace, journey, start, bank_milliseconds, failed)
        seconds = latency / SECOND
        slot = next((index for index, bound in enumerate(BOUNDS) if seconds <= bound), len(BOUNDS))
        self.counts[journey][slot] += 1
        self.sums[journey] += seconds
        limit = 0.8 if journey == "checkout" else 0.3 if journey == "search" else 0.25
        outcome = "error" if failed else "slow" if seconds > limit else "good"
        self.events[journey, outcome] = self.events.get((journey, outcome), 0) + 1
        return trace

    def simple(self, trace: str, journey: str, start: int, _bank: float, failed: bool) -> int:
        median = {"search": 48, "product": 21, "cart": 26, "browse": 33}[journey]
        work, lead = self.milliseconds(median), self.milliseconds(2)
        total = lead + work + self.milliseconds(1)
        root = self.root(trace, journey, start, total, failed)
        if journey == "search":
            edge = {"journey": journey, "peer": "search", "attributes": {"http.request.method": "GET"}}
            client = self.span(trace, root, "storefront", "GET", "client", start + lead, work, **edge)
            gap = self.milliseconds(1.5)
            server = self.span(trace, client, "search", "GET /search", "server", start + lead + gap, work - 2 * gap, journey=journey)
            self.query(trace, server, "search", start + lead + 2 * gap, work - 5 * gap, journey, "SELECT products")
            self.log(trace, server, "search", start + lead + gap, "search.done")
        else:
            self.query(trace, root, "storefront", start + lead, work, journey, "SELECT products")
        return total

    def root(self, trace: str, journey: str, start: int, total: int, failed: bool) -> str:
        method, _, route = ROUTES[journey].partition(" ")
        attributes = {"http.request.method": method, "http.route": route, "http.response.status_code": 502 if failed else 200}
        status = {"status": "error", "status_message": "payment declined by bank"} if failed else {}
        return self.span(
            trace, "", "storefront", ROUTES[journey], "server", start, total, journey=journey, attributes=attributes, **status
        )

    def query(self, trace: str, parent: str, service: str, start: int, duration: int, journey: str, name: str) -> str:
        attributes = {"db.system.name": "postgresql", "db.operation.name": name.partition(" ")[0], "db.namespace": "shop"}
        more = {"peer": "postgresql", "journey": journey, "attributes": attributes}
        return self.span(trace, parent, service, name, "client", start, max(duration, 200_000), **more)

    def call(self, trace: str, parent: str, caller: str, callee: str, route: str, start: int, duration: int) -> str:
        """A client span and the server span it meets, some milliseconds later and shorter."""
        edge = {"journey": "checkout", "peer": callee, "attributes": {"http.request.method": "POST", "url.full": f"http://{callee}{route}"}}
        client = self.span(trace, parent, caller, "POST", "client", start, duration, **edge)
        gap = min(self.milliseconds(1.5), duration // 6)
        return self.span(trace, client, callee, f"POST {route}", "server", start + gap, duration - 2 * gap, journey="checkout")

    def checkout(self, trace: str, journey: str, start: int, bank: float, failed: bool) -> int:
        lead, stock, bank_time = self.milliseconds(4), self.milliseconds(38), self.milliseconds(bank)
        payment = bank_time + self.milliseconds(9)
        write = self.milliseconds(12)
        order = lead + stock + payment + write + 4 * lead
        total = order + 3 * lead
        root = self.root(trace, journey, start, total, failed)
        checkout = self.call(trace, root, "storefront", "checkout", "/orders", start + lead, order)
        at = start + 2 * lead
        inventory = self.call(trace, checkout, "checkout", "inventory", "/reservations", at, stock)
        self.query(trace, inventory, "inventory", at + stock // 4, stock // 2, journey, "SELECT stock FOR UPDATE")
        at += stock
        paying = self.call(trace, checkout, "checkout", "payment", "/charges", at, payment)
        status = {"status": "error", "status_message": "502 Bad Gateway"} if failed else {}
        begin = at + (payment - bank_time) // 2
        attributes = {"http.request.method": "POST", "url.full": "http://bank/charge"}
        edge = {"peer": "bank", "journey": journey, "protection": "breaker,retry", "attributes": attributes, **status}
        self.span(trace, paying, "payment", "POST", "client", begin, bank_time, **edge)
        at += payment
        self.query(trace, checkout, "checkout", at, write, journey, "INSERT orders")
        self.log(trace, checkout, "checkout", start + 2 * lead, "order.received")
        if failed:
            self.log(trace, paying, "payment", begin + bank_time, "charge.failed: bank answered 502", "ERROR")
        elif bank_time > SECOND:
            self.log(trace, paying, "payment", begin + bank_time, "charge.slow", "WARN")
        self.log(trace, checkout, "checkout", at + write, "order.placed" if not failed else "order.refused")
        return total

    def scrape(self, at: int, begin: int) -> None:
        """The journey histograms and SLO counters as the SDK would push them at ``at``."""
        common = {
            "time_unix_nano": at,
            "start_unix_nano": begin,
            "service": "storefront",
            "instance": "storefront-1",
            "temporality": "cumulative",
            "resource": "",
            "scope": "",
            "detail": "",
        }
        none = dict.fromkeys(("value", "count", "sum", "min", "max", "bounds", "bucket_counts"))
        for journey, counts in self.counts.items():
            histogram = {"count": sum(counts), "sum": self.sums[journey], "bounds": BOUNDS, "bucket_counts": list(counts)}
            name = {"name": "shopscope.journey.duration", "kind": "histogram", "unit": "s", "is_monotonic": False}
            attributes = json.dumps({"journey": journey})
            self.rows["metric_points"].append(common | none | name | histogram | {"attributes": attributes})
            for outcome in ("good", "slow", "error"):
                value = float(self.events.get((journey, outcome), 0))
                name = {"name": "shopscope.slo.events", "kind": "sum", "unit": "1", "is_monotonic": True}
                attributes = json.dumps({"journey": journey, "outcome": outcome})
                self.rows["metric_points"].append(common | none | name | {"attributes": attributes, "value": value})

    def tables(self) -> dict[str, pa.Table]:
        """What was written since the last call."""
        taken, self.rows = self.rows, {name: [] for name in TABLES}
        return {name: pa.Table.from_pylist(rows, schema=TABLES[name]) for name, rows in taken.items()}


def write_shop(now_nano: int, *, minutes: float = 10, rate: float = 4.0, fault: bool = False, seed: int = 7) -> dict[str, pa.Table]:
    """Telemetry of a shop until ``now_nano``; with ``fault`` the bank takes a second more in the last quarter."""
    writer = ShopWriter(seed)
    begin = now_nano - int(minutes * 60 * SECOND)
    writer.scrape(begin, begin)
    at, pushed = begin, begin
    while (at := at + int(writer.random.expovariate(rate) * SECOND)) < now_nano - 3 * SECOND:
        journey = writer.random.choices(list(ROUTES), weights=[2, 3, 4, 2, 3])[0]
        sick = fault and at > now_nano - int(minutes * 15 * SECOND)
        failed = journey == "checkout" and writer.random.random() < (0.05 if sick else 0.002)
        writer.request(journey, at, bank_milliseconds=1100 if sick else 60, failed=failed)
        if at - pushed > 5 * SECOND:
            writer.scrape(at, begin)
            pushed = at
    writer.scrape(now_nano - SECOND, begin)
    return writer.tables()
