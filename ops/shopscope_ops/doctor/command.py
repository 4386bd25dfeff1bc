"""``shopscope doctor``: where telemetry stops, and what to do about it."""

import json
from dataclasses import replace
from typing import Annotated, Final

import typer
from rich.console import Console

from shopscope._errors import ConfigError, ShopscopeError
from shopscope_ops.engines.command import Engine, in_use

__all__ = ["doctor"]

_WRONG_OPTION: Final = 2
_NOTHING_RUNS: Final = 3


def doctor(
    engine: Annotated[
        Engine | None, typer.Option(help="Which engine was started.", show_default="the one that is up")
    ] = None,
    port: Annotated[int, typer.Option(help="Port for telemetry of the embedded engine.")] = 4318,
    page_port: Annotated[int, typer.Option(help="Port of the embedded engine's page.")] = 8600,
    endpoint: Annotated[
        str, typer.Option(help="Where services send to, such as https://host:4318; by default the engine's port.")
    ] = "",
    patience: Annotated[str, typer.Option(help="How long a component may take to show what was sent.")] = "20s",
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Follow one marked request from the SDK through every component, and say where it stopped and what to do.

    Ends with 0 when all passed, 1 when something failed, 2 when an option is wrong, 3 when nothing runs.
    """
    from shopscope.config import parse_duration  # noqa: PLC0415 - keeps the command line's start fast
    from shopscope_ops.doctor._examine import examine  # noqa: PLC0415 - same
    from shopscope_ops.doctor._render import render  # noqa: PLC0415 - same
    from shopscope_ops.doctor._target import target_of  # noqa: PLC0415 - same

    complain = Console(stderr=True, soft_wrap=True, highlight=False)
    try:
        patience_seconds = parse_duration(patience)
        target = replace(target_of(engine or in_use(), port, page_port), own_endpoint=endpoint)
    except ShopscopeError as error:
        complain.print(f"Error: {error}", markup=False)
        # Where there is no Docker, or no state folder, nothing of the engine can run.
        raise typer.Exit(_WRONG_OPTION if isinstance(error, ConfigError) else _NOTHING_RUNS) from error
    with complain.status("following a request"):
        report = examine(target, patience_seconds)
    if as_json:
        typer.echo(json.dumps(report.to_dict(), indent=2))
    else:
        Console(highlight=False).print(render(report))
    raise typer.Exit(report.exit_code)
