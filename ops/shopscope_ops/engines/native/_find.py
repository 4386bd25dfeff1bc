"""Finds the components' programs that are there already: on PATH, or in the cache."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from shopscope_ops.engines.native._manifest import Component, component, read_components

_VERSION = re.compile(r"\bversion:? v?(\d+)\.(\d+)\.(\d+)")
_ANSWER_SECONDS = 20.0


def cache_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Where downloaded and built programs are kept: ``SHOPSCOPE_CACHE``, else ``shopscope`` in the user's cache."""
    if named := environment.get("SHOPSCOPE_CACHE", ""):
        return Path(named).expanduser().absolute()
    base = environment.get("XDG_CACHE_HOME", "") or "~/.cache"
    return Path(base).expanduser().absolute() / "shopscope"


def cached_folder(part: Component) -> Path:
    """The folder in the cache that holds exactly this version of a component."""
    return cache_folder() / f"{part.name}-{part.version}"


def find_binary(name: str) -> Path | None:
    """The program of a component, or one of its other programs such as ``promtool``; None where there is none.

    A program on PATH counts if it has the major version that the stack's files are made for, and is not older; the
    distributions' packages often are. Nothing is downloaded or built.

    Raises:
        ProcessError: no component has this name or such a program.
    """
    part = owner_of(name)
    if not part.programs:
        return Path(sys.executable)
    program = part.programs[0] if name == part.name else name
    on_path = shutil.which(program)
    if on_path and not refusal(Path(on_path), part):
        return Path(on_path)
    cached = cached_folder(part) / program
    return cached if os.access(cached, os.X_OK) else None


def owner_of(name: str) -> Component:
    """The component that a component's or program's name belongs to."""
    for part in read_components().values():
        if name in part.programs and name != part.name:
            return part
    return component(name)


def refusal(binary: Path, part: Component) -> str:
    """Why a program found on PATH is not used; empty when it is."""
    version = binary_version(binary)
    wanted = _numbers(part.version)
    if not version:
        return f"{binary} does not tell its version"
    if _numbers(version)[0] != wanted[0] or _numbers(version) < wanted:
        return f"{binary} is {version}, the stack's files are for {part.version}"
    return ""


def why_missing(part: Component) -> str:
    """Why nothing on PATH serves as this component."""
    on_path = shutil.which(part.programs[0])
    return refusal(Path(on_path), part) if on_path else f"there is no {part.programs[0]} on PATH"


def binary_version(binary: Path) -> str:
    """The version that a component's program prints; empty when it prints none."""
    try:
        answer = subprocess.run([binary, "--version"], capture_output=True, timeout=_ANSWER_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    match = _VERSION.search((answer.stdout + answer.stderr).decode("utf-8", "replace"))
    return ".".join(match.groups()) if match else ""


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in version.split("."))
