"""``shopscope alerts``: what Alertmanager has sent to the running engine."""

from typing import Annotated

import typer
from rich.console import Console

_NOT_RUNNING = 3
_FIRING = 1
# Beside a collector the engine listens on the first one; alone it listens where a collector would, on the second.
_PORTS = (4319, 4318)


def alerts(
    port: Annotated[int | None, typer.Option("--port", help="Port of the engine (default: 4319, else 4318).")] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print the engine's own document.")] = False,
) -> None:
    """Show the alerts of the last day. Ends with 1 when one fires, with 3 when no engine runs."""
    import json  # noqa: PLC0415 - keeps the command line's start fast

    from shopscope_ops.engines._alerts import HEARTBEAT, render_alerts  # noqa: PLC0415 - same
    from shopscope_ops.engines._embedded import read_json  # noqa: PLC0415 - same

    ports = _PORTS if port is None else (port,)
    answers = (read_json(candidate, "/api/alerts") for candidate in ports)
    document = next((answer for answer in answers if answer is not None), None)
    if document is None:
        asked = " or ".join(map(str, ports))
        Console(stderr=True).print(f"No engine answers on port {asked}. Start one with shopscope up.")
        raise typer.Exit(_NOT_RUNNING)
    if as_json:
        typer.echo(json.dumps(document, indent=2))
    else:
        Console().print(render_alerts(document["alerts"]))
    if any(
        alert["status"] == "firing" and alert["labels"].get("alertname") != HEARTBEAT for alert in document["alerts"]
    ):
        raise typer.Exit(_FIRING)
