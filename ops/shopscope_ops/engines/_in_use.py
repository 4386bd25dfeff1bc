"""Which engine was started last: what ``down``, ``status``, ``logs`` and ``doctor`` mean when none is named."""

import contextlib
from pathlib import Path

from shopscope_ops.engines._state import state_folder

_FILE_NAME = "engine-in-use"


def engine_in_use() -> str:
    """The name of the engine that ``shopscope up`` started last; empty when none is up."""
    try:
        return _file().read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return ""


def note_engine(name: str) -> None:
    """Remember an engine that was started; empty when it was stopped."""
    with contextlib.suppress(OSError):  # a convenience: whoever cannot write names the engine instead
        if name:
            state_folder().mkdir(parents=True, exist_ok=True)  # containers keep nothing there
            _file().write_text(name, encoding="utf-8")
        else:
            _file().unlink()


def _file() -> Path:
    return state_folder() / _FILE_NAME
