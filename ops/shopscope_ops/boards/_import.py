"""Puts boards into a Grafana, each one that nobody has changed by hand."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Final

from shopscope import __version__
from shopscope_ops.boards._compare import Finding, State, compare
from shopscope_ops.boards._errors import GrafanaError
from shopscope_ops.boards._marker import marked
from shopscope_ops.boards._stored import Grafana

__all__ = ["Folder", "Import", "Outcome"]

_OVERWRITE: Final = "--dry-run shows the difference, --force overwrites it"
_LEFT: Final = {
    State.CHANGED: f"somebody changed it in Grafana; {_OVERWRITE}",
    State.FOREIGN: f"a board of this uid is there that shopscope import did not write; {_OVERWRITE}",
}


@dataclass(frozen=True, slots=True)
class Folder:
    """Where new boards go.

    Attributes:
        uid: of the folder.
        title: of the folder, when it has to be made.
    """

    uid: str
    title: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What happened to a board, a folder or a group of rules.

    Attributes:
        name: of it.
        action: ``created``, ``updated``, ``removed``, ``current``, ``left`` or ``failed``; in a dry run
            ``would create`` and so on.
        detail: a sentence, or "".
        diff: what would change, in a dry run.
    """

    name: str
    action: str
    detail: str = ""
    diff: str = ""

    def __str__(self) -> str:
        """One line, and the diff."""
        line = f"{self.action:12} {self.name}" + (f": {self.detail}" if self.detail else "")
        return f"{line}\n{self.diff}".rstrip("\n")

    def to_dict(self) -> dict[str, str]:
        """For a JSON document."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Import:
    """An import into one Grafana.

    Attributes:
        grafana: where to.
        folder: for boards that are new; others stay in the folder where somebody has put them.
        force: overwrite what somebody changed, too.
        dry_run: write nothing.
    """

    grafana: Grafana
    folder: Folder
    force: bool = False
    dry_run: bool = False

    def boards(self, texts: Iterable[str]) -> Iterator[Outcome]:
        """Write boards that are new or outdated, and say of the others why not.

        A board that Grafana refuses does not keep the next from being written.

        Args:
            texts: boards as JSON.

        Raises:
            GrafanaError: the folder cannot be read or made.
        """
        yield from self._ensure_folder()
        for board in map(json.loads, texts):
            try:
                yield self._one(compare(board, self.grafana.board(board["uid"])))
            except GrafanaError as error:
                yield Outcome(board["uid"], "failed", str(error))

    def _ensure_folder(self) -> Iterator[Outcome]:
        if self.grafana.folder_title(self.folder.uid) is not None:
            return
        if not self.dry_run:
            self.grafana.create_folder(self.folder.uid, self.folder.title)
        yield Outcome(f"folder {self.folder.title}", "would create" if self.dry_run else "created")

    def _one(self, found: Finding) -> Outcome:
        if found.is_written(force=self.force):
            verb = "create" if found.stored is None else "update"
            if self.dry_run:
                return Outcome(found.uid, f"would {verb}", found.title, found.diff() if found.stored else "")
            self._save(found)
            return Outcome(found.uid, f"{verb}d", found.title)
        if found.state is State.CURRENT or found.stored is None:
            return Outcome(found.uid, "current", found.title)
        detail = _LEFT.get(found.state, f"Grafana has it from elsewhere ({found.stored.manager}); change it there")
        outcome = Outcome(found.uid, "left", detail)
        return replace(outcome, diff=found.diff()) if self.dry_run else outcome

    def _save(self, found: Finding) -> None:
        stored = found.stored
        spec = marked(found.board, stored.generation + 1 if stored else 1)
        folder = stored.folder if stored else self.folder.uid
        message = f"shopscope import {__version__}"
        self.grafana.save(found.uid, spec, folder=folder, message=message, stored=stored)
