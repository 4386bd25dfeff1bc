"""Builds a component from its Go modules, where neither a program nor a release can be had."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from shopscope_ops.engines._bundle import bundle_folder
from shopscope_ops.engines._processes import describe_exit, describe_log
from shopscope_ops.engines.native._errors import ProvideError
from shopscope_ops.engines.native._manifest import Component

_VERSION_VARIABLE = "github.com/prometheus/common/version.Version"


def build(part: Component, folder: Path, log: Path) -> None:
    """Build the programs of a component into ``folder``.

    Args:
        part: names its Go packages, or the builder that writes a collector.
        folder: an empty folder.
        log: gets what the toolchain prints.

    Raises:
        ProvideError: there is no Go, or the build failed (with the log's last lines).
    """
    go = shutil.which("go")
    if go is None:
        raise ProvideError(
            f"building {part.name} needs Go, and there is no go on PATH; install it from https://go.dev/dl"
        )
    if part.builder:
        _build_collector(part, go, folder, log)
    else:
        _build_packages(part, go, folder, log)


def _build_packages(part: Component, go: str, folder: Path, log: Path) -> None:
    """Go packages, at the versions that the module in ``stack/build`` pins."""
    tags = ("-tags", ",".join(part.build_tags)) if part.build_tags else ()
    linker = f"-s -w -X {_VERSION_VARIABLE}={part.version}"
    command = [go, "build", "-mod=readonly", "-trimpath", *tags, "-ldflags", linker, "-o", f"{folder}/", *part.module]
    _run(part, command, bundle_folder() / "stack" / "build" / part.name, log)


def _build_collector(part: Component, go: str, folder: Path, log: Path) -> None:
    """A collector from ``collector/builder.yaml``, by OpenTelemetry's builder."""
    manifest = (bundle_folder() / "collector" / "builder.yaml").read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory(prefix="shopscope-collector-") as sources:
        placed = Path(sources) / "builder.yaml"
        output = Path(sources) / "output"
        placed.write_text(manifest.replace("dist:\n", f"dist:\n  output_path: {output}\n", 1), encoding="utf-8")
        _run(part, [go, "run", part.builder, "--config", str(placed)], Path(sources), log)
        for program in part.programs:
            shutil.move(output / program, folder / program)


def _run(part: Component, command: list[str], folder: Path, log: Path) -> None:
    # A go.work or flags of the user's own must not change what is built.
    environment = os.environ | {"GOWORK": "off", "GOFLAGS": "", "CGO_ENABLED": "0"}
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        ended = subprocess.run(
            command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False
        )
    if ended.returncode:
        raise ProvideError(f"building {part.name} {describe_exit(ended.returncode)}.{describe_log(log)}")
