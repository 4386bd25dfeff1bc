"""A shop's telemetry made up on the spot, a page server over a real store, and a browser to look at it."""

import gc
import json
import os
import random
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pytest
import uvicorn
from playwright.sync_api import Browser, BrowserContext, Error, Page, sync_playwright

from shopscope.config import Shop, load_shop
from shopscope_ops.page import create_page_app
from shopscope_ops.page._feed import Feed
from shopscope_ops.store import Store
from shopscope_ops.store.schema import TABLES

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

    def _hexadecimal(self, digits: int) -> str:
        return f"{self.random.getrandbits(digits * 4):0{digits}x}"

    def _milliseconds(self, median: float) -> int:
        return int(median * self.random.lognormvariate(0, 0.35) * 1_000_000)

    def _span(
        self, trace: str, parent: str, service: str, name: str, kind: str, start: int, duration: int, **more: object
    ) -> str:
        span_id = self._hexadecimal(16)
        attributes = {"server.address": "127.0.0.1", **more.pop("attributes", {})}  # type: ignore[dict-item]
        row = dict.fromkeys(TABLES["spans"].names, "")
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

    def _log(self, trace: str, span: str, service: str, at: int, body: str, severity: str = "INFO") -> None:
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
        trace = self._hexadecimal(32)
        inner = self._checkout if journey == "checkout" else self._simple
        latency = inner(trace, journey, start, bank_milliseconds, failed=failed)
        seconds = latency / SECOND
        slot = next((index for index, bound in enumerate(BOUNDS) if seconds <= bound), len(BOUNDS))
        self.counts[journey][slot] += 1
        self.sums[journey] += seconds
        limit = 0.8 if journey == "checkout" else 0.3 if journey == "search" else 0.25
        outcome = "error" if failed else "slow" if seconds > limit else "good"
        self.events[journey, outcome] = self.events.get((journey, outcome), 0) + 1
        return trace

    def _simple(self, trace: str, journey: str, start: int, _bank: float, *, failed: bool) -> int:
        median = {"search": 48, "product": 21, "cart": 26, "browse": 33}[journey]
        work, lead = self._milliseconds(median), self._milliseconds(2)
        total = lead + work + self._milliseconds(1)
        root = self._root(trace, journey, start, total, failed=failed)
        if journey == "search":
            edge = {"journey": journey, "peer": "search", "attributes": {"http.request.method": "GET"}}
            client = self._span(trace, root, "storefront", "GET", "client", start + lead, work, **edge)
            gap = self._milliseconds(1.5)
            server = self._span(
                trace, client, "search", "GET /search", "server", start + lead + gap, work - 2 * gap, journey=journey
            )
            self._query(trace, server, "search", start + lead + 2 * gap, work - 5 * gap, journey, "SELECT products")
            self._log(trace, server, "search", start + lead + gap, "search.done")
        else:
            self._query(trace, root, "storefront", start + lead, work, journey, "SELECT products")
        return total

    def _root(self, trace: str, journey: str, start: int, total: int, *, failed: bool) -> str:
        method, _, route = ROUTES[journey].partition(" ")
        attributes = {
            "http.request.method": method,
            "http.route": route,
            "http.response.status_code": 502 if failed else 200,
        }
        status = {"status": "error", "status_message": "payment declined by bank"} if failed else {}
        return self._span(
            trace,
            "",
            "storefront",
            ROUTES[journey],
            "server",
            start,
            total,
            journey=journey,
            attributes=attributes,
            **status,
        )

    def _query(self, trace: str, parent: str, service: str, start: int, duration: int, journey: str, name: str) -> str:
        attributes = {
            "db.system.name": "postgresql",
            "db.operation.name": name.partition(" ")[0],
            "db.namespace": "shop",
        }
        more = {"peer": "postgresql", "journey": journey, "attributes": attributes}
        return self._span(trace, parent, service, name, "client", start, max(duration, 200_000), **more)

    def _call(self, trace: str, parent: str, caller: str, callee: str, route: str, start: int, duration: int) -> str:
        """A client span and the server span it meets, some milliseconds later and shorter."""
        edge = {
            "journey": "checkout",
            "peer": callee,
            "attributes": {"http.request.method": "POST", "url.full": f"http://{callee}{route}"},
        }
        client = self._span(trace, parent, caller, "POST", "client", start, duration, **edge)
        gap = min(self._milliseconds(1.5), duration // 6)
        return self._span(
            trace, client, callee, f"POST {route}", "server", start + gap, duration - 2 * gap, journey="checkout"
        )

    def _checkout(self, trace: str, journey: str, start: int, bank: float, *, failed: bool) -> int:
        lead, stock, bank_time = self._milliseconds(4), self._milliseconds(38), self._milliseconds(bank)
        payment = bank_time + self._milliseconds(9)
        write = self._milliseconds(12)
        order = lead + stock + payment + write + 4 * lead
        total = order + 3 * lead
        root = self._root(trace, journey, start, total, failed=failed)
        checkout = self._call(trace, root, "storefront", "checkout", "/orders", start + lead, order)
        at = start + 2 * lead
        inventory = self._call(trace, checkout, "checkout", "inventory", "/reservations", at, stock)
        self._query(trace, inventory, "inventory", at + stock // 4, stock // 2, journey, "SELECT stock FOR UPDATE")
        at += stock
        paying = self._call(trace, checkout, "checkout", "payment", "/charges", at, payment)
        status = {"status": "error", "status_message": "502 Bad Gateway"} if failed else {}
        begin = at + (payment - bank_time) // 2
        attributes = {"http.request.method": "POST", "url.full": "http://bank/charge"}
        edge = {"peer": "bank", "journey": journey, "protection": "breaker,retry", "attributes": attributes, **status}
        self._span(trace, paying, "payment", "POST", "client", begin, bank_time, **edge)
        at += payment
        self._query(trace, checkout, "checkout", at, write, journey, "INSERT orders")
        self._log(trace, checkout, "checkout", start + 2 * lead, "order.received")
        if failed:
            self._log(trace, paying, "payment", begin + bank_time, "charge.failed: bank answered 502", "ERROR")
        elif bank_time > SECOND:
            self._log(trace, paying, "payment", begin + bank_time, "charge.slow", "WARN")
        self._log(trace, checkout, "checkout", at + write, "order.placed" if not failed else "order.refused")
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
            histogram = {
                "count": sum(counts),
                "sum": self.sums[journey],
                "bounds": BOUNDS,
                "bucket_counts": list(counts),
            }
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


def write_shop(
    now_nano: int, *, minutes: float = 10, rate: float = 4.0, fault: bool = False, seed: int = 7
) -> dict[str, pa.Table]:
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


@dataclass
class PageServer:
    """The page on a port of its own; the store behind it may be exchanged, since NiceGUI starts once a process."""

    shop: Shop
    url: str = ""
    store: Store | None = None
    feed: Feed | None = None

    def read(self, *arguments: object, **filters: object) -> pa.Table:
        """As the store behind it."""
        return self.store.read(*arguments, **filters)

    def sql(self, query: str, params: object = None) -> pa.Table:
        """As the store behind it."""
        return self.store.sql(query, params)

    def add(self, tables: dict[str, pa.Table]) -> None:
        """Store rows as the receiver would."""
        self.store.submit(tables).result(timeout=20)

    def wait_until_nobody_looks(self) -> None:
        """Wait until the last window is gone, at most 20 seconds."""
        deadline = time.monotonic() + 20
        while self.feed.watched and time.monotonic() < deadline:
            time.sleep(0.05)


@pytest.fixture(scope="session")
def shop() -> Shop:
    return load_shop(REPOSITORY / "shopscope.toml")


@pytest.fixture(scope="session")
def write():
    """The function that makes up a shop's telemetry."""
    return write_shop


@pytest.fixture(scope="session")
def writer():
    """The class that makes up single requests."""
    return ShopWriter


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "store") as opened:
        yield opened


@pytest.fixture(scope="session")
def running(shop: Shop) -> Iterator[PageServer]:
    page = PageServer(shop)
    app = create_page_app(page, shop)
    page.feed = app._extra_scope["shopscope.feed"]
    with socket.create_server(("127.0.0.1", 0)) as listener:
        page.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=2))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        # NiceGUI asks every object of the process for its class to find its server; what other tests left, such as
        # Django's settings where nobody has configured them, may raise
        gc.freeze()
        thread.start()
        while not server.started and thread.is_alive():
            time.sleep(0.01)
        gc.unfreeze()
        assert server.started, "the page's server did not start"
        yield page
        server.should_exit = True
        thread.join(timeout=20)
        assert not thread.is_alive()


@pytest.fixture
def server(running: PageServer, store: Store) -> Iterator[PageServer]:
    """The page over an empty store."""
    running.store = store
    yield running
    running.wait_until_nobody_looks()


def find_chromium() -> str | None:
    """The browser that ``CHROMIUM`` names, or one of the path; None leaves it to playwright's own."""
    named = os.environ.get("CHROMIUM")
    return named or next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    quiet = ("background-networking", "component-update", "sync", "quic")
    arguments = ["--no-sandbox", "--disable-gpu", "--no-first-run", *(f"--disable-{name}" for name in quiet)]
    with sync_playwright() as playwright:
        try:
            launched = playwright.chromium.launch(executable_path=find_chromium(), args=arguments)
        except Error as error:
            if os.environ.get("CI"):
                pytest.fail(f"no Chromium can be started: {error}")
            pytest.skip(f"no Chromium can be started; set CHROMIUM to its path: {error.message.splitlines()[0]}")
        yield launched
        launched.close()


@dataclass
class Visitor:
    """A browser window on the page; its complaints and its requests to other hosts are kept."""

    context: BrowserContext
    server: PageServer
    complaints: list[str] = field(default_factory=list)

    def open(self, address: str = "/") -> Page:
        """A new tab at an address of the page."""
        page = self.context.new_page()
        page.on("console", lambda message: self.complain(message.type in {"error", "warning"}, message.text))
        page.on("pageerror", lambda error: self.complain(True, str(error)))  # noqa: FBT003 - any error counts
        page.on("request", lambda request: self.complain(not self.is_own(request.url), request.url))
        page.goto(self.server.url + address)
        return page

    def is_own(self, url: str) -> bool:
        """Whether an address is one of the page's own server."""
        return url.startswith((self.server.url, "data:", "blob:"))

    def complain(self, is_wrong: bool, text: str) -> None:  # noqa: FBT001 - a condition and its text
        """Keep ``text`` where something is wrong."""
        if is_wrong:
            self.complaints.append(text)


@pytest.fixture
def visit(browser: Browser, server: PageServer):
    """Opens windows; at the end nothing may have been complained about."""
    visitors: list[Visitor] = []

    def new_visitor(*, scheme: str = "light", width: int = 1440, height: int = 900) -> Visitor:
        viewport = {"width": width, "height": height}
        context = browser.new_context(viewport=viewport, color_scheme=scheme, reduced_motion="reduce")
        visitors.append(Visitor(context, server))
        return visitors[-1]

    yield new_visitor
    for visitor in visitors:
        visitor.context.close()
    assert [visitor.complaints for visitor in visitors] == [[] for _ in visitors]
