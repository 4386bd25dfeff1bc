"""The moment in which the service imports a library: what observes one waits for it, and costs no other service."""

import importlib.abc
import importlib.util
import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

from shopscope._metrics._selfmetrics import internal_error

#: What is called with the library's name.
Act = Callable[[str], None]

_acts: dict[str, list[Act]] = {}


def when_imported(library: str, act: Act) -> None:
    """Act now if the library is imported, and each time that its module will have been; safe to call again."""
    acts = _acts.setdefault(library, [])
    if act not in acts:
        acts.append(act)
    if library in sys.modules:
        _try(act, library)
    if not any(isinstance(finder, _ImportHook) for finder in sys.meta_path):
        sys.meta_path.insert(0, _ImportHook())


def _try(act: Act, library: str) -> None:
    try:
        act(library)
    except Exception:  # noqa: BLE001 (a library that we do not understand must keep working)
        internal_error(f"instrumentation of {library}")


class _ImportHook(importlib.abc.MetaPathFinder):
    """Sees the first import of a library, and acts once its module is complete."""

    def __init__(self) -> None:
        self._searching: set[str] = set()

    def find_spec(
        self,
        name: str,
        path: Sequence[str] | None = None,  # noqa: ARG002 (signature of finders)
        target: ModuleType | None = None,  # noqa: ARG002 (same)
    ) -> ModuleSpec | None:
        if name not in _acts or name in self._searching:
            return None
        self._searching.add(name)
        try:
            spec = importlib.util.find_spec(name)
        finally:
            self._searching.discard(name)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader, name)
        return spec


class _Loader(importlib.abc.Loader):
    """The library's own loader, and after it what waits for the library."""

    def __init__(self, loader: importlib.abc.Loader, library: str) -> None:
        self._loader = loader
        self._library = library

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        if module.__spec__ is not None:
            module.__spec__.loader = module.__loader__ = self._loader
        self._loader.exec_module(module)
        for act in _acts[self._library]:
            _try(act, self._library)
