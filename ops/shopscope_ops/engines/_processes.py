"""Starts, watches and stops the child processes of an engine or of the demo."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil  # type: ignore[import-untyped]

from shopscope._errors import ShopscopeError

_LAUNCHER = Path(__file__).with_name("_launch.py")
_POLL_SECONDS = 0.02
_LOG_LIMIT_BYTES = 16 * 2**20
_TAIL_LINES = 12
# Process start times are counted from a boot time that clock corrections shift a little.
_SAME_START_SECONDS = 2.0


class ProcessError(ShopscopeError):
    """A supervised program could not be started, did not become ready, or ended by itself."""


@dataclass(frozen=True, slots=True)
class Account:
    """The operating system's user that a program runs as."""

    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class Program:
    """A program to supervise.

    Attributes:
        name: what messages and the log file call it.
        command: the program and its arguments.
        is_ready: says without raising whether the program serves already.
        environment: all environment variables that the program gets; ours when empty.
        folder: its working directory; ours when None.
        account: the user it runs as; ours when None.
        standard_input: what it reads from its standard input.
        ready_deadline_seconds: how long it may take to become ready.
        stop_signal: asks it to end in order.
        stop_deadline_seconds: how long it may take to end before it is killed.
        orphan_signal: what it gets when the supervisor dies.
    """

    name: str
    command: tuple[str, ...]
    is_ready: Callable[[], bool]
    environment: Mapping[str, str] = field(default_factory=dict)
    folder: Path | None = None
    account: Account | None = None
    standard_input: bytes = b""
    ready_deadline_seconds: float = 30.0
    stop_signal: signal.Signals = signal.SIGTERM
    stop_deadline_seconds: float = 8.0
    orphan_signal: signal.Signals = signal.SIGKILL


@dataclass(frozen=True, slots=True)
class Child:
    """A program that was started."""

    program: Program
    process: "subprocess.Popen[bytes]"
    log: Path
    started: float

    @property
    def name(self) -> str:
        """The program's name."""
        return self.program.name


class Supervisor:
    """Owns child processes: none of them outlives it, and a leftover of a killed predecessor is stopped first.

    Programs that are started together form a batch; batches are stopped in reverse order, each within its deadline.
    Use it as a context manager in the main thread: Linux ends the children when the *thread* that started them ends.

    Args:
        folder: where the logs (``logs/<name>.log``) and the records of processes (``processes.json``) are kept.
        uses_lifeline: guard the children by a pipe instead of by the kernel's death signal (Linux only).
    """

    def __init__(self, folder: Path, *, uses_lifeline: bool = sys.platform != "linux") -> None:
        self.folder = folder
        self.logs = folder / "logs"
        self._records = folder / "processes.json"
        self._batches: list[list[Child]] = []
        self._lifeline = os.pipe() if uses_lifeline else None

    @property
    def children(self) -> tuple[Child, ...]:
        """Every child that was started and not stopped, oldest first."""
        return tuple(child for batch in self._batches for child in batch)

    def __enter__(self) -> Self:
        self.logs.mkdir(parents=True, exist_ok=True)
        stop_leftovers(self._records)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.stop_all()
        finally:
            if self._lifeline is not None:
                for descriptor in self._lifeline:
                    os.close(descriptor)

    def start(self, *programs: Program) -> tuple[Child, ...]:
        """Start programs as one batch without waiting for them.

        Raises:
            ProcessError: a program cannot be started or its log cannot be written.
        """
        if threading.current_thread() is not threading.main_thread():
            raise ProcessError("programs must be started from the main thread: they end when the starting thread ends")
        batch: list[Child] = []
        self._batches.append(batch)
        for program in programs:
            batch.append(self._spawn(program))
            self._write_records()
        return tuple(batch)

    def wait_ready(self, children: Sequence[Child], on_ready: Callable[[Child], None] = lambda _: None) -> None:
        """Wait until all ``children`` are ready; ``on_ready`` is called for each as soon as it is.

        Raises:
            ProcessError: a child of this supervisor ended, or one did not become ready in time.
        """
        waiting = list(children)
        while waiting:
            self.check()
            for child in [child for child in waiting if child.program.is_ready()]:
                waiting.remove(child)
                on_ready(child)
            now = time.monotonic()
            for child in waiting:
                if now - child.started > child.program.ready_deadline_seconds:
                    raise ProcessError(
                        f"{child.name} did not become ready within {child.program.ready_deadline_seconds:.0f} s."
                        f"{describe_log(child.log)}"
                    )
            if waiting:
                time.sleep(_POLL_SECONDS)

    def check(self) -> None:
        """Raise if a child has ended by itself; keep the log files within their bound.

        Raises:
            ProcessError: names the child, how it ended, and its last log lines.
        """
        for child in self.children:
            code = child.process.poll()
            if code is not None:
                raise ProcessError(f"{child.name} {describe_exit(code)}.{describe_log(child.log)}")
            _bound_log(child.log)

    def run(self, program: Program) -> None:
        """Run a program to its end while watching over the children.

        Raises:
            ProcessError: it failed or took longer than its ``ready_deadline_seconds``, or a child ended.
        """
        (child,) = self.start(program)
        batch = self._batches[-1]
        while (code := child.process.poll()) is None:
            if time.monotonic() - child.started > program.ready_deadline_seconds:
                limit = f"{program.ready_deadline_seconds:.0f} s"
                raise ProcessError(f"{child.name} did not finish within {limit}.{describe_log(child.log)}")
            self.check()
            time.sleep(_POLL_SECONDS)
        self._batches.remove(batch)
        self._write_records()
        if code != 0:
            raise ProcessError(f"{child.name} {describe_exit(code)}.{describe_log(child.log)}")

    def stop(self, child: Child) -> None:
        """Stop one child and forget it."""
        _stop_together([child])
        for batch in self._batches:
            if child in batch:
                batch.remove(child)
        self._write_records()

    def stop_all(self) -> None:
        """Stop every child, the youngest batch first."""
        while self._batches:
            _stop_together(self._batches[-1])
            self._batches.pop()
        # Nothing is left that the records could name; a full disk must not keep us from saying so.
        with contextlib.suppress(OSError):
            self._records.unlink(missing_ok=True)

    def _spawn(self, program: Program) -> Child:
        log = self.logs / f"{program.name}.log"
        account = program.account
        lifeline = self._lifeline[0] if self._lifeline else -1
        owner = ("-1", "-1") if account is None else (str(account.uid), str(account.gid))
        launcher = (sys.executable, "-I", "-S", str(_LAUNCHER))
        command = (
            *launcher,
            str(os.getpid()),
            str(int(program.orphan_signal)),
            str(lifeline),
            *owner,
            *program.command,
        )
        try:
            with log.open("ab") as output:
                process = subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE if program.standard_input else subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    cwd=program.folder,
                    env=dict(program.environment) or None,
                    pass_fds=() if lifeline < 0 else (lifeline,),
                    start_new_session=True,  # Ctrl-C in the terminal reaches the supervisor alone, which stops in order
                )
        except OSError as error:
            raise ProcessError(f"{program.name} cannot be started: {error}") from error
        if process.stdin is not None:
            with contextlib.suppress(BrokenPipeError), process.stdin:
                process.stdin.write(program.standard_input)
        return Child(program, process, log, time.monotonic())

    def _write_records(self) -> None:
        records = [record for child in self.children if (record := process_record(child.name, child.process.pid))]
        try:
            write_records(self._records, records)
        except OSError as error:
            raise ProcessError(
                f"{self._records} cannot be written: {error.strerror or error}; make room there"
            ) from error


def process_record(name: str, pid: int) -> dict[str, str | int | float] | None:
    """What is needed to recognise a process later: its name, pid and start time; None if it is gone."""
    with contextlib.suppress(psutil.Error):
        return {"name": name, "pid": pid, "started": psutil.Process(pid).create_time()}
    return None


def write_records(path: Path, records: Sequence[Mapping[str, str | int | float]]) -> None:
    """Replace the file of process records in one step."""
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(records), encoding="utf-8")
    fresh.replace(path)


def read_records(path: Path) -> dict[str, psutil.Process]:
    """Processes of a record file that still run, by name; a pid that was reused since is not among them."""
    try:
        records = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    processes = {}
    for record in records:
        with contextlib.suppress(psutil.Error, KeyError, TypeError):
            process = psutil.Process(record["pid"])
            is_same = abs(process.create_time() - record["started"]) < _SAME_START_SECONDS
            if is_same and process.status() != psutil.STATUS_ZOMBIE:
                processes[str(record["name"])] = process
    return processes


def stop_leftovers(path: Path) -> tuple[str, ...]:
    """Stop what a killed supervisor left running, by its record file; the names of what was stopped."""
    leftovers = read_records(path)
    for process in leftovers.values():
        with contextlib.suppress(psutil.Error):
            process.terminate()
    _, alive = psutil.wait_procs(list(leftovers.values()), timeout=3.0)
    for process in alive:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(alive, timeout=3.0)
    return tuple(leftovers)


def describe_exit(code: int) -> str:
    """How a process ended, as the rest of a sentence."""
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"


def describe_log(log: Path, lines: int = _TAIL_LINES) -> str:
    """The last lines of a log, as the rest of a message."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 64 * 1024))
            text = file.read().decode("utf-8", "replace")
    except OSError as error:
        return f" Its log {log} cannot be read: {error.strerror}"
    tail = [line for line in text.splitlines() if line.strip()][-lines:]
    if not tail:
        return f" Its log {log} is empty."
    return "\n".join([f" Last lines of {log}:", *(f"  {line[:400]}" for line in tail)])


def _signal_group(child: Child, number: signal.Signals) -> None:
    # The whole group: a program may have children of its own.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.process.pid, number)


def _stop_together(children: Sequence[Child]) -> None:
    running = [child for child in children if child.process.poll() is None]
    for child in running:
        with contextlib.suppress(ProcessLookupError):
            child.process.send_signal(child.program.stop_signal)
    for child in running:
        _wait_or_kill(child)
    for child in children:
        if child not in running:
            _signal_group(child, signal.SIGKILL)  # it is gone; its own children may not be


def _wait_or_kill(child: Child) -> None:
    try:
        child.process.wait(child.program.stop_deadline_seconds)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        # Too slow, or the user pressed Ctrl-C again: both mean now.
        _signal_group(child, signal.SIGKILL)
        child.process.wait()
    _signal_group(child, signal.SIGKILL)


def _bound_log(log: Path) -> None:
    """Keep the last full log beside a fresh one; the program goes on appending to the same file."""
    with contextlib.suppress(OSError):
        if log.stat().st_size > _LOG_LIMIT_BYTES:
            log.with_suffix(".log.1").write_bytes(log.read_bytes())
            os.truncate(log, 0)


def start_detached(command: Sequence[str], environment: Mapping[str, str], log: Path) -> "subprocess.Popen[bytes]":
    """Start a program that outlives us; what it prints goes to ``log``, and the log before is kept beside it.

    Raises:
        OSError: the log cannot be written, or the program not be started.
    """
    log.parent.mkdir(exist_ok=True)
    if log.exists():
        log.replace(log.with_suffix(".log.1"))
    with log.open("wb") as output:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(environment),
            start_new_session=True,
        )
