"""The demo from the first check to the last answer."""

import shutil
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from shopscope_ops.demo._ports import DemoPorts
from shopscope_ops.demo._screen import Screen
from shopscope_ops.demo._shop import find_shop
from shopscope_ops.demo._stage import Stage
from shopscope_ops.demo.backends import postgres_home
from shopscope_ops.engines._embedded import require_ports
from shopscope_ops.engines._processes import Supervisor, stop_leftovers
from shopscope_ops.engines._state import held_lock, require_room, unwritable

_LEAST_BYTES = 384 * 2**20


@dataclass(frozen=True, slots=True)
class DemoSettings:
    """How to run the demo.

    Attributes:
        folder: its state; belongs to one demo at a time, wiped at every start.
        ports: where everything listens.
        stays: keep running after the answers until interrupted.
    """

    folder: Path
    ports: DemoPorts
    stays: bool


def run_demo(settings: DemoSettings, screen: Screen) -> bool:
    """Run the demo; everything that it started has stopped when this returns or raises.

    Returns:
        Whether the answers saw the fault.

    Raises:
        ShopscopeError: something is missing, taken, full or has ended; the message says what to do.
    """
    folder, ports = settings.folder, settings.ports
    with ExitStack() as stack:
        with screen.phase("Checking"):
            stack.enter_context(held_lock(folder, "demo"))
            _tidy(folder, screen)
            require_room(folder, _LEAST_BYTES)
            require_ports(ports.all(), "Stop what holds them, or choose others with --port-base and --otlp-port.")
            screen.done(f"ports {ports.base} to {ports.of('bank')} and {ports.otlp} are free")
        files = find_shop()
        home = stack.enter_context(postgres_home(folder))
        supervisor = stack.enter_context(Supervisor(folder))
        stack.callback(screen.show, "Stopping everything.")
        stage = Stage(ports, screen, supervisor, files)
        stage.set_up(home)
        saw_fault = stage.play()
        if settings.stays:
            stage.stay()
        else:
            stage.take_stock()
        return saw_fault


def _tidy(folder: Path, screen: Screen) -> None:
    """Stop and remove what an earlier demo left; its logs are kept until the next start."""
    for name in stop_leftovers(folder / "processes.json"):
        screen.done(f"stopped {name}, left running by a demo that was killed")
    try:
        shutil.rmtree(folder / "engine", ignore_errors=True)
        if (folder / "logs").exists():
            shutil.rmtree(folder / "logs.previous", ignore_errors=True)
            (folder / "logs").rename(folder / "logs.previous")
    except OSError as error:
        raise unwritable(folder, error) from error
