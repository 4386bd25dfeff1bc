"""``shopscope up``, ``down`` and ``status``: the engine in the background."""

from typing import Annotated

import typer
from rich.console import Console

from shopscope._errors import ShopscopeError

_Port = Annotated[int, typer.Option("--port", help="Port for telemetry (OTLP over HTTP) and questions.")]
_PagePort = Annotated[int, typer.Option("--page-port", help="Port of the answers page.")]

_NOT_RUNNING = 3


def up(port: _Port = 4318, page_port: _PagePort = 8600) -> None:
    """Start the engine in the background; returns when it takes telemetry. Doing it again changes nothing."""
    from shopscope_ops.engines._background import start_engine  # noqa: PLC0415 - keeps the command line's start fast
    from shopscope_ops.engines._embedded import EngineAddress  # noqa: PLC0415 - same
    from shopscope_ops.engines._state import state_folder  # noqa: PLC0415 - same

    address = EngineAddress(port, page_port)
    try:
        with Console(stderr=True).status("starting the engine"):
            sentence = start_engine(state_folder() / "engine", address)
    except ShopscopeError as error:
        raise _failure(error) from error
    console = Console(highlight=False)
    console.print(f"{sentence}\n  send telemetry to  {address.endpoint}\n  read the answers   {address.page}")


def down() -> None:
    """Stop the engine that was started with up. Doing it again changes nothing."""
    from shopscope_ops.engines._background import stop_engine  # noqa: PLC0415 - keeps the command line's start fast
    from shopscope_ops.engines._state import state_folder  # noqa: PLC0415 - same

    try:
        sentence = stop_engine(state_folder() / "engine")
    except ShopscopeError as error:
        raise _failure(error) from error
    Console(highlight=False).print(sentence)


def status(
    port: _Port = 4318,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print the engine's own document.")] = False,
) -> None:
    """Show what the running engine has received and from whom. Ends with 3 when none is running."""
    import json  # noqa: PLC0415 - keeps the command line's start fast

    from shopscope_ops.engines._embedded import read_json  # noqa: PLC0415 - same
    from shopscope_ops.engines._status import render_status  # noqa: PLC0415 - same

    document = read_json(port, "/api/status")
    if document is None:
        Console(stderr=True).print(
            f"No engine answers on port {port}. Start one with shopscope up, or see shopscope demo."
        )
        raise typer.Exit(_NOT_RUNNING)
    if as_json:
        typer.echo(json.dumps(document, indent=2))
    else:
        Console().print(render_status(document))


def _failure(error: ShopscopeError) -> typer.Exit:
    Console(stderr=True, soft_wrap=True, highlight=False).print(f"Error: {error}", style="red", markup=False)
    return typer.Exit(1)
