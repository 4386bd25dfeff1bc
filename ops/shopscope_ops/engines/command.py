"""``shopscope up``, ``down``, ``status`` and ``logs``: the engine in the background."""

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Protocol

import typer
from rich.console import Console

from shopscope._errors import ShopscopeError

if TYPE_CHECKING:
    from shopscope_ops.engines._components import ComponentStatus

_NOT_RUNNING = 3


class Engine(StrEnum):
    """What receives the telemetry."""

    EMBEDDED = "embedded"
    NATIVE = "native"
    DOCKER = "docker"


_Engine = Annotated[
    Engine,
    typer.Option(
        "--engine",
        help="embedded: one process. native: the stack from programs of this machine. docker: the stack in containers.",
    ),
]
_EngineInUse = Annotated[
    Engine | None, typer.Option("--engine", help="embedded, native or docker.", show_default="the one that is up")
]
_Port = Annotated[
    int, typer.Option("--port", help="Port for telemetry (OTLP over HTTP) and questions; the embedded engine's.")
]
_PagePort = Annotated[int, typer.Option("--page-port", help="Port of the answers page; the embedded engine's.")]


class _Stack(Protocol):
    """What the engines of many components have in common."""

    def start(self, report: Callable[[str], None]) -> str: ...
    def stop(self) -> str: ...
    def components(self) -> "list[ComponentStatus]": ...
    def show_logs(self, names: Sequence[str], lines: int, *, follow: bool) -> None: ...


def up(
    engine: _Engine = Engine.EMBEDDED,
    port: _Port = 4318,
    page_port: _PagePort = 8600,
    without: Annotated[
        list[str] | None, typer.Option(help="A component to leave out; may be given again. The native engine's.")
    ] = None,
) -> None:
    """Start an engine in the background; returns when it takes telemetry. Doing it again changes nothing."""
    try:
        _require_native(engine, without or [])
        if engine is Engine.EMBEDDED:
            _up_embedded(port, page_port)
        else:
            _up_stack(engine, without or [])
        _note(engine.value)
    except ShopscopeError as error:
        raise _failure(error) from error


def down(engine: _EngineInUse = None) -> None:
    """Stop the engine that was started with up; its data stay. Doing it again changes nothing."""
    try:
        chosen = engine or in_use()
        sentence = _down_embedded() if chosen is Engine.EMBEDDED else _stack(chosen).stop()
        if chosen is in_use():
            _note("")
    except ShopscopeError as error:
        raise _failure(error) from error
    Console(highlight=False, soft_wrap=True).print(sentence, markup=False)


def status(
    engine: _EngineInUse = None,
    port: _Port = 4318,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Show what the running engine has received, or how each component of a stack is. Ends with 3 when none runs."""
    try:
        chosen = engine or in_use()
        if chosen is Engine.EMBEDDED:
            _status_embedded(port, as_json=as_json)
        else:
            _status_stack(chosen, as_json=as_json)
    except ShopscopeError as error:
        raise _failure(error) from error


def logs(
    components: Annotated[list[str] | None, typer.Argument(help="Components such as collector; all when none.")] = None,
    engine: _EngineInUse = None,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="How many of each, from the end.")] = 100,
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C.")] = False,
) -> None:
    """Print what the engine, or each component of a stack, has logged."""
    try:
        chosen = engine or in_use()
        if chosen is Engine.EMBEDDED:
            _logs_embedded(components or [], lines, follow=follow)
        else:
            _stack(chosen).show_logs(components or [], lines, follow=follow)
    except ShopscopeError as error:
        raise _failure(error) from error


def in_use() -> Engine:
    """The engine that ``shopscope up`` started last; the embedded one when none is up."""
    from shopscope_ops.engines._in_use import engine_in_use  # noqa: PLC0415 - keeps the command line's start fast

    name = engine_in_use()
    return Engine(name) if name in list(Engine) else Engine.EMBEDDED


def _note(name: str) -> None:
    from shopscope_ops.engines._in_use import note_engine  # noqa: PLC0415 - keeps the command line's start fast

    note_engine(name)


def _stack(engine: Engine) -> _Stack:
    # Imported when asked for: the command line starts fast, and who has no Docker needs nothing of it.
    if engine is Engine.DOCKER:
        from shopscope_ops.engines import docker  # noqa: PLC0415 - see above

        return docker
    from shopscope_ops.engines import native  # noqa: PLC0415 - see above

    return native


def _start(engine: Engine, without: Sequence[str], report: Callable[[str], None]) -> str:
    if engine is Engine.NATIVE:
        from shopscope_ops.engines import native  # noqa: PLC0415 - keeps the command line's start fast

        return native.start(report, without)
    return _stack(engine).start(report)


def _require_native(engine: Engine, without: Sequence[str]) -> None:
    if without and engine is not Engine.NATIVE:
        from shopscope_ops.engines._processes import ProcessError  # noqa: PLC0415 - keeps the command line's start fast

        instead = "in containers, name what is to run: docker compose up -d collector answers"
        raise ProcessError(f"--without belongs to --engine native, not {engine.value}; {instead}")


def _up_stack(engine: Engine, without: Sequence[str]) -> None:
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    with console.status("starting the stack"):
        sentence = _start(engine, without, lambda doing: console.print(f"  {doing}", markup=False))
    out = Console(highlight=False, soft_wrap=True)
    out.print(sentence, markup=False)
    addresses = {one.name: one.address for one in _stack(engine).components() if one.address}
    shown = {
        "send telemetry to": "collector",
        "read the answers": "answers",
        "boards": "grafana",
        "metrics": "prometheus",
    }
    for label, name in shown.items():
        if name in addresses:
            out.print(f"  {label:<18} {addresses[name]}")


def _status_stack(engine: Engine, *, as_json: bool) -> None:
    import json  # noqa: PLC0415 - keeps the command line's start fast
    from dataclasses import asdict  # noqa: PLC0415 - same

    from shopscope_ops.engines._components import render_components  # noqa: PLC0415 - same

    statuses = _stack(engine).components()
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in statuses], indent=2))
    elif any(one.state in {"healthy", "starting"} for one in statuses):
        Console().print(render_components(statuses))
    else:
        command = f"shopscope up --engine {engine.value}"
        Console(stderr=True).print(f"No stack of engine {engine.value} runs. Start one with {command}.")
    if not any(one.state in {"healthy", "starting"} for one in statuses):
        raise typer.Exit(_NOT_RUNNING)


def _up_embedded(port: int, page_port: int) -> None:
    from shopscope_ops.engines._background import start_engine  # noqa: PLC0415 - keeps the command line's start fast
    from shopscope_ops.engines._embedded import EngineAddress  # noqa: PLC0415 - same
    from shopscope_ops.engines._state import state_folder  # noqa: PLC0415 - same

    address = EngineAddress(port, page_port)
    with Console(stderr=True).status("starting the engine"):
        sentence = start_engine(state_folder() / "engine", address)
    console = Console(highlight=False)
    console.print(f"{sentence}\n  send telemetry to  {address.endpoint}\n  read the answers   {address.page}")


def _down_embedded() -> str:
    from shopscope_ops.engines._background import stop_engine  # noqa: PLC0415 - keeps the command line's start fast
    from shopscope_ops.engines._state import state_folder  # noqa: PLC0415 - same

    return stop_engine(state_folder() / "engine")


def _status_embedded(port: int, *, as_json: bool) -> None:
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


def _logs_embedded(components: Sequence[str], lines: int, *, follow: bool) -> None:
    from shopscope_ops.engines._logs import print_logs  # noqa: PLC0415 - keeps the command line's start fast
    from shopscope_ops.engines._processes import ProcessError  # noqa: PLC0415 - same
    from shopscope_ops.engines._state import state_folder  # noqa: PLC0415 - same

    if components:
        raise ProcessError(
            f"the embedded engine has no components: {', '.join(components)}; use --engine native or docker"
        )
    log = state_folder() / "engine" / "logs" / "engine.log"
    if not log.exists():
        raise ProcessError("there is no log of an engine that shopscope up started; start one first")
    print_logs({"engine": log}, lines, follow=follow)


def _failure(error: ShopscopeError) -> typer.Exit:
    Console(stderr=True, soft_wrap=True, highlight=False).print(f"Error: {error}", style="red", markup=False)
    return typer.Exit(1)
