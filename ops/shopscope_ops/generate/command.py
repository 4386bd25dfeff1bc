"""``shopscope generate`` and ``shopscope check``."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import typer

from shopscope._errors import ConfigError, ShopscopeError
from shopscope.config import FILE_NAME, find_shop_file, load_shop
from shopscope_ops.generate import Change, Findings, examine, plan, write

__all__ = ["check", "generate", "shop_file", "show"]

_FAULTS: Final = 1
_VERBS: Final = {"new": "wrote", "changed": "wrote", "stale": "removed"}

_Config = Annotated[Path | None, typer.Option(help="The shop's shopscope.toml; found from this folder upwards.")]
_Into = Annotated[Path | None, typer.Option(help="The folder of the files; by default that of the shopscope.toml.")]
_Collector = Annotated[
    Path | None, typer.Option(help="The folder with agent.yaml and gateway-sample.yaml; by default collector.")
]


def generate(config: _Config = None, into: _Into = None, collector: _Collector = None) -> None:
    """Write what is derived from shopscope.toml: rules, alerts and their tests, boards, the collector's parts."""
    try:
        path = shop_file(config)
        made = plan(load_shop(path), into or _near(path.parent), collector)
        changes = write(made)
    except (ShopscopeError, OSError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(_FAULTS) from error
    show(changes)


def check(
    config: _Config = None,
    into: _Into = None,
    collector: _Collector = None,
    *,
    diff: Annotated[bool, typer.Option("--diff", help="Print what would change line by line.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Say everything that is wrong with shopscope.toml, and what shopscope generate would change.

    Ends with 0 when all is well and up to date, 1 when there are faults, 2 when files would change.
    """
    try:
        path = shop_file(config)
    except ConfigError as error:
        _show(Findings(error.problems), FILE_NAME, diff=diff, as_json=as_json)
        raise typer.Exit(_FAULTS) from error
    findings = examine(path, into or _near(path.parent), collector)
    _show(findings, str(_near(path)), diff=diff, as_json=as_json)
    raise typer.Exit(findings.exit_code)


def shop_file(named: Path | None) -> Path:
    """The file that was named, else the nearest one.

    Raises:
        ConfigError: there is none.
    """
    path = named or find_shop_file()
    if path is None:
        raise ConfigError([f"there must be a {FILE_NAME} here or above: none; name it with --config"])
    return path


def show(changes: Sequence[Change]) -> None:
    """Say what was done."""
    for change in changes:
        typer.echo(f"{_VERBS[change.kind]} {change.path}")
    if not changes:
        typer.echo("everything is as it has to be")


def _near(path: Path) -> Path:
    """The path as one would write it here."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _show(findings: Findings, name: str, *, diff: bool, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(_document(findings, name, diff=diff), indent=2))
        return
    for fault in findings.faults:
        typer.echo(f"fault    {fault}")
    for change in findings.changes:
        typer.echo(f"{change.kind:8} {change.path}{_size(change)}")
        if diff:
            typer.echo(change.diff(str(change.path)), nl=False)
    for sentence in findings.left_out:
        typer.echo(f"left out {sentence}")
    typer.echo(_verdict(findings, name))


def _document(findings: Findings, name: str, *, diff: bool) -> dict[str, object]:
    changes = []
    for change in findings.changes:
        entry: dict[str, object] = {"path": str(change.path), "kind": change.kind}
        changes.append(entry | ({"diff": change.diff(str(change.path))} if diff else {}))
    return {
        "file": name,
        "faults": list(findings.faults),
        "changes": changes,
        "left_out": list(findings.left_out),
        "exit_code": findings.exit_code,
    }


def _size(change: Change) -> str:
    """How many lines come and go."""
    lines = change.diff("").splitlines()[2:]
    plus, minus = (sum(line.startswith(sign) for line in lines) for sign in "+-")
    return f"  +{plus} -{minus} lines"


def _verdict(findings: Findings, name: str) -> str:
    if findings.faults:
        return f"{name}: {len(findings.faults)} fault{'s' if len(findings.faults) > 1 else ''}"
    if findings.changes:
        return f"{name} is sound; shopscope generate would change {len(findings.changes)} files"
    return f"{name} is sound, and everything is as it has to be"
