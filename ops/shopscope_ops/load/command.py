"""``shopscope load``."""

import ipaddress
import json
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer
from rich.console import Console

from shopscope._errors import ConfigError, ShopscopeError
from shopscope.config import parse_duration

if TYPE_CHECKING:
    from shopscope_ops.load.report import LoadReport
    from shopscope_ops.load.run import LoadSettings


def load(
    target: Annotated[str, typer.Option(help="Address of the shop's storefront.")] = "http://127.0.0.1:8601",
    rate: Annotated[float, typer.Option(help="Shoppers who arrive per second, on average.")] = 5.0,
    duration: Annotated[str, typer.Option(help="For how long they arrive: 30s, 5m, or 'forever'.")] = "30s",
    seed: Annotated[int, typer.Option(help="The same seed sends the same shoppers.")] = 1,
    think: Annotated[str, typer.Option(help="Mean time between an answer and the next action.")] = "500ms",
    *,
    allow_remote: Annotated[
        bool, typer.Option("--allow-remote", help="Allow a target that is not this machine. Ask its owner first.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Send shoppers to the demo shop: open-loop load, latency counted from the intended start."""
    from shopscope_ops.load.report import LoadReport  # noqa: PLC0415 - keeps the command line's start fast
    from shopscope_ops.load.run import LoadSettings  # noqa: PLC0415 - same

    try:
        check_target(target, allow_remote=allow_remote)
        if not rate > 0:
            raise ConfigError([f"--rate must be above zero: {rate:g}; write for example 5"])
        duration_seconds = None if duration == "forever" else parse_duration(duration)
        settings = LoadSettings(target, rate, duration_seconds, seed, parse_duration(think))
    except ShopscopeError as error:
        Console(stderr=True).print(str(error), style="red", highlight=False, markup=False)
        raise typer.Exit(2) from error
    report = LoadReport()
    _run_with_progress(settings, report)
    if as_json:
        typer.echo(json.dumps(report.to_dict()))
    else:
        from shopscope_ops.load._render import render_report  # noqa: PLC0415 - same

        Console().print(render_report(report))


def check_target(target: str, *, allow_remote: bool) -> None:
    """Refuse a target that is no HTTP address, or not this machine unless that was allowed.

    Raises:
        ConfigError: the target is refused.
    """
    parts = urlsplit(target)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ConfigError([f"--target must be an http:// address: {target!r}; write for example http://127.0.0.1:8601"])
    if not allow_remote and not _is_loopback(parts.hostname):
        raise ConfigError(
            [f"--target must be this machine: {target!r}; add --allow-remote if its owner wants this load"]
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _run_with_progress(settings: "LoadSettings", report: "LoadReport") -> None:
    """A progress bar on a terminal, nothing elsewhere: the report is what a script wants."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415 - same as above

    from shopscope_ops.load.run import run_load  # noqa: PLC0415 - same

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TextColumn("{task.fields[note]}"))
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("shoppers arriving", total=settings.duration_seconds, note="")

        def watch(so_far: "LoadReport") -> None:
            errors = sum(so_far.errors.values())
            note = f"{so_far.visits} shoppers, {so_far.requests} requests, {errors} errors"
            progress.update(task, completed=so_far.seconds, note=note)

        run_load(settings, report, watch)
