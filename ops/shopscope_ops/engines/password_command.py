"""``shopscope password``."""

from enum import StrEnum
from typing import Annotated

import typer
from rich.console import Console

from shopscope._errors import ShopscopeError
from shopscope_ops.engines.command import Engine, in_use


class _Engine(StrEnum):
    """Engines that have a Grafana."""

    DOCKER = "docker"
    NATIVE = "native"


def password(
    engine: Annotated[
        _Engine | None, typer.Option(help="Whose Grafana.", show_default="the one that is up, else docker")
    ] = None,
) -> None:
    """Print the password of Grafana's user admin, made when Grafana first started. To look, nobody needs it."""
    try:
        typer.echo(_password(engine or (_Engine.NATIVE if in_use() is Engine.NATIVE else _Engine.DOCKER)))
    except ShopscopeError as error:
        Console(stderr=True, soft_wrap=True, highlight=False).print(f"Error: {error}", style="red", markup=False)
        raise typer.Exit(1) from error


def _password(engine: _Engine) -> str:
    if engine is _Engine.DOCKER:
        from shopscope_ops.engines import docker  # noqa: PLC0415 - keeps the command line's start fast

        return docker.password()
    from shopscope_ops.engines._password import read_password  # noqa: PLC0415 - same
    from shopscope_ops.engines._state import state_folder  # noqa: PLC0415 - same

    return read_password(state_folder() / "native" / "stack")
