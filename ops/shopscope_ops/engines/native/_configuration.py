"""Writes the copies of the containers' configuration that the components of this machine read."""

import shutil
from collections.abc import Collection, Mapping
from pathlib import Path

from shopscope_ops.engines._bundle import bundle_folder
from shopscope_ops.engines._processes import ProcessError
from shopscope_ops.engines.native._left_out import collector_override, prometheus_without
from shopscope_ops.engines.native._manifest import Component
from shopscope_ops.engines.native._rewrite import Rewriter

_OVERRIDE = "left-out.yaml"
_TARGETS = "targets"  # one file a component: Prometheus has no target for what is left out, and no alert


class Configuration:
    """The folder of a stack's configuration.

    Args:
        folder: the stack's state folder, absolute.
        components: all of the stack.
        ports: the chosen port of every ``<component>.<name>``.
        replaced: another file instead of a component's main configuration.
    """

    def __init__(
        self,
        folder: Path,
        components: Mapping[str, Component],
        ports: Mapping[str, int],
        replaced: Mapping[str, Path],
    ) -> None:
        self._folder = folder / "config"
        self._data = folder / "data"
        self._components = components
        self._replaced = replaced
        self._rewriter = Rewriter(components, ports, self._folder, self._data)

    def data(self, name: str) -> Path:
        """The data folder of a component."""
        return self._data / name

    def write(self, names: Collection[str], left_out: Collection[str]) -> None:
        """Write the configuration of these components anew, without what is left out.

        Raises:
            ProcessError: a file of the stack is missing or not text.
        """
        shutil.rmtree(self._folder, ignore_errors=True)
        for name in names:
            part = self._components[name]
            self.data(name).mkdir(parents=True, exist_ok=True)
            (self._folder / name).mkdir(parents=True)
            for position, source in enumerate(part.config):
                origin = self._replaced.get(name) if position == 0 else None
                self._copy(part, origin or bundle_folder() / source, self._folder / name / Path(source).name, left_out)

    def arguments(self, part: Component, binary: Path) -> tuple[str, ...]:
        """The component's arguments on this machine."""
        given = [self._rewriter.rewrite(part, argument) for argument in part.native or part.arguments]
        if (override := self._folder / part.name / _OVERRIDE).exists():
            given.append(f"--config={override}")
        return tuple(argument.replace("{home}", str(_home(binary))) for argument in given)

    def _main(self, name: str) -> Path:
        """Where the copy of a component's main configuration is."""
        return self._folder / name / Path(self._components[name].config[0]).name

    def _copy(self, part: Component, source: Path, target: Path, left_out: Collection[str]) -> None:
        if source.is_dir():
            for inner in sorted(source.iterdir()):
                if not (source.name == _TARGETS and inner.stem in left_out):
                    self._copy(part, inner, target / inner.name, left_out)
            return
        try:
            text = source.read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise ProcessError(f"the configuration of {part.name} cannot be read: {source}: {error}") from error
        if target == self._main("prometheus"):
            text = prometheus_without(text, left_out)
        if target == self._main("collector") and (override := collector_override(text, left_out)):
            (target.parent / _OVERRIDE).write_text(override, encoding="utf-8")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(self._rewriter.rewrite(part, text), encoding="utf-8")


def _home(binary: Path) -> Path:
    """The folder that a release unpacks to; packages of distributions put its contents elsewhere."""
    unpacked = binary.resolve().parent.parent
    return unpacked if (unpacked / "public").is_dir() else Path("/usr/share") / binary.name
