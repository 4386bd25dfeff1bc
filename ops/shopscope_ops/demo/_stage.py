"""The demo's stage: sets up the shop, plays a healthy and a sick act, and stays until it is told to go."""

import http.client
import json
import time
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus

from rich.rule import Rule
from rich.text import Text

from shopscope.config import load_shop
from shopscope_ops.answers import Diagnosis, diagnose
from shopscope_ops.answers.render import render
from shopscope_ops.demo._arrivals import count_spans, services_heard
from shopscope_ops.demo._compare import focus, render_change, summary, unseen, view
from shopscope_ops.demo._ports import OBSERVED, DemoPorts
from shopscope_ops.demo._screen import Screen
from shopscope_ops.demo._shop import ShopFiles, load_program, seed_program, service_programs, shop_environment
from shopscope_ops.demo.backends import PostgresHome, postgres_backend, redis_backend
from shopscope_ops.engines._embedded import engine_program, read_json
from shopscope_ops.engines._processes import Child, ProcessError, Supervisor
from shopscope_ops.engines._state import require_room
from shopscope_ops.sources import from_engine

FAULT_SECONDS = 1.0
"""How much slower the bank gets."""

_JOURNEY, _SERVICE, _ROUTE = "checkout", "storefront", "POST /checkout"
_VISITS_PER_SECOND = 14.0
_THINK = "300ms"
_WARM_UP_SECONDS = 2.0
_ENOUGH_REQUESTS = 105  # the p99 of fewer than 100 is unknown
_LONGEST_LOAD_SECONDS = 40.0
_LONGEST_ARRIVAL_SECONDS = 20.0
_POLL_SECONDS = 0.2
_LOW_BYTES = 48 * 2**20
_QUESTION_SECONDS = 1.0  # how often the engine is asked what has arrived; answering costs what is measured
_HEALTH_SECONDS = 2.0  # how often the disk and the engine's health are looked at


class Stage:
    """Runs the demo's parts on a supervisor.

    Args:
        ports: where everything listens.
        screen: what the user sees.
        supervisor: owns every process.
        files: the shop's code and ``shopscope.toml``.
    """

    def __init__(self, ports: DemoPorts, screen: Screen, supervisor: Supervisor, files: ShopFiles) -> None:
        self.ports = ports
        self.screen = screen
        self.supervisor = supervisor
        self.files = files
        self._endpoint = ports.engine.endpoint
        self._health_checked = 0.0

    def set_up(self, home: PostgresHome | None) -> None:
        """Start servers, engine and shop, as much at the same time as possible, and wait until all are ready.

        Raises:
            ProcessError: something did not start.
        """
        with self.screen.phase("Starting engine, PostgreSQL, Redis and six shop processes"):
            redis = redis_backend(self.supervisor.folder)
            database = postgres_backend(self.supervisor, home)
            environment = shop_environment(self.files, self.ports, database.url, redis.url)
            engine = engine_program(
                self.ports.engine, self.supervisor.folder / "engine", self.files.shop_file, environment
            )
            servers = [backend.program for backend in (database, redis) if backend.program is not None]
            first = self.supervisor.start(engine, *servers)
            databases = [child for child in first if child.name != engine.name]
            self._wait_ready(databases)
            shop = self.supervisor.start(*service_programs(self.ports, environment))
            start = time.monotonic()
            self.screen.now("seeding 5,000 products")
            self.supervisor.run(seed_program(environment))
            self.screen.done("catalogue", start)
            self._wait_ready([child for child in (*first, *shop) if child not in databases])

    def play(self) -> bool:
        """Healthy load, answers; a slower bank, answers beside the first ones.

        Returns:
            Whether the answers saw the fault.

        Raises:
            ProcessError: a process ended, or telemetry did not arrive.
        """
        with self.screen.phase("Healthy shop under load"):
            self.supervisor.start(load_program(self.ports.url(_SERVICE), _VISITS_PER_SECOND, _THINK))
            before = self._diagnose(slowest_seconds=0.5)
        self.screen.show(Rule("the shop, healthy"), render(focus(before, _JOURNEY)))
        more = f"shopscope diagnose{self._endpoint_option()}"
        self.screen.show(f"First answers after {self.screen.seconds:.0f} s. The other journeys' chains: {more}", "")
        with self.screen.phase(f"The bank gets {FAULT_SECONDS:g} s slower"):
            self._slow_bank()
            after = self._diagnose(slowest_seconds=0.5 + FAULT_SECONDS)
        old, new = view(before, _JOURNEY), view(after, _JOURNEY)
        self.screen.show(Rule("the shop with a slow bank"), render_change(old, new))
        reasons = unseen(old, new, FAULT_SECONDS)
        if reasons:
            self.screen.show(*(Text(f"The fault was not seen: {reason}.", style="bold red") for reason in reasons))
        else:
            self.screen.show(Text(f"The fault was seen: {summary(old, new)}.", style="bold green"))
        self.screen.has_answered = True
        return not reasons

    def stay(self) -> None:
        """Keep everything running until interrupted.

        Raises:
            ProcessError: a process ended.
            StateError: the disk is full.
        """
        self.screen.show(
            f"Both answers after {self.screen.seconds:.0f} s. The load goes on, and the bank stays slow.",
            f"  see it on the page    {self.ports.engine.page}",
            f"  ask again             shopscope diagnose{self._endpoint_option()}",
            f"  make the bank well    curl -X DELETE {self.ports.url('bank')}/faults",
            "  stop everything       Ctrl-C",
        )
        while True:
            self._watch()
            time.sleep(_POLL_SECONDS)

    def take_stock(self) -> None:
        """Print seconds and memory, and whether the load generator kept up."""
        self.screen.summary(self.supervisor.children)
        load = next(child for child in self.supervisor.children if child.name == "load")
        self.supervisor.stop(load)
        self.screen.show(_load_verdict(load))

    def _endpoint_option(self) -> str:
        return "" if self.ports.otlp == DemoPorts().otlp else f" --endpoint {self._endpoint}"

    def _wait_ready(self, children: list[Child]) -> None:
        names = {child.name for child in children}

        def ready(child: Child) -> None:
            names.discard(child.name)
            self.screen.done(child.name, child.started)
            self.screen.now(f"waiting for {', '.join(sorted(names))}")

        self.supervisor.wait_ready(children, ready)

    def _slow_bank(self) -> None:
        bank = http.client.HTTPConnection("127.0.0.1", self.ports.of("bank"), timeout=5.0)
        body = json.dumps({"latency_seconds": FAULT_SECONDS})
        try:
            bank.request("PUT", "/faults", body, {"Content-Type": "application/json"})
            status = bank.getresponse().status
        except (OSError, http.client.HTTPException) as error:
            raise ProcessError(f"the bank must take the fault: {error}") from error
        finally:
            bank.close()
        if status != HTTPStatus.OK:
            raise ProcessError(f"the bank must take the fault with status 200: {status}")

    def _diagnose(self, slowest_seconds: float) -> Diagnosis:
        """The answers about the time from a moment after now until there are enough checkouts.

        Args:
            slowest_seconds: a request that began at the end of that time has arrived so much later.
        """
        since = time.time_ns() + round(_WARM_UP_SECONDS * 1e9)
        found = self._wait_for_requests(since)
        until = time.time_ns()
        self._wait_for_services(until + round(slowest_seconds * 1e9))
        self.screen.done(f"{found} checkouts in {(until - since) / 1e9:.0f} s")
        self.screen.now("thinking about the answers")
        start = time.monotonic()
        diagnosis = diagnose(from_engine(self._endpoint, since, until), load_shop(self.files.shop_file))
        self.screen.done(f"answers from {diagnosis.chains.quality.spans:,} spans", start)
        return diagnosis

    def _wait_for_requests(self, since: int) -> int:
        found = 0

        def enough() -> bool:
            nonlocal found
            found = count_spans(self._endpoint, since, _SERVICE, _ROUTE)
            self.screen.now(f"shoppers arrive; {found} of {_ENOUGH_REQUESTS} checkouts for a p99")
            return found >= _ENOUGH_REQUESTS

        if not self._wait_until(enough, _LONGEST_LOAD_SECONDS) and not found:
            raise ProcessError(
                f"no checkout has reached the engine within {_LONGEST_LOAD_SECONDS:.0f} s; "
                f"the logs in {self.supervisor.logs} may say why"
            )
        return found

    def _wait_for_services(self, since: int) -> None:
        missing = set(OBSERVED)

        def heard() -> bool:
            nonlocal missing
            missing = set(OBSERVED) - services_heard(self._endpoint, since)
            self.screen.now(f"waiting for the telemetry of {', '.join(sorted(missing))}")
            return not missing

        if not self._wait_until(heard, _LONGEST_ARRIVAL_SECONDS):
            raise ProcessError(
                f"no telemetry of {', '.join(sorted(missing))} has reached the engine for "
                f"{_LONGEST_ARRIVAL_SECONDS:.0f} s; the logs in {self.supervisor.logs} may say why"
            )

    def _wait_until(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Watch over everything until the condition holds; False when it did not in time."""
        deadline = time.monotonic() + seconds
        next_question = 0.0
        while time.monotonic() < deadline:
            self._watch()
            if time.monotonic() >= next_question:
                next_question = time.monotonic() + _QUESTION_SECONDS
                with suppress(OSError):  # the engine is busy, or gone, which the next look tells
                    if condition():
                        return True
            time.sleep(_POLL_SECONDS)
        return False

    def _watch(self) -> None:
        """Raise when a process has ended, the disk is full, or the engine cannot keep what it receives."""
        self.supervisor.check()
        if time.monotonic() - self._health_checked > _HEALTH_SECONDS:
            require_room(self.supervisor.folder, _LOW_BYTES)
            health = read_json(self.ports.otlp, "/healthz") or {}
            if health.get("trouble"):
                raise ProcessError(f"the engine cannot keep what it receives: {health['trouble']}")
            self._health_checked = time.monotonic()


def _load_verdict(load: Child) -> str:
    """What the stopped load generator says about itself."""
    lines = load.log.read_text(encoding="utf-8").splitlines()
    report = json.loads(lines[-1]) if lines else {}
    if "kept_up" not in report:
        return "The load generator left no report."
    late, threshold = report["late_share"], report["late_threshold_seconds"] * 1000
    errors = sum(report["errors"].values())
    kept_up = "kept up" if report["kept_up"] else "COULD NOT KEEP UP, so that its figures are a lower bound"
    return (
        f"The load generator {kept_up}: {report['visits']} shoppers, {report['requests']} requests, {errors} errors; "
        f"{late * 100:.2f} % of requests left more than {threshold:.0f} ms late."
    )
