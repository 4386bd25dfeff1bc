"""``shopscope generate``: what is derived from shopscope.toml, written into the stack's files."""

from pathlib import Path
from typing import Annotated

import typer

from shopscope._errors import ShopscopeError
from shopscope.config import FILE_NAME, find_shop_file, load_shop
from shopscope_ops.collector._files import write


def generate(
    config: Annotated[
        Path | None, typer.Option(help="The shop's shopscope.toml; found from this folder upwards.")
    ] = None,
    collector: Annotated[Path, typer.Option(help="The folder with agent.yaml and gateway-sample.yaml.")] = Path(
        "collector"
    ),
) -> None:
    """Write redaction and tail sampling into the collector's files, from the SDK's list and shopscope.toml."""
    try:
        path = config or find_shop_file()
        if path is None:
            typer.echo(f"there is no {FILE_NAME} here or above; name it with --config", err=True)
            raise typer.Exit(1)
        changed = write(collector, load_shop(path))
    except (ShopscopeError, OSError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error
    for name in changed:
        typer.echo(f"wrote {name}")
    if not changed:
        typer.echo("everything is as it has to be")
