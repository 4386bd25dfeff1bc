"""Runs a load: starts every visit at its planned time, however many are still under way."""

import asyncio
import contextlib
import secrets
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass

import aiohttp

from shopscope_ops.load._shopper import Shopper
from shopscope_ops.load.plan import plan_visits
from shopscope_ops.load.report import LoadReport

# Past this the shop is down, and more open sockets would only bring the generator down too.
_MOST_OPEN_VISITS = 2_000
_REQUEST_SECONDS = 30.0
_LEAVE_SECONDS = 5.0
_WATCH_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class LoadSettings:
    """What load to offer.

    Attributes:
        target: address of the shop, for example ``http://127.0.0.1:8601``.
        rate: visits that start per second, on average.
        duration_seconds: for how long visits start; None means until cancelled.
        seed: the same seed gives the same visits.
        think_seconds: mean time between an answer and the next action.
    """

    target: str
    rate: float
    duration_seconds: float | None
    seed: int = 1
    think_seconds: float = 0.5


async def offer_load(settings: LoadSettings, report: LoadReport) -> None:
    """Offer a load until its duration has passed or the task is cancelled; shoppers under way get a moment to finish.

    Args:
        settings: what load to offer.
        report: filled in while the load runs, complete when this returns or is cancelled.
    """
    now = asyncio.get_running_loop().time
    start = now()
    run = secrets.token_hex(4)  # carts of another run with the same seed are not ours
    open_visits: set[asyncio.Task[None]] = set()
    timeout = aiohttp.ClientTimeout(total=_REQUEST_SECONDS)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(settings.target, connector=connector, timeout=timeout) as session:
        try:
            for visit in plan_visits(settings.seed, settings.rate, settings.think_seconds):
                if settings.duration_seconds is not None and visit.start_seconds >= settings.duration_seconds:
                    break
                await asyncio.sleep(max(0.0, start + visit.start_seconds - now()))
                report.seconds = now() - start
                if len(open_visits) >= _MOST_OPEN_VISITS:
                    report.skipped_visits += 1
                    continue
                report.visits += 1
                shopper = Shopper(session, report, visit, f"{run}-{visit.number}", now)
                task = asyncio.create_task(shopper.walk(start + visit.start_seconds))
                open_visits.add(task)
                task.add_done_callback(open_visits.discard)
            report.seconds = settings.duration_seconds or report.seconds
            await _let_finish(open_visits)
        finally:
            await _end(open_visits)


async def _let_finish(visits: set[asyncio.Task[None]]) -> None:
    if visits:
        done, _ = await asyncio.wait(visits, timeout=_REQUEST_SECONDS + _LEAVE_SECONDS)
        for task in done:
            task.result()  # a fault of ours must not pass for a quiet shop


async def _end(visits: set[asyncio.Task[None]]) -> None:
    for task in visits:
        task.cancel()
    await asyncio.gather(*visits, return_exceptions=True)


def run_load(settings: LoadSettings, report: LoadReport, watch: Callable[[LoadReport], None]) -> None:
    """Offer a load from a synchronous program; an interrupt or SIGTERM ends it early and in order.

    Args:
        settings: what load to offer.
        report: filled in while the load runs.
        watch: called some times a second with the report so far.
    """
    loop_factory = None
    if sys.platform != "win32":
        import uvloop  # noqa: PLC0415 - not to be had on Windows

        loop_factory = uvloop.new_event_loop
    with (
        contextlib.suppress(KeyboardInterrupt, asyncio.CancelledError),
        asyncio.Runner(loop_factory=loop_factory) as runner,
    ):
        runner.run(_offer_and_watch(settings, report, watch))


async def _offer_and_watch(settings: LoadSettings, report: LoadReport, watch: Callable[[LoadReport], None]) -> None:
    load = asyncio.create_task(offer_load(settings, report))
    if sys.platform != "win32":
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, load.cancel)
    try:
        while not (await asyncio.wait([load], timeout=_WATCH_SECONDS))[0]:
            watch(report)
        load.result()
    finally:
        load.cancel()
        watch(report)
