"""What comes over and over is written a number of times, and summed up in one line."""

import json
import logging
import threading

import pytest

import shopscope
from shopscope._logging._repeats import Repeat, Repeats


class Clock:
    """Seconds that the test moves on."""

    now = 100.0

    def __call__(self):
        """The time."""
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def reported():
    return []


@pytest.fixture
def repeats(clock, reported):
    made = Repeats("3/10s", reported.append, clock)
    yield made
    made.flush()


def admitted(repeats, count, template="no answer", level="error"):
    return [repeats.admit(level, "lib", template) for _ in range(count)].count(True)


def test_the_rest_is_counted(repeats, clock, reported):
    """Three lines in ten seconds are written; the next period begins anew and sums up the last one."""
    assert 3 == admitted(repeats, 10)
    clock.now += 10
    assert 3 == admitted(repeats, 3)
    assert [Repeat("error", "lib", "no answer", 7, 10.0)] == reported


def test_each_level_and_template_has_its_own_count(repeats):
    """A flood of one line does not silence another."""
    admitted(repeats, 50)
    assert (3, 3) == (admitted(repeats, 5, "full"), admitted(repeats, 5, level="warning"))


def test_flush_sums_up_what_is_open(repeats, reported):
    """At the end nothing is left untold; what was not suppressed needs no word."""
    admitted(repeats, 5)
    admitted(repeats, 2, "rare")
    repeats.flush()
    assert [Repeat("error", "lib", "no answer", 2, 10.0)] == reported


def test_timer_sums_up_when_nothing_else_is_logged(wait_until):
    """A flood that has stopped is told of without another line."""
    reported = []
    repeats = Repeats("1/50ms", reported.append)
    admitted(repeats, 4)
    wait_until(lambda: reported, "the summary")
    assert ("no answer", True) == (reported[0].template, 0 < reported[0].lines <= 3)
    repeats.flush()


def test_memory_is_bounded(repeats):
    """Templates made from data do not fill the memory, and a flood among them stays limited."""
    admitted(repeats, 5)
    for number in range(5000):
        assert repeats.admit("error", "lib", f"order {chr(0x4E00 + number)} failed")
    assert len(repeats._periods) <= 1025
    assert 0 == admitted(repeats, 5)


def test_off(reported):
    """Without a limit every line is written."""
    assert 500 == admitted(Repeats("off", reported.append), 500)


def test_threads(repeats):
    """Several threads together get no more than the limit."""
    counts = []
    threads = [threading.Thread(target=lambda: counts.append(admitted(repeats, 200))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 3 == sum(counts)


@pytest.mark.parametrize("way", ["structlog", "stdlib"])
def test_lines_of_a_service(observe, sink, capsys, way):
    """Errors are limited and summed up in line and record; the service's own info lines are not."""
    scope = observe(SHOPSCOPE_LOG_REPEATS="5/1h")
    log = shopscope.get_logger("lib") if way == "structlog" else logging.getLogger("lib")
    for number in range(20):
        log.error("no answer from %s", number)
        log.info("done")
    scope.shutdown()
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (5, 20) == (
        sum(line["event"].startswith("no answer from") for line in lines),
        sum(line["event"] == "done" for line in lines),
    )
    (summary,) = (line for line in lines if line["event"] == "repeated lines left out")
    template = "no answer from #" if way == "structlog" else "no answer from %s"
    assert (template, 15, 3600.0, "error", "lib") == tuple(
        summary[key] for key in ("repeated_event", "repeats", "period_seconds", "level", "logger")
    )
    assert 15 == sink.log("repeated lines left out").tags["repeats"]
