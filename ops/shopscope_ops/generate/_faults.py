"""Everything that is wrong with a ``shopscope.toml``, at once, and what would change if it were generated now."""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shopscope._errors import ConfigError, ShopscopeError
from shopscope.config import Shop, load_shop, parse_shop
from shopscope_ops.generate._plan import Change, plan

__all__ = ["Findings", "examine"]

_NO_CHANGE, _FAULTS, _WOULD_CHANGE = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Findings:
    """What ``shopscope check`` found.

    Attributes:
        faults: one sentence each: field, rule, value, fix.
        changes: what would be written or removed; empty while there are faults.
        left_out: what is not derived here, and why.
    """

    faults: tuple[str, ...] = ()
    changes: tuple[Change, ...] = ()
    left_out: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """0: nothing to do; 1: there are faults; 2: files would change."""
        return _FAULTS if self.faults else _WOULD_CHANGE if self.changes else _NO_CHANGE


def examine(path: Path, folder: Path, collector: Path | None = None) -> Findings:
    """Look for every fault, and for what would change.

    Args:
        path: the ``shopscope.toml``.
        folder: where its files are generated.
        collector: as for ``plan``.
    """
    faults: list[str] = []
    try:
        shop = load_shop(path)
    except ConfigError as error:
        faults += error.problems
        shop = _sound_part(path)
    faults += _missing_runbooks(shop, path)
    if faults and not shop.journeys:
        return Findings(tuple(faults))
    try:
        made = plan(shop, folder, collector)
        changes = made.changes()
    except ConfigError as error:
        return Findings((*faults, *error.problems))
    except (ShopscopeError, OSError) as error:
        return Findings((*faults, str(error)))
    return Findings(tuple(faults), () if faults else changes, made.left_out)


def _sound_part(path: Path) -> Shop:
    """The journeys that have no fault of their own: a wrong one must not hide what the others' objectives ask for."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return Shop()
    journeys = document.get("journeys")
    return Shop(journeys=dict(_sound(journeys)) if isinstance(journeys, dict) else {})


def _sound(journeys: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, table in journeys.items():
        try:
            yield from parse_shop({"journeys": {name: table}}).journeys.items()
        except ConfigError:
            continue


def _missing_runbooks(shop: Shop, path: Path) -> Iterator[str]:
    """An alert whose runbook is not there helps nobody at night."""
    for journey in shop.journeys.values():
        file = journey.runbook.partition("#")[0]
        if file and "://" not in file and not (path.parent / file).is_file():
            yield (
                f"{path}: journeys.{journey.name}.runbook must be an address, or a file beside {path.name}: "
                f"{journey.runbook!r}; write it, or correct the path"
            )
