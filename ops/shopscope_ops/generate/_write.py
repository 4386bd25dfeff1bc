"""Puts a plan on the disk: no file is ever half written, and none is touched before all could be written."""

import os
from pathlib import Path

from shopscope_ops.generate._plan import Change, Plan

__all__ = ["write"]


def write(plan: Plan) -> tuple[Change, ...]:
    """Write what differs and remove what is stale; gives what was done.

    Raises:
        OSError: the disk is full, or a folder cannot be written; every file is then as it was, or as it has to be.
    """
    changes = plan.changes()
    waiting = {}
    try:
        for change in changes:
            if change.kind != "stale":
                waiting[_beside(change.path, change.after)] = change.path
        for new in list(waiting):
            new.replace(waiting.pop(new))
    finally:
        for new in waiting:
            new.unlink(missing_ok=True)
    for change in changes:
        if change.kind == "stale":
            change.path.unlink()
    return changes


def _beside(path: Path, text: str) -> Path:
    """The text in a file of its own in the same folder, from where a rename is atomic."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        with new.open("w", encoding="utf-8", newline="\n") as file:
            if path.exists():
                new.chmod(path.stat().st_mode & 0o777)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        new.unlink(missing_ok=True)
        raise
    return new
