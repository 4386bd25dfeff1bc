"""Gets a component's program: what is there, else its release, else a build; each version once a machine."""

import contextlib
import fcntl
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from shopscope_ops.engines.native._build import build
from shopscope_ops.engines.native._download import download
from shopscope_ops.engines.native._errors import ProvideError
from shopscope_ops.engines.native._find import cache_folder, cached_folder, find_binary, owner_of, why_missing
from shopscope_ops.engines.native._manifest import Component


def provide(name: str, report: Callable[[str], None] = lambda _: None) -> Path:
    """The program of a component; downloaded and verified, or built, where it is neither on PATH nor in the cache.

    Args:
        name: a component such as ``collector``, or a program such as ``promtool``.
        report: is told in a sentence what takes long.

    Raises:
        ProvideError: it cannot be had; the message gives the reason of each way.
    """
    if found := find_binary(name):
        return found
    part = owner_of(name)
    try:
        with _sole_use(cached_folder(part)):
            if not find_binary(name):  # another process may have brought it while we waited
                _bring(part, report)
    except OSError as error:
        raise ProvideError(
            f"the cache {cache_folder()} cannot be written: {error.strerror or error}; "
            "make room, or set SHOPSCOPE_CACHE to another folder"
        ) from error
    if found := find_binary(name):
        return found
    raise ProvideError(
        f"{cached_folder(part)} has no program {name}: what is installed there lacks it; delete the folder"
    )


def _bring(part: Component, report: Callable[[str], None]) -> None:
    """Download or build into a folder of its own, which takes its place in the cache when it is complete."""
    reasons = [why_missing(part)]
    staging = cached_folder(part).with_name(f".incomplete-{part.name}-{part.version}")
    for doing, way in _ways(part):
        shutil.rmtree(staging, ignore_errors=True)  # of one that was killed
        staging.mkdir()
        report(doing)
        try:
            way(staging)
        except ProvideError as error:
            reasons.append(str(error))
        else:
            _replace(staging, cached_folder(part))
            return
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    if not (part.module or part.builder):
        reasons.append("it cannot be built from its Go module")
    raise ProvideError("\n".join([f"{part.name} {part.version} cannot be had:", *(f"    - {why}" for why in reasons)]))


def _ways(part: Component) -> Iterator[tuple[str, Callable[[Path], None]]]:
    if part.release:
        yield f"downloading {part.name} {part.version}", lambda folder: download(part, folder)
    if part.module or part.builder:
        log = cache_folder() / "logs" / f"build-{part.name}.log"
        yield f"building {part.name} {part.version} (some minutes, once)", lambda folder: build(part, folder, log)


def _replace(folder: Path, target: Path) -> None:
    if target.exists():
        shutil.rmtree(target)
    folder.rename(target)


@contextlib.contextmanager
def _sole_use(folder: Path) -> Iterator[None]:
    """Wait until no other process brings the same component."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f".{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
