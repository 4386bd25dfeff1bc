"""Every fault has its effect and goes away; nobody from outside can switch one on."""

import asyncio
import contextlib
import threading

import asyncpg
import httpx
import psutil
import pytest

from shop.faults import Faults
from shop.service import create_app

OFF = {"latency_seconds": 0.0, "error_rate": 0.0, "cpu_seconds": 0.0}
KNOWN = {
    "storefront": OFF | {"cold_cache": False},
    "search": OFF | {"pool_size": None},
    "checkout": OFF | {"pool_size": None},
    "inventory": OFF | {"pool_size": None, "held_lock_seconds": 0.0},
    "payment": OFF | {"pool_size": None},
    "bank": OFF,
}
ROUTES = {
    "storefront": "/carts/any",
    "search": "/featured",
    "inventory": "/products/HIK-00000",
}


@contextlib.asynccontextmanager
async def _no_resources(_app):
    yield


def small_app():
    """An app with faults in this process, and the scopes of the requests it has answered."""
    app = create_app("small", _no_resources, Faults)
    scopes = []

    @app.get("/things/{name}")
    async def thing(name: str):
        return name

    async def remember(scope, receive, send):
        await app(scope, receive, send)
        scopes.append(scope)

    return remember, scopes


def ask_from(peer, *requests, headers=None):
    """Send requests to a small app as if from ``peer``; the answers and the scopes."""
    app, scopes = small_app()

    async def run():
        transport = httpx.ASGITransport(app, client=(peer, 4_711) if peer else None)
        async with httpx.AsyncClient(transport=transport, base_url="http://small", headers=headers) as client:
            return [await client.request(method, path, json=body) for method, path, body in requests]

    return asyncio.run(run()), scopes


@pytest.mark.parametrize("service", KNOWN)
def test_a_service_knows_the_faults_that_make_sense_for_it(shop, service):
    """And no others; all are off."""
    assert shop.ask(service, "GET", "/faults").json() == KNOWN[service]


@pytest.mark.parametrize(
    ("service", "body"),
    [
        ("bank", {"pool_size": 1}),
        ("search", {"cold_cache": True}),
        ("storefront", {"held_lock_seconds": 1}),
        ("inventory", {"pool_size": 0}),
        ("bank", {"latency_seconds": -1}),
        ("bank", {"latency_seconds": 31}),
        ("bank", {"error_rate": 1.1}),
        ("bank", {"cpu_seconds": 6}),
        ("bank", {"latency": 1}),
        ("bank", ["latency_seconds"]),
    ],
)
def test_an_unfit_fault_is_refused_and_changes_nothing(shop, service, body):
    """A typing error must not look like a shop in good health."""
    assert shop.ask(service, "PUT", "/faults", json=body).status_code == 422
    assert shop.ask(service, "GET", "/faults").json() == KNOWN[service]


def test_nan_is_refused(shop):
    """Python's JSON knows NaN, which is no number of seconds."""
    answer = shop.ask(
        "bank", "PUT", "/faults", content='{"latency_seconds": NaN}', headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 422


def test_put_replaces_all_faults(shop):
    """What is not named is off."""
    with shop.fault("bank", latency_seconds=0.01):
        answer = shop.ask("bank", "PUT", "/faults", json={"error_rate": 0.5})
    assert answer.json() == OFF | {"error_rate": 0.5}
    assert shop.ask("bank", "GET", "/faults").json() == OFF


@pytest.mark.parametrize("peer", ["192.0.2.7", "2001:db8::7", "", "localhost.example", None])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_other_machines_are_refused(peer, method):
    """The address of the connection counts; an unknown one is another machine's."""
    (answer,), _ = ask_from(peer, (method, "/faults", {"error_rate": 1} if method == "PUT" else None))
    assert answer.status_code == 403


@pytest.mark.parametrize("peer", ["127.0.0.1", "127.9.9.9", "::1"])
def test_this_machine_is_not_refused(peer):
    """Either family's loopback will do."""
    (answer,), _ = ask_from(peer, ("PUT", "/faults", {"error_rate": 0.25}))
    assert answer.json() == OFF | {"error_rate": 0.25}


@pytest.mark.parametrize("header", ["Forwarded", "X-Forwarded-For", "X-Real-IP"])
def test_a_proxy_on_this_machine_is_refused(header):
    """It may speak for anybody."""
    (answer,), _ = ask_from("127.0.0.1", ("GET", "/faults", None), headers={header: "127.0.0.1"})
    assert answer.status_code == 403


def test_a_refused_switch_changes_nothing():
    """403 comes before the fault."""
    app, _ = small_app()

    async def run():
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app, client=("192.0.2.7", 1)), base_url="http://small"
        ) as outside:
            await outside.put("/faults", json={"error_rate": 1})
            return await outside.get("/things/x")

    assert asyncio.run(run()).status_code == 200


def test_a_failed_request_still_has_its_route():
    """Whoever measures the service from outside sees the fault under the right route."""
    (_, failed), scopes = ask_from("127.0.0.1", ("PUT", "/faults", {"error_rate": 1}), ("GET", "/things/x", None))
    assert (failed.status_code, scopes[-1]["route"].path) == (500, "/things/{name}")


@pytest.mark.parametrize("service", ROUTES)
def test_errors(shop, service):
    """Every request fails, then none; health and the switch itself are not affected."""
    with shop.fault(service, error_rate=1.0):
        assert [shop.ask(service, "GET", ROUTES[service]).status_code for _ in range(3)] == [500] * 3
        assert [shop.ask(service, "GET", path).status_code for path in ("/healthz", "/faults")] == [200, 200]
    assert [shop.ask(service, "GET", ROUTES[service]).status_code for _ in range(3)] == [200] * 3


def test_a_share_of_errors(shop):
    """Half means some, not all."""
    with shop.fault("search", error_rate=0.5):
        statuses = {shop.ask("search", "GET", "/featured").status_code for _ in range(60)}
    assert statuses == {200, 500}


@pytest.mark.parametrize("service", ROUTES)
def test_latency(shop, service):
    """A caller who waits less than the added latency gets nothing, and everything when the fault is off."""
    with shop.fault(service, latency_seconds=20), pytest.raises(httpx.ReadTimeout):
        shop.ask(service, "GET", ROUTES[service], timeout=0.5)
    assert shop.ask(service, "GET", ROUTES[service]).status_code == 200


def test_burnt_cpu(shop):
    """The process really burns it, in every request."""
    process = psutil.Process(shop.processes["search"].pid)

    def spent():
        before = process.cpu_times()
        assert shop.ask("search", "GET", "/featured").status_code == 200
        after = process.cpu_times()
        return after.user + after.system - before.user - before.system

    with shop.fault("search", cpu_seconds=0.3):
        burnt = spent()
    assert (burnt >= 0.29, spent() < 0.29) == (True, True)


def test_a_small_pool(databases):
    """With one connection left, one buyer who waits for a lock keeps every reader out."""
    with databases.running("inventory", SHOP_DATABASE_POOL_WAIT_SECONDS="0.5") as shop:
        assert buy_and_read(shop) == (201, 200)
        with shop.fault("inventory", pool_size=1):
            assert buy_and_read(shop) == (201, 503)
        assert buy_and_read(shop) == (201, 200)


def buy_and_read(shop):
    """The answers to a buyer who has to wait for a row lock, and to a reader who comes meanwhile."""
    sku = "TOY-00007"

    async def run():
        connection = await shop.connect()
        async with httpx.AsyncClient(base_url=shop.urls["inventory"], timeout=30) as client:
            async with connection.transaction():
                await connection.execute("SELECT * FROM inventory.stock WHERE sku = $1 FOR UPDATE", sku)
                body = {"lines": [{"sku": sku, "quantity": 1}]}
                buyer = asyncio.create_task(client.post("/reservations", json=body))
                waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
                while not await connection.fetchval(waiting):  # noqa: ASYNC110  # PostgreSQL has no event for it
                    await asyncio.sleep(0.01)
                reader = await client.get("/products/TOY-00037")
            bought = await buyer
        await connection.close()
        return bought.status_code, reader.status_code

    return asyncio.run(run())


def test_a_cold_cache(shop):
    """Every read misses, then pages are fresh again."""

    def states():
        return [shop.ask("storefront", "GET", "/products/TOY-00047").headers["X-Cache"] for _ in range(3)]

    with shop.fault("storefront", cold_cache=True):
        assert states() == ["miss"] * 3
    assert states() == ["fresh"] * 3


def is_locked(shop, sku):
    """Whether somebody holds the row lock of a product's stock."""
    try:
        shop.sql("SELECT 1 FROM inventory.stock WHERE sku = $1 FOR UPDATE NOWAIT", sku)
    except asyncpg.LockNotAvailableError:
        return True
    return False


def test_a_held_lock(shop):
    """The hot products are locked from the moment that the switch answers, the others are not, until it is reset."""
    hot, *_ = (row["sku"] for row in shop.sql("SELECT sku FROM inventory.products WHERE is_hot"))
    body = {"lines": [{"sku": hot, "quantity": 1}]}
    with shop.fault("inventory", held_lock_seconds=60):
        assert (is_locked(shop, hot), is_locked(shop, "TOY-00057")) == (True, False)
        with pytest.raises(httpx.ReadTimeout):
            shop.ask("inventory", "POST", "/reservations", json=body, timeout=0.5)
    assert shop.ask("inventory", "POST", "/reservations", json=body).status_code == 201


def test_faults_of_one_service_leave_the_others_alone(shop):
    """State is a process's own."""
    with shop.fault("search", error_rate=1.0):
        assert shop.ask("inventory", "GET", "/faults").json() == KNOWN["inventory"]


def test_switching_at_the_same_time_is_safe(shop):
    """Many hands at one switch leave the pool and the faults as the last reset says."""
    threads = [
        threading.Thread(target=lambda n=n: httpx.put(shop.urls["payment"] + "/faults", json={"pool_size": n}))
        for n in (1, 3, 5, 7)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert shop.ask("payment", "DELETE", "/faults").json() == KNOWN["payment"]
    assert shop.buy(shop.fill_cart("TOY-00067")).status_code == 201
