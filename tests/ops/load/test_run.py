"""Load against a small HTTP server that behaves like the shop, or not."""

import asyncio
import json
import signal
import subprocess
import sys
from collections import Counter
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from shopscope_ops.load._shopper import Shopper
from shopscope_ops.load.plan import Action, Step, Visit
from shopscope_ops.load.report import LoadReport, Outcome
from shopscope_ops.load.run import LoadSettings, offer_load

LOAD = (sys.executable, "-c", "import typer; from shopscope_ops.load.command import load; typer.run(load)")
PRODUCTS = {"products": [{"sku": "HIK-00001"}, {"sku": "RUN-00002"}]}


@asynccontextmanager
async def shop_server(checkout_status=201, busy=None):
    """A server with the storefront's routes on a free port; yields its address and what was asked."""
    asked = []

    async def answer(request):
        asked.append((request.method, request.path, await request.text()))
        if busy is not None and len(asked) == 20:
            busy.set()
        status = checkout_status if request.path == "/checkout" else 200
        return web.json_response(PRODUCTS, status=status)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}", asked
    finally:
        await runner.cleanup()


async def walk(target, steps, late_seconds=0.0):
    """One shopper who takes ``steps`` on ``target``; the report."""
    report = LoadReport()
    now = asyncio.get_running_loop().time
    async with aiohttp.ClientSession(target) as session:
        shopper = Shopper(session, report, Visit(4, 0.0, tuple(steps)), "cart-4", now)
        await shopper.walk(now() - late_seconds)
    return report


BUYS = (
    Step(Action.HOME, 0.0),
    Step(Action.SEARCH, 0.0, words="rain jacket"),
    Step(Action.PRODUCT, 0.0, choice=0.9),
    Step(Action.ADD_TO_CART, 0.0, quantity=2),
    Step(Action.VIEW_CART, 0.0),
    Step(Action.CHECKOUT, 0.0),
)


def test_a_shopper_buys_what_the_shop_shows():
    """Every step is the storefront's request, with the product that the list before it showed."""

    async def scenario():
        async with shop_server() as (target, asked):
            await walk(target, BUYS)
            return asked

    assert asyncio.run(scenario()) == [
        ("GET", "/", ""),
        ("GET", "/search", ""),
        ("GET", "/products/RUN-00002", ""),
        ("POST", "/carts/cart-4/items", '{"sku": "RUN-00002", "quantity": 2}'),
        ("GET", "/carts/cart-4", ""),
        ("POST", "/checkout", '{"cart_id": "cart-4", "card_token": "tok_4"}'),
    ]


@pytest.mark.parametrize(
    ("status", "expected"),
    [(402, Outcome.DECLINED), (409, Outcome.SOLD_OUT), (429, Outcome.LIMITED), (500, Outcome.ERROR)],
)
def test_the_shops_answer_decides_the_outcome(status, expected):
    """A declined checkout is not an error, a failed one is."""

    async def scenario():
        async with shop_server(status) as (target, _):
            return await walk(target, BUYS)

    report = asyncio.run(scenario())
    assert report.actions[Action.CHECKOUT].outcomes == Counter({expected: 1})
    assert dict(report.errors) == ({"checkout: HTTP 500": 1} if status == 500 else {})


def test_latency_counts_from_the_intended_start():
    """A request that the generator sends two seconds late has waited two seconds: no coordinated omission."""

    async def scenario():
        async with shop_server() as (target, _):
            return await walk(target, BUYS[:1], late_seconds=2.0)

    report = asyncio.run(scenario())
    assert report.actions[Action.HOME].latencies.max_seconds >= 2.0
    assert report.late_share == 1.0
    assert not report.kept_up


def test_a_shop_that_is_down_is_an_error_and_ends_the_visit():
    """Nobody listens: one error of the first step, and no further step."""

    async def scenario():
        async with shop_server() as (target, _):
            pass
        return await walk(target, BUYS)

    report = asyncio.run(scenario())
    assert dict(report.errors) == {"home: ClientConnectorError": 1}
    assert report.requests == 1


def test_the_load_starts_every_planned_visit():
    """In two seconds exactly the visits of the plan start, and all of them are counted."""

    async def scenario():
        report = LoadReport()
        async with shop_server() as (target, asked):
            await offer_load(LoadSettings(target, 40.0, 1.0, seed=5, think_seconds=0.0), report)
        return report, asked

    report, asked = asyncio.run(scenario())
    homes = sum(path == "/" for _, path, _ in asked)
    assert (report.visits, report.requests, report.visit_latencies.count) == (homes, len(asked), homes)


def test_the_command_prints_json_and_ends_early_on_sigterm():
    """A load without end that gets SIGTERM still reports what it measured."""

    async def scenario():
        busy = asyncio.Event()
        async with shop_server(busy=busy) as (target, _):
            options = ["--target", target, "--duration", "forever", "--rate", "50", "--think", "0.001s", "--json"]
            process = await asyncio.create_subprocess_exec(*LOAD, *options, stdout=subprocess.PIPE)
            await asyncio.wait_for(busy.wait(), timeout=30)
            process.send_signal(signal.SIGTERM)
            output, _ = await process.communicate()
            return process.returncode, json.loads(output)

    code, document = asyncio.run(scenario())
    assert code == 0
    assert document["requests"] >= 15


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--target", "http://shop.example.com"], "add --allow-remote"),
        (["--target", "127.0.0.1:8601"], "must be an http:// address"),
        (["--rate", "0"], "--rate must be above zero"),
        (["--duration", "soon"], "duration must be a number followed by"),
    ],
)
def test_wrong_options_are_refused_with_the_reason(options, expected):
    """The message names the option, the rule and the fix."""
    process = subprocess.run([*LOAD, *options], capture_output=True, text=True, check=False)
    assert process.returncode == 2
    assert expected in " ".join(process.stderr.split())
