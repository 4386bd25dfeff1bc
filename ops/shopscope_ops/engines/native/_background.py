"""The stack in the background: a supervisor process, started, asked and stopped."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

import psutil  # type: ignore[import-untyped]

from shopscope_ops.engines._components import ComponentStatus
from shopscope_ops.engines._logs import print_logs
from shopscope_ops.engines._probes import answers_http
from shopscope_ops.engines._processes import (
    ProcessError,
    describe_exit,
    describe_log,
    process_record,
    read_records,
    start_detached,
    write_records,
)
from shopscope_ops.engines._state import held_lock, require_room, state_folder, unwritable
from shopscope_ops.engines.native._errors import ProvideError
from shopscope_ops.engines.native._find import find_binary
from shopscope_ops.engines.native._manifest import component, read_components
from shopscope_ops.engines.native._provide import provide
from shopscope_ops.engines.native._record import StackRecord, read_record, remove_record
from shopscope_ops.engines.native._stack import default_ports

_NAME = "stack"
_OWNER = "shopscope up or down"
_LEAST_BYTES = 512 * 2**20
_START_SECONDS = 240.0
_STOP_SECONDS = 90.0
_POLL_SECONDS = 0.05
_SHOWN_PORTS = {"answers": "page", "collector": "otlp-http"}


def start(report: Callable[[str], None], without: Sequence[str] = ()) -> str:
    """Bring the programs that are missing, and start the stack; returns when it is healthy.

    Ports are those of ``stack/components.toml``, or of variables such as ``STACK_COLLECTOR_OTLP_HTTP_PORT``.

    Args:
        report: is told in a sentence what is being done.
        without: components to leave out.

    Returns:
        What was done, and what was left out.

    Raises:
        ProvideError: the collector cannot be had.
        ProcessError: there is no such component, a port is taken, or a component did not become healthy.
        StateError: another command starts or stops it just now, or the folder cannot be written.
    """
    left_out = [component(name).name for name in without]
    folder = _folder()
    with held_lock(folder, _OWNER):
        if process := _supervisor(folder):
            return f"The stack runs already (pid {process.pid})."
        require_room(folder, _LEAST_BYTES)
        reasons = _bring([name for name in read_components() if name not in left_out], report)
        remove_record(folder)
        pid = _spawn(folder, left_out, report)
        record = read_record(folder)
        lines = [f"The stack is up (pid {pid}): {', '.join(record.ready_seconds)}."]
        lines += [f"  left out: {name}: {reasons.get(name, why)}" for name, why in record.left_out.items()]
        return "\n".join(lines)


def stop() -> str:
    """Stop the stack that ``start`` started; its data stay.

    Returns:
        One sentence about what was done.

    Raises:
        StateError: another command starts or stops it just now.
    """
    folder = _folder()
    with held_lock(folder, _OWNER):
        process = _supervisor(folder)
        if process is not None:
            with contextlib.suppress(psutil.Error):
                process.terminate()
                _end(process)
        _forget(folder)
        return (
            f"The stack is down (it was pid {process.pid})." if process else "No stack runs from programs of its own."
        )


def components() -> list[ComponentStatus]:
    """Every component as it is now."""
    folder = _folder()
    is_supervised, record = _supervisor(folder) is not None, read_record(folder)
    running = read_records(folder / "stack" / "processes.json") if is_supervised else {}
    return [_status(name, running, record, is_supervised=is_supervised) for name in read_components()]


def show_logs(names: Collection[str], lines: int, *, follow: bool) -> None:
    """Print what components have logged.

    Args:
        names: components; all when empty.
        lines: of each, from the end.
        follow: go on until interrupted.

    Raises:
        ProcessError: there is no such component.
    """
    for name in names:
        component(name)
    folder = _folder()
    logs = {name: folder / "stack" / "logs" / f"{name}.log" for name in names or read_components()}
    if not names:
        logs = {"supervisor": _log(folder)} | logs
    print_logs({name: log for name, log in logs.items() if log.exists()}, lines, follow=follow)


def chosen_ports(environment: Mapping[str, str] = os.environ) -> dict[str, int]:
    """The ports that the user's environment chooses, by the same variables as the compose file's.

    Raises:
        ProcessError: a variable is not a port.
    """
    ports = {}
    for key in default_ports():
        variable = f"STACK_{key.upper().replace('.', '_').replace('-', '_')}_PORT"
        if text := environment.get(variable, ""):
            if not (text.isdigit() and 0 < int(text) < 2**16):
                raise ProcessError(f"{variable} must be a port between 1 and 65535: {text!r}; correct or unset it")
            ports[key] = int(text)
    return ports


def _folder() -> Path:
    return state_folder() / "native"


def _log(folder: Path) -> Path:
    return folder / "logs" / "supervisor.log"


def _supervisor(folder: Path) -> psutil.Process | None:
    return read_records(folder / "processes.json").get(_NAME)


def _bring(names: Sequence[str], report: Callable[[str], None]) -> dict[str, str]:
    """Get the programs that are missing; why some cannot be had, by component."""
    reasons = {}
    for name in names:
        if find_binary(name):
            continue
        try:
            provide(name, report)
        except ProvideError as error:
            if name == "collector":  # without it nothing arrives
                raise
            reasons[name] = str(error)
    return reasons


def _spawn(folder: Path, left_out: Sequence[str], report: Callable[[str], None]) -> int:
    """Start the supervisor detached from us and wait until it says that all is up; nothing stays when that fails."""
    options = [f"--set-port={key}={port}" for key, port in chosen_ports().items()]
    options += [f"--without={name}" for name in left_out]
    command = [sys.executable, "-m", "shopscope_ops.engines.native", "--folder", str(folder), *options]
    try:
        process = start_detached(command, os.environ, _log(folder))
    except OSError as error:
        raise unwritable(folder, error) from error
    try:
        record = process_record(_NAME, process.pid)
        write_records(folder / "processes.json", [record] if record else [])
        _wait_until_up(process, folder, report)
    except BaseException:
        process.terminate()
        _end(process)
        _forget(folder)
        raise
    return process.pid


def _wait_until_up(process: "subprocess.Popen[bytes]", folder: Path, report: Callable[[str], None]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    told: set[str] = set()
    while not (record := read_record(folder)).is_up:
        for name in record.ready_seconds.keys() - told:
            told.add(name)
            report(f"{name} is healthy after {record.ready_seconds[name]:.1f} s")
        if (code := process.poll()) is not None:
            raise ProcessError(f"the stack {describe_exit(code)}.{describe_log(_log(folder), lines=30)}")
        if time.monotonic() > deadline:
            raise ProcessError(f"the stack was not up within {_START_SECONDS:.0f} s.{describe_log(_log(folder))}")
        time.sleep(_POLL_SECONDS)
    process.returncode = 0  # it stays: Popen must not warn about a running child


def _end(process: "psutil.Process | subprocess.Popen[bytes]") -> None:
    """Wait for a supervisor that was asked to end; it needs time, because each component writes down what it has."""
    try:
        process.wait(_STOP_SECONDS)
    except (psutil.TimeoutExpired, subprocess.TimeoutExpired):
        process.kill()  # the kernel then asks its components to end
        process.wait(_STOP_SECONDS)


def _forget(folder: Path) -> None:
    remove_record(folder)
    (folder / "processes.json").unlink(missing_ok=True)


def _status(
    name: str, running: Mapping[str, psutil.Process], record: StackRecord, *, is_supervised: bool
) -> ComponentStatus:
    part = component(name)
    if not is_supervised:
        return ComponentStatus(name, "down", detail="the stack does not run")
    if name in record.left_out:
        return ComponentStatus(name, "left out", detail=record.left_out[name])
    if name not in running:
        return ComponentStatus(name, "down", detail="it ended, and is started again soon" if record.is_up else "")
    is_healthy = answers_http(record.ports[f"{name}.{part.health.port}"], part.health.path)
    shown = f"{name}.{_SHOWN_PORTS.get(name, 'http')}"
    return ComponentStatus(
        name,
        "healthy" if is_healthy else "starting",
        record.versions.get(name, ""),
        f"http://127.0.0.1:{record.ports[shown]}",
        f"pid {running[name].pid}",
    )
