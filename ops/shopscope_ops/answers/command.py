"""``shopscope diagnose``: the answers, in the terminal or as JSON."""

import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.console import Console

from shopscope._errors import ShopscopeError
from shopscope.config import Shop, find_shop_file, load_shop, parse_duration

if TYPE_CHECKING:
    from shopscope_ops.sources import Telemetry

__all__ = ["diagnose"]

_WRONG_INPUT: Final = 2
_NO_DATA: Final = 3
# Beside a collector the engine listens on the first one; alone it listens where a collector would, on the second.
_PORTS: Final = (4319, 4318)


def diagnose(
    *,
    endpoint: Annotated[
        str, typer.Option(help="Address of the running engine; by default http://127.0.0.1:4319, else 4318.")
    ] = "",
    file: Annotated[
        Path | None,
        typer.Option(help="Read OTLP JSON lines, Jaeger JSON, Parquet or an incident's folder instead of the engine."),
    ] = None,
    window: Annotated[str, typer.Option(help="How far to look back, such as 90s, 5m or 1h.")] = "5m",
    since: Annotated[str, typer.Option(help="Begin, ISO 8601, instead of --window.")] = "",
    until: Annotated[str, typer.Option(help="End, ISO 8601; now by default.")] = "",
    journey: Annotated[str, typer.Option(help="Answer for this journey alone.")] = "",
    config: Annotated[
        Path | None, typer.Option(help="shopscope.toml; by default the nearest one here or above.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document; docs/reference/diagnose.md describes it.")
    ] = False,
) -> None:
    """Say how slow every journey is now, and what it waits for.

    Ends with 0 when it answered, 2 when an option or the input is wrong, 3 when no engine answers or there is no data.
    """
    from shopscope_ops.answers import diagnose as answer  # noqa: PLC0415 - keeps the command line's start fast
    from shopscope_ops.sources import NoEngineError  # noqa: PLC0415 - same

    complain = Console(stderr=True, soft_wrap=True, highlight=False)
    try:
        shop = _shop(config)
        telemetry = _read(endpoint, file, window, since, until)
        if telemetry.is_empty:
            complain.print(f"No telemetry in {telemetry.origin}{_hint(file, window)}", markup=False)
            raise typer.Exit(_NO_DATA)
        diagnosis = answer(telemetry, shop, journey or None)
    except NoEngineError as error:
        complain.print(f"Error: {error}", markup=False)
        raise typer.Exit(_NO_DATA) from error
    except ShopscopeError as error:
        complain.print(f"Error: {error}", markup=False)
        raise typer.Exit(_WRONG_INPUT) from error
    if as_json:
        import orjson  # noqa: PLC0415 - keeps the command line's start fast

        typer.echo(orjson.dumps(diagnosis.to_dict(), option=orjson.OPT_INDENT_2))
        return
    from shopscope_ops.answers.render import render  # noqa: PLC0415 - keeps the command line's start fast

    Console().print(render(diagnosis))


def _shop(config: Path | None) -> Shop:
    path = config or find_shop_file()
    return load_shop(path) if path else Shop()


def _hint(file: Path | None, window: str) -> str:
    if file is not None:
        return ": the file holds neither spans nor metric points."
    return f" in the last {window}: send some requests, or look back further with --window."


def _read(endpoint: str, file: Path | None, window: str, since: str, until: str) -> "Telemetry":
    from shopscope_ops.sources import from_engine, from_file  # noqa: PLC0415 - keeps the command line's start fast

    if file is not None:
        if since or until:
            raise ShopscopeError(
                f"--since and --until must not stand beside --file: {since or until!r}; leave them out"
            )
        return from_file(file)
    end = _nanos("--until", until) if until else time.time_ns()
    begin = _nanos("--since", since) if since else end - round(parse_duration(window) * 1e9)
    if begin >= end:
        raise ShopscopeError(f"--since must be before --until: {since or window!r}; move it back")
    return from_engine(endpoint or _running_engine(), begin, end)


def _running_engine() -> str:
    """The address of the first engine that answers; the last one's when none does."""
    from shopscope_ops.engines._embedded import read_json  # noqa: PLC0415 - keeps the command line's start fast

    found = next((port for port in _PORTS if "engine" in (read_json(port, "/healthz") or {})), _PORTS[-1])
    return f"http://127.0.0.1:{found}"


def _nanos(option: str, text: str) -> int:
    try:
        return round(datetime.fromisoformat(text).astimezone().timestamp() * 1e6) * 1000
    except (ValueError, OverflowError) as error:
        raise ShopscopeError(
            f"{option} must be a time in ISO 8601: {text!r}; write for example 2026-11-24T10:00:00+01:00"
        ) from error
