"""What the stack's supervisor writes down for who asks: what runs where, and what was left out."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

_FILE = "status.json"


@dataclass(frozen=True, slots=True)
class StackRecord:
    """A running stack.

    Attributes:
        is_up: whether all components have become healthy.
        ports: the port of every ``<component>.<port name>``.
        versions: of the components that run.
        left_out: those that do not, and why.
        ready_seconds: how long after the start each became healthy.
    """

    is_up: bool = False
    ports: Mapping[str, int] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)
    ready_seconds: Mapping[str, float] = field(default_factory=dict)


def write_record(folder: Path, record: StackRecord) -> None:
    """Replace the record in one step."""
    fresh = folder / f"{_FILE}.new"
    fresh.write_text(json.dumps(asdict(record)), encoding="utf-8")
    fresh.replace(folder / _FILE)


def read_record(folder: Path) -> StackRecord:
    """The last record; an empty one where there is none."""
    try:
        return StackRecord(**json.loads((folder / _FILE).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return StackRecord()


def remove_record(folder: Path) -> None:
    """Forget a stack that does not run any more."""
    (folder / _FILE).unlink(missing_ok=True)
