"""The export threads: one for each signal, started when there is something to send, safe across forks."""

import random
import threading
import time
from abc import ABC, abstractmethod
from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

from opentelemetry import context as context_api
from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY

from shopscope._export._transport import Exporter, Outcome
from shopscope._metrics._selfmetrics import EXPORT_SECONDS, SENT, SENT_BYTES, dropped, internal_error, logger

_FIRST_BACKOFF_SECONDS = 1.0
_LONGEST_BACKOFF_SECONDS = 30.0
# So few that encoding them takes a fraction of a millisecond.
_MOST_UNENCODED = 64


# Encoded records by the encoded instrumentation scope that they belong to.
Batch = Mapping[bytes, Sequence[bytes]]


class Record(Protocol):
    """A span or log record that has ended, and can be encoded when it is convenient."""

    @property
    def scope(self) -> bytes:
        """The encoded instrumentation scope."""

    def encode(self) -> bytes:
        """The body of its OTLP message."""


class QueueLimits(NamedTuple):
    """Bounds of a signal's queue: records, bytes, records a request, and seconds between requests.

    ``export_seconds`` bounds the attempts for one request; None tries until the endpoint takes it.
    """

    max_records: int = 16384
    max_bytes: int = 16 * 1024 * 1024
    batch_records: int = 1024
    interval_seconds: float = 5.0
    export_seconds: float | None = None


class QueueFigures(NamedTuple):
    """How full a queue is, what it may hold, and the records that it ever held."""

    records: int
    bytes: int
    max_records: int
    queued: int


class Worker(ABC):
    """A daemon thread that exports one signal, with retries, until it is told to stop."""

    def __init__(self, signal: str, transport: Exporter, interval_seconds: float) -> None:
        self.signal = signal
        self._transport = transport
        self._interval_seconds = interval_seconds
        self._export_seconds = float("inf")
        self._is_down = False
        self._reset_thread()

    def _reset_thread(self) -> None:
        self._thread: threading.Thread | None = None
        self._start_lock = threading.Lock()
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._is_stopping = False
        self._deadline = float("inf")
        #: The deadline has passed and what is in flight has been counted as lost.
        self._is_abandoned = False

    @abstractmethod
    def _export(self) -> None:
        """Send what there is; called on the thread."""

    @abstractmethod
    def _abandon(self) -> None:
        """Count what is left when the deadline has passed."""

    def start(self) -> None:
        """Start the thread unless it runs or has been stopped."""
        with self._start_lock:
            if self._thread is None and not self._stop.is_set():
                thread = threading.Thread(target=self._run, name=f"shopscope-{self.signal}", daemon=True)
                try:
                    thread.start()
                except RuntimeError:
                    # The process may have no more threads, or none any more; the next record tries again.
                    internal_error(f"thread for {self.signal}")
                else:
                    self._thread = thread

    def shutdown(self, deadline: float) -> None:
        """Send what is left until ``deadline`` (``time.monotonic``); what is not sent then is dropped and counted."""
        self.request_stop(deadline)
        if self._thread is not None:
            self._thread.join(max(0.0, deadline - time.monotonic()))
            self._is_abandoned = self._thread.is_alive()
        self._abandon()

    def request_stop(self, deadline: float) -> None:
        """Tell the thread to finish by ``deadline``, without waiting for it."""
        self._deadline = deadline
        self._is_stopping = True
        self._stop.set()
        self._wake.set()

    def after_fork_in_child(self) -> None:
        """The thread and the connection belong to the parent; begin anew."""
        self._transport.forget()
        self._is_down = False
        self._reset_thread()

    def _run(self) -> None:
        # Nobody's instrumentation may trace our own calls: each export would be one more span to export.
        context_api.attach(context_api.set_value(_SUPPRESS_INSTRUMENTATION_KEY, True))  # noqa: FBT003 (what it reads)
        is_last = False
        while not is_last:
            self._wake.wait(self._interval_seconds)
            self._wake.clear()
            # Read before the export: what is added while it runs, before the stop, is still to be sent.
            is_last = self._stop.is_set()
            try:
                self._export()
            except Exception:  # noqa: BLE001 (a fault in one export must not end the thread)
                internal_error(f"export of {self.signal}")
        self._transport.close()

    def _deliver(self, body: bytes, count: int, *, keep_trying: bool) -> None:
        """Post until accepted, refused, or out of time; counts what is lost."""
        backoff = _FIRST_BACKOFF_SECONDS
        give_up = time.monotonic() + self._export_seconds
        while True:
            SENT_BYTES.labels(self.signal).inc(len(body))
            started = time.perf_counter()
            reply = self._transport.post(body)
            EXPORT_SECONDS.labels(self.signal).observe(time.perf_counter() - started)
            if reply.outcome is not Outcome.RETRY:
                self._settle(count, reply.outcome, reply.rejected, reply.reason)
                return
            self._note_outage(reply.reason)
            delay = reply.retry_after_seconds or backoff * random.uniform(0.8, 1.2)  # noqa: S311 (jitter)
            if time.monotonic() + delay > give_up:
                dropped(self.signal, "timeout", count, reply.reason)
                return
            if not keep_trying or not self._pause(delay):
                if not self._is_abandoned:
                    dropped(self.signal, "shutdown" if self._stop.is_set() else "unreachable", count)
                return
            backoff = min(backoff * 2, _LONGEST_BACKOFF_SECONDS)

    def _pause(self, delay_seconds: float) -> bool:
        """Wait before the next attempt; false if there is no time for one."""
        if not self._stop.is_set():
            self._stop.wait(delay_seconds)
            return True
        # While stopping, the endpoint gets a few quick chances: it may be starting or stopping beside us.
        delay_seconds = min(delay_seconds, 0.25)
        if time.monotonic() + delay_seconds >= self._deadline:
            return False
        time.sleep(delay_seconds)
        return True

    def _settle(self, count: int, outcome: Outcome, rejected: int, reason: str) -> None:
        if self._is_down:
            self._is_down = False
            logger.info("shopscope sends %s to %s again", self.signal, self._transport.url)
        if outcome is Outcome.REFUSED:
            dropped(self.signal, "refused", count, reason)
            return
        rejected = min(rejected, count)
        dropped(self.signal, "rejected", rejected, reason)
        SENT.labels(self.signal).inc(count - rejected)

    def _note_outage(self, reason: str) -> None:
        if not self._is_down:
            self._is_down = True
            logger.warning(
                "shopscope cannot send %s to %s: %s; it keeps trying", self.signal, self._transport.url, reason
            )


class RecordQueue(Worker):
    """Spans or log records waiting for their request, encoded but for the last few.

    Adding takes no lock, because every request of the service does it several times: a deque's ``append``, ``popleft``
    and ``len`` are atomic. Threads that add in the same moment may each be one above its bound. The bound in bytes is
    kept by counting each record as one unit of at least its size, and a large one as several.

    What can encode itself is encoded several in a row: the code and data for it are then in the processor's caches,
    from where the service's own work drives them out in between.
    """

    def __init__(self, signal: str, transport: Exporter, limits: QueueLimits, frame: Callable[[Batch], bytes]) -> None:
        super().__init__(signal, transport, limits.interval_seconds)
        self._export_seconds = limits.export_seconds or float("inf")
        self._max_records = limits.max_records
        self._batch_records = limits.batch_records
        self._unit_bytes = max(1, limits.max_bytes // limits.max_records)
        self._frame = frame
        self._reset_queue()

    def _reset_queue(self) -> None:
        # Scope and body of each record.
        self._records: deque[tuple[bytes, bytes]] = deque()
        self._unencoded: deque[Record] = deque()
        # Units that records in the queue take beyond their first.
        self._more_units = 0
        self._wake_at = self._batch_records - 1
        self._in_flight = 0
        # Records that have left the queue for good, delivered or lost.
        self._settled = 0
        self._lock = threading.Lock()
        self._drained = threading.Condition(self._lock)

    def add(self, scope: bytes, body: bytes) -> None:
        """Queue an encoded span or log record of an instrumentation scope; a full queue drops it and counts it."""
        if self._is_stopping:
            dropped(self.signal, "shutdown")
            return
        if self._unencoded:
            # In the order in which they ended.
            self.encode()
        self._put(scope, body)

    def add_unencoded(self, record: Record) -> None:
        """The same for one that encodes itself, soon and at the latest when its request is made."""
        if self._is_stopping:
            dropped(self.signal, "shutdown")
            return
        unencoded = self._unencoded
        unencoded.append(record)
        length = len(unencoded)
        # Without a thread nobody would come for it.
        if length >= _MOST_UNENCODED or length + len(self._records) > self._wake_at or self._thread is None:
            self.encode()

    def encode(self) -> None:
        """Encode what is not yet."""
        unencoded = self._unencoded
        while unencoded:
            try:
                record = unencoded.popleft()
            except IndexError:
                # Another thread has taken the last.
                return
            try:
                self._put(record.scope, record.encode())
            except Exception:  # noqa: BLE001 (telemetry never raises into the service)
                internal_error(f"encoding of {self.signal}")

    def _put(self, scope: bytes, body: bytes) -> None:
        records = self._records
        # One test for each of the four things that can be out of the ordinary; there are three records a request.
        if (
            len(records) < self._wake_at
            and len(body) <= self._unit_bytes
            and not self._more_units
            and self._thread is not None
        ):
            records.append((scope, body))
        else:
            self._put_with_care(scope, body)

    def _put_with_care(self, scope: bytes, body: bytes) -> None:
        records = self._records
        pending = len(records)
        if len(body) > self._unit_bytes and not self._take_units(len(body) // self._unit_bytes):
            return
        if pending + self._more_units >= self._max_records:
            dropped(self.signal, "queue_full")
            return
        records.append((scope, body))
        if pending >= self._wake_at:
            # Once: what comes in while a batch is on its way waits for the next interval, or busy services would send
            # tiny requests.
            self._wake_at = self._max_records
            self._wake.set()
        if self._thread is None:
            self.start()

    def _take_units(self, units: int) -> bool:
        """Make room for a large record."""
        with self._lock:
            has_room = len(self._records) + self._more_units + units < self._max_records
            if has_room:
                self._more_units += units
        if not has_room:
            dropped(self.signal, "queue_full")
        return has_room

    def figures(self) -> QueueFigures:
        """What the self-telemetry shows."""
        self.encode()
        with self._lock:
            records = list(self._records)
            size = sum(len(body) for _, body in records)
            queued = self._settled + self._in_flight + len(records)
            return QueueFigures(len(records), size, self._max_records, queued)

    def flush(self, timeout_seconds: float) -> bool:
        """Wait until all that is queued now has been sent; false if it took longer."""
        self.encode()
        self._wake.set()
        with self._drained:
            goal = self._settled + self._in_flight + len(self._records)
            return self._drained.wait_for(lambda: self._settled >= goal, timeout_seconds)

    def after_fork_in_child(self) -> None:
        """What is queued is the parent's to send."""
        super().after_fork_in_child()
        self._reset_queue()

    def _export(self) -> None:
        self.encode()
        has_more = True
        while has_more:
            batch, has_more = self._take()
            count = self._in_flight
            try:
                if batch:
                    self._deliver(self._frame(batch), count, keep_trying=True)
            except Exception:
                dropped(self.signal, "fault", count)
                raise
            finally:
                with self._drained:
                    self._settled += self._in_flight
                    self._in_flight = 0
                    self._drained.notify_all()
        self._wake_at = self._batch_records - 1

    def _take(self) -> tuple[Batch, bool]:
        """Records for one request, and whether there are more."""
        batch: defaultdict[bytes, list[bytes]] = defaultdict(list)
        records = self._records
        with self._lock:
            if self._more_units:
                taken = self._take_large()
            else:
                taken = [records.popleft() for _ in range(min(len(records), self._batch_records))]
            self._in_flight = len(taken)
            has_more = bool(records)
        for scope, body in taken:
            batch[scope].append(body)
        return batch, has_more

    def _take_large(self) -> list[tuple[bytes, bytes]]:
        """As many as a request of ordinary records is large; endpoints refuse larger ones."""
        taken, units = [], 0
        while self._records and units < self._batch_records:
            scope, body = self._records.popleft()
            taken.append((scope, body))
            more = len(body) // self._unit_bytes if len(body) > self._unit_bytes else 0
            self._more_units -= more
            units += 1 + more
        return taken

    def _abandon(self) -> None:
        with self._lock:
            lost = len(self._records) + len(self._unencoded) + self._in_flight
            self._records.clear()
            self._unencoded.clear()
            self._more_units = 0
            self._in_flight = 0
            self._settled += lost
            self._drained.notify_all()
        dropped(self.signal, "shutdown", lost)


class MetricReader(Worker):
    """Collects and pushes metrics at an interval; they are cumulative, so a failed push is made good by the next."""

    def __init__(self, transport: Exporter, interval_seconds: float, collect: Callable[[], tuple[bytes, int]]) -> None:
        super().__init__("metrics", transport, interval_seconds)
        self._collect = collect

    def _export(self) -> None:
        body, points = self._collect()
        if points:
            self._deliver(body, points, keep_trying=self._stop.is_set())

    def _abandon(self) -> None:
        """Nothing is queued: the points of a failed push have been counted there."""
