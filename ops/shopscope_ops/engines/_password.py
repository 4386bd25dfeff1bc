"""The password of Grafana's admin that the native engine makes; containers make their own (docker-compose.yml)."""

import secrets
from pathlib import Path

from shopscope_ops.engines._state import StateError, unwritable

_FILE_NAME = "grafana-admin-password"
_BYTES = 18


def ensure_password(folder: Path) -> Path:
    """The file with the password; made once, and readable by its owner alone.

    Args:
        folder: the native engine's state.

    Raises:
        StateError: it cannot be written.
    """
    path = folder / _FILE_NAME
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        if not path.read_text(encoding="ascii"):
            path.write_text(secrets.token_urlsafe(_BYTES), encoding="ascii")
    except OSError as error:
        raise unwritable(folder, error) from error
    return path


def read_password(folder: Path) -> str:
    """The password that ``ensure_password`` made.

    Raises:
        StateError: Grafana has never been started there.
    """
    try:
        return (folder / _FILE_NAME).read_text(encoding="ascii")
    except OSError as error:
        raise StateError(
            f"there is no password in {folder}: Grafana has not been started there; "
            "start it with shopscope up --engine native, or ask for the containers' with --engine docker"
        ) from error
