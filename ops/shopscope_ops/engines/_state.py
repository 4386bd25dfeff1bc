"""The state folder: where it is, who may use it now, and whether there is room in it."""

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from shopscope._errors import ShopscopeError

_HOME_VARIABLE = "SHOPSCOPE_HOME"
_MEBIBYTE = 2**20


class StateError(ShopscopeError):
    """The state folder cannot be used: it is in use, full, or not writable."""


def state_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Where engines and the demo keep their state: ``SHOPSCOPE_HOME``, else ``shopscope`` in the user's state folder.

    Raises:
        StateError: neither variable is set and the user has no home folder.
    """
    if named := environment.get(_HOME_VARIABLE, ""):
        return Path(named).expanduser().absolute()
    if base := environment.get("XDG_STATE_HOME", ""):
        return Path(base).expanduser().absolute() / "shopscope"
    try:
        return Path.home() / ".local" / "state" / "shopscope"
    except RuntimeError as error:
        raise StateError(f"there is no home folder to keep state in; set {_HOME_VARIABLE} to a folder") from error


@contextlib.contextmanager
def held_lock(folder: Path, owner: str) -> Iterator[None]:
    """Have ``folder`` to oneself while the context lasts; the lock ends with the process, however it ends.

    Args:
        folder: created if missing.
        owner: what the message calls whoever holds the lock, for example ``demo``.

    Raises:
        StateError: another process holds it (the message names its pid), or the folder cannot be written.
    """
    path = folder / "lock"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = path.open("a+", encoding="utf-8")
    except OSError as error:
        raise unwritable(folder, error) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            raise StateError(
                f"another {owner} is running (pid {holder}) with its state in {folder}: "
                f"stop it first, or set {_HOME_VARIABLE} to another folder"
            ) from error
        try:
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
        except OSError as error:
            raise unwritable(folder, error) from error
        yield


def unwritable(folder: Path, error: OSError) -> StateError:
    """The error that says why a state folder cannot be written and what to do."""
    return StateError(
        f"the state folder {folder} cannot be written: {error.strerror or error}; "
        f"make room or correct its permissions, or set {_HOME_VARIABLE} to another folder"
    )


def require_room(folder: Path, least_bytes: int) -> None:
    """Refuse to go on when the disk of ``folder`` has less room than ``least_bytes``.

    Raises:
        StateError: says how much room there is and how much is needed.
    """
    free = shutil.disk_usage(folder).free
    if free < least_bytes:
        raise StateError(
            f"the disk of the state folder {folder} is full: {free // _MEBIBYTE} MiB are free and "
            f"{least_bytes // _MEBIBYTE} MiB are needed; make room, or set {_HOME_VARIABLE} to a folder on another disk"
        )
