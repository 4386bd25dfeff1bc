"""The embedded engine in the background: started, stopped and found again by its process record."""

import contextlib
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil  # type: ignore[import-untyped]

from shopscope_ops.engines._embedded import EngineAddress, engine_program, is_healthy, read_json, require_ports
from shopscope_ops.engines._processes import (
    ProcessError,
    describe_exit,
    describe_log,
    process_record,
    read_records,
    start_detached,
    write_records,
)
from shopscope_ops.engines._state import held_lock, require_room, unwritable

if TYPE_CHECKING:
    import subprocess

_NAME = "engine"
_LEAST_BYTES = 128 * 2**20
_START_SECONDS = 30.0
_STOP_SECONDS = 12.0
_POLL_SECONDS = 0.05


def start_engine(folder: Path, address: EngineAddress) -> str:
    """Start the engine unless it runs already; returns when it is healthy.

    Args:
        folder: where the engine keeps its database, log and record.
        address: where it is to answer.

    Returns:
        One sentence about what was done.

    Raises:
        ProcessError: a port is taken, or the engine ended or did not become healthy in time.
        StateError: another command starts or stops it just now, or the folder cannot be written.
    """
    with held_lock(folder, "shopscope up or down"):
        process = read_records(folder / "processes.json").get(_NAME)
        if process is not None and is_healthy(address):
            return f"The engine runs already (pid {process.pid})."
        if process is not None:
            raise ProcessError(
                f"the engine (pid {process.pid}) runs, but does not answer on {address.endpoint} and {address.page}: "
                "it was started with other ports, or hangs; run shopscope down first"
            )
        if read_json(address.otlp_port, "/healthz") is not None:
            return "An engine that shopscope up did not start runs already, perhaps the demo's."
        ports = {"telemetry": address.otlp_port, "answers page": address.page_port}
        require_ports(ports, "Stop what holds them, or choose others with --port and --page-port.")
        require_room(folder, _LEAST_BYTES)
        pid = _spawn(folder, address)
        return f"The engine is up (pid {pid})."


def stop_engine(folder: Path) -> str:
    """Stop the engine that ``start_engine`` started.

    Returns:
        One sentence about what was done.

    Raises:
        StateError: another command starts or stops it just now.
    """
    with held_lock(folder, "shopscope up or down"):
        records = folder / "processes.json"
        process = read_records(records).get(_NAME)
        if process is None:
            records.unlink(missing_ok=True)
            return "No engine that shopscope up started is running."
        _end(process)
        records.unlink(missing_ok=True)
        return f"The engine is down (it was pid {process.pid})."


def _spawn(folder: Path, address: EngineAddress) -> int:
    """Start the engine detached from us, and wait for it; nothing is left behind when that fails."""
    program = engine_program(address, folder / "data")
    log = folder / "logs" / "engine.log"
    try:
        process = start_detached(program.command, program.environment, log)
    except OSError as error:
        raise unwritable(folder, error) from error
    try:
        record = process_record(_NAME, process.pid)
        write_records(folder / "processes.json", [record] if record else [])
        _wait_until_healthy(process, address, log)
    except BaseException:
        process.kill()
        process.wait()
        (folder / "processes.json").unlink(missing_ok=True)
        raise
    return process.pid


def _wait_until_healthy(process: "subprocess.Popen[bytes]", address: EngineAddress, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not is_healthy(address):
        code = process.poll()
        if code is not None:
            raise ProcessError(f"the engine {describe_exit(code)}.{describe_log(log)}")
        if time.monotonic() > deadline:
            raise ProcessError(f"the engine was not healthy within {_START_SECONDS:.0f} s.{describe_log(log)}")
        time.sleep(_POLL_SECONDS)
    process.returncode = 0  # it stays: Popen must not warn about a running child


def _end(process: psutil.Process) -> None:
    with contextlib.suppress(psutil.Error):
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except psutil.TimeoutExpired:
            process.kill()
            process.wait(_STOP_SECONDS)
