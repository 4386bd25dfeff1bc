"""What tells whether somebody changed a board since we wrote it: a hidden variable of the board itself.

Nothing else is kept by every generation of Grafana: some ignore annotations that they do not know, and a message
belongs to a version, not to the board. The variable holds two things: a hash of the board as we wrote it, and the
number that Grafana gives to the version in which it stores it. Grafana raises that number with every save. It leaves it
when it reads an old board in a newer schema, which changes what we are shown and so the hash. A board is as we left it
when either is as we wrote it.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

__all__ = ["Json", "Mark", "canonical", "fingerprint", "marked", "read_mark", "without_mark"]

Json = dict[str, Any]

_NAME: Final = "shopscope_import"
_HIDDEN: Final = 2
_DIGITS: Final = 16
# Grafana numbers boards and versions itself; the newer interface keeps the uid outside.
_OF_GRAFANA: Final = frozenset({"id", "uid", "version", "iteration"})


class Mark(NamedTuple):
    """What we wrote when we wrote the board."""

    fingerprint: str
    generation: int


def marked(board: Mapping[str, Any], generation: int) -> Json:
    """The board with our mark.

    Args:
        board: as it was generated.
        generation: the number that the version will have in which Grafana stores it.
    """
    value = f"{fingerprint(board)} {generation}"
    variable = {
        "current": {"text": value, "value": value},
        "description": "What shopscope import wrote, as which version: it shows whether somebody changed the board.",
        "hide": _HIDDEN,
        "name": _NAME,
        "query": value,
        "skipUrlSync": True,
        "type": "constant",
    }
    templating = dict(board.get("templating") or {})
    return {**board, "templating": {**templating, "list": [*_variables(board), variable]}}


def read_mark(board: Mapping[str, Any]) -> Mark | None:
    """Our mark, or None where there is none that can be read."""
    for variable in (board.get("templating") or {}).get("list") or ():
        if isinstance(variable, dict) and variable.get("name") == _NAME:
            digest, _, generation = str(variable.get("query", "")).partition(" ")
            return Mark(digest, int(generation)) if generation.isdecimal() else None
    return None


def without_mark(board: Mapping[str, Any]) -> Json:
    """The board as it was generated: without our mark, and without what Grafana numbers itself."""
    kept = {key: value for key, value in board.items() if key not in _OF_GRAFANA}
    if "templating" in kept:
        kept["templating"] = {**(kept["templating"] or {}), "list": _variables(board)}
    return kept


def canonical(board: Mapping[str, Any]) -> str:
    """The board as a text that is the same however Grafana has ordered or spelled it."""
    return json.dumps(_plain(without_mark(board)), sort_keys=True, indent=2, ensure_ascii=False) + "\n"


def fingerprint(board: Mapping[str, Any]) -> str:
    """A hash of what the board shows."""
    return hashlib.sha256(canonical(board).encode()).hexdigest()[:_DIGITS]


def _variables(board: Mapping[str, Any]) -> list[Any]:
    entries = (board.get("templating") or {}).get("list") or []
    return [entry for entry in entries if not (isinstance(entry, dict) and entry.get("name") == _NAME)]


def _plain(value: Any) -> Any:
    """Numbers as Go writes them: 1.0 comes back as 1."""
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_plain(entry) for entry in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
