"""A warning that comes over and over is written a number of times; the rest is counted, and summed up in one line."""

import re
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from shopscope._errors import ConfigError
from shopscope.config import parse_duration

DEFAULT_REPEATS = "100/10s"
_RATE = re.compile(r"([1-9][0-9]{0,8})/(\S+)")
_NUMBER = re.compile(r"\d+")
_MAX_TEMPLATES = 1024
_MAX_TEMPLATE_CHARACTERS = 200


class Repeat(NamedTuple):
    """Lines of one level, logger and template that were not written in a period."""

    level: str
    logger: str
    template: str
    lines: int
    period_seconds: float


class _Period:
    """One template's count since ``began`` (``time.monotonic``, seconds)."""

    __slots__ = ("began", "seen")

    def __init__(self, began: float) -> None:
        self.began = began
        self.seen = 0


def parse_repeats(text: str, where: str = "repeats") -> tuple[int, float]:
    """Lines and seconds in ``100/10s``; ``off`` is no lines in no time.

    Raises:
        ConfigError: it is neither.
    """
    if text == "off":
        return 0, 0.0
    match = _RATE.fullmatch(text)
    if match is None:
        raise ConfigError([f"{where} must be lines/duration or off: {text!r}; write for example {DEFAULT_REPEATS!r}"])
    return int(match[1]), parse_duration(match[2])


class Repeats:
    """Counts lines by level, logger and template; says which may be written, and sums up the others."""

    def __init__(
        self, rate: str, report: Callable[[Repeat], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._most, self._period_seconds = parse_repeats(rate)
        self._report = report
        self._clock = clock
        self.reset()

    def reset(self) -> None:
        """Begin anew: after a fork, and for tests."""
        self._lock = threading.Lock()
        self._periods: dict[tuple[str, str, str], _Period] = {}
        self._timer: threading.Timer | None = None

    def admit(self, level: str, logger: str, template: str) -> bool:
        """Whether this line is to be written."""
        if not self._most:
            return True
        # Numbers do not make another template: not every text keeps its arguments apart.
        template = _NUMBER.sub("#", template[:_MAX_TEMPLATE_CHARACTERS])
        key = (level, logger[:_MAX_TEMPLATE_CHARACTERS], template)
        now = self._clock()
        ended = None
        with self._lock:
            period = self._periods.get(key)
            if period is None or now - period.began >= self._period_seconds:
                if period is None and len(self._periods) >= _MAX_TEMPLATES:
                    # So many different lines are no repeats. Those that are suppressed now are summed up by the timer.
                    self._periods = {key: one for key, one in self._periods.items() if one.seen > self._most}
                ended = period
                period = self._periods[key] = _Period(now)
            period.seen += 1
            is_admitted = period.seen <= self._most
            if not is_admitted and self._timer is None:
                self._start_timer()
        if ended is not None:
            self._sum_up(key, ended)
        return is_admitted

    def flush(self, *, is_last: bool = True) -> None:
        """Sum up the periods that have ended, or all."""
        now = self._clock()
        with self._lock:
            ended = {
                key: one for key, one in self._periods.items() if is_last or now - one.began >= self._period_seconds
            }
            for key in ended:
                del self._periods[key]
            if is_last and self._timer is not None:
                self._timer.cancel()
                self._timer = None
        for key, period in ended.items():
            self._sum_up(key, period)

    def _on_timer(self) -> None:
        self.flush(is_last=False)
        with self._lock:
            self._timer = None
            if any(one.seen > self._most for one in self._periods.values()):
                self._start_timer()

    def _start_timer(self) -> None:
        self._timer = threading.Timer(self._period_seconds, self._on_timer)
        self._timer.name, self._timer.daemon = "shopscope-repeats", True
        self._timer.start()

    def _sum_up(self, key: tuple[str, str, str], period: _Period) -> None:
        count = period.seen - self._most
        if count > 0:
            self._report(Repeat(*key, count, self._period_seconds))
