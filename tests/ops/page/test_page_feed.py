"""One refresh for everyone who looks."""

import asyncio
import threading
from dataclasses import dataclass, field

from shopscope_ops.page._feed import Feed, Reading
from shopscope_ops.page._journeys import JourneysQuery
from shopscope_ops.store import StoreError


@dataclass(frozen=True)
class Count:
    """A query that counts how often it was asked, and can be told to fail or to end."""

    log: list[str] = field(default_factory=list, hash=False, compare=False)
    faults: list[Exception] = field(default_factory=list, hash=False, compare=False)
    pause: float | None = 0.0

    def load(self, store, shop, now_nano):
        """Count, and note the thread."""
        del store, shop, now_nano
        self.log.append(threading.current_thread().name)
        if self.faults:
            raise self.faults.pop()
        return len(self.log)

    def pause_seconds(self, view):
        """As told."""
        del view
        return self.pause


async def _until(condition):
    """Let the loop run until the condition holds; ``_run`` bounds the time."""
    while not condition():  # noqa: ASYNC110 - listeners are plain functions and set no event
        await asyncio.sleep(0)


def _run(shop, scenario):
    """Run a scenario with a feed in an event loop, and close the feed."""

    async def run():
        feed = Feed(store=None, shop=shop, clock=lambda: 7)
        try:
            return await asyncio.wait_for(scenario(feed), timeout=20)
        finally:
            feed.close()

    return asyncio.run(run())


def test_viewers_of_one_query_share_its_refresh(shop):
    """Two look, one asks; both see the same reading, and the second at once."""

    async def scenario(feed):
        query, one, two = Count(pause=None), [], []
        feed.watch(query, one.append)
        await _until(lambda: one)
        feed.watch(Count(pause=None), two.append)
        return one, two, len(query.log), feed.latest(query)

    assert _run(shop, scenario) == ([Reading(1, 7)], [Reading(1, 7)], 1, Reading(1, 7))


def test_the_store_is_read_on_a_thread(shop):
    """The receiver shares the event loop: it must never wait for a reading."""

    async def scenario(feed):
        query, seen = Count(pause=None), []
        feed.watch(query, seen.append)
        await _until(lambda: seen)
        return query.log[0]

    assert _run(shop, scenario).startswith("shopscope-page")


def test_nothing_is_read_when_nobody_looks(shop):
    """The last one to leave ends the refresh; leaving twice is no harm."""

    async def scenario(feed):
        query, seen = Count(), []
        leave = feed.watch(query, seen.append)
        await _until(lambda: len(seen) >= 2)
        leave()
        leave()
        before = len(query.log)
        await asyncio.sleep(0.1)
        return len(query.log) - before <= 1, feed.watched, feed.latest(query)

    assert _run(shop, scenario) == (True, (), None)


def test_one_viewer_that_leaves_does_not_take_the_others_along(shop):
    """The refresh goes on for who stays."""

    async def scenario(feed):
        query, gone, stays = Count(), [], []
        leave = feed.watch(query, gone.append)
        feed.watch(query, stays.append)
        leave()
        await _until(lambda: len(stays) >= 3)
        return gone

    assert _run(shop, scenario) == []


def test_a_failed_reading_keeps_the_last_view_and_is_tried_again(shop, monkeypatch):
    """The viewer reads what is known, since when, and why there is nothing newer."""
    monkeypatch.setattr("shopscope_ops.page._feed._RETRY_SECONDS", 0.0)

    async def scenario(feed):
        query, seen = Count(), []
        feed.watch(query, seen.append)
        await _until(lambda: seen)
        query.faults.append(StoreError("the disk is full"))
        await _until(lambda: any(reading.fault for reading in seen) and not seen[-1].fault)
        faulty = next(reading for reading in seen if reading.fault)
        return faulty.fault, faulty.view is not None, faulty.at_nano, seen[-1].fault

    assert _run(shop, scenario) == ("the disk is full", True, 7, "")


def test_an_error_without_words_is_named(shop):
    """An empty fault would read as no fault at all."""

    async def scenario(feed):
        query, seen = Count(faults=[KeyError()]), []
        feed.watch(query, seen.append)
        await _until(lambda: seen)
        return seen[0]

    assert _run(shop, scenario) == Reading(None, 0, "KeyError")


def test_a_viewer_that_cannot_be_drawn_does_not_end_the_refresh(shop, caplog):
    """The fault is logged, and the others see their readings."""

    def breaks(reading):
        raise RuntimeError(reading)

    async def scenario(feed):
        query, seen = Count(), []
        feed.watch(query, breaks)
        feed.watch(query, seen.append)
        await _until(lambda: len(seen) >= 2)

    _run(shop, scenario)
    assert "a view could not be drawn" in caplog.text


def test_a_view_that_will_not_change_is_not_read_again(shop):
    """A settled trace costs one reading, however long it is looked at."""

    async def scenario(feed):
        query, seen = Count(pause=None), []
        feed.watch(query, seen.append)
        await asyncio.sleep(0.1)
        return len(query.log), len(seen)

    assert _run(shop, scenario) == (1, 1)


def test_a_closed_store_is_a_fault_and_no_crash(shop, store):
    """What the real store says when it cannot be read reaches the viewer."""
    store.close()

    async def scenario(feed):
        seen = []
        feed._store = store
        feed.watch(JourneysQuery(), seen.append)
        await _until(lambda: seen)
        return seen[0]

    reading = _run(shop, scenario)
    assert (reading.view, reading.fault != "") == (None, True)
