"""How errors come about: the reference shows the messages that are provoked here, in the order of its page."""

import re
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import shopscope
from shopscope import ConfigError, ShopscopeError
from shopscope._configuration._settings import read_settings
from shopscope._serving._apps import instrument_app
from shopscope.config import Shop, load_shop
from shopscope_dashboards import BoardError, metric
from shopscope_ops.answers import UnknownJourneyError
from shopscope_ops.answers import diagnose as answer
from shopscope_ops.answers.command import _read as read_telemetry
from shopscope_ops.boards import GrafanaError
from shopscope_ops.boards._connect import connect
from shopscope_ops.boards._http import Http
from shopscope_ops.collector import DerivationError
from shopscope_ops.collector._patterns import derived
from shopscope_ops.engines._processes import ProcessError, Program, Supervisor
from shopscope_ops.engines._state import StateError, held_lock
from shopscope_ops.engines.docker import DockerError, require_docker
from shopscope_ops.engines.embedded._options import Options
from shopscope_ops.engines.embedded._server import PortTakenError
from shopscope_ops.engines.embedded._server import run as run_engine
from shopscope_ops.engines.native import ProvideError, read_components
from shopscope_ops.engines.native._download import download
from shopscope_ops.sources import InputError, NoEngineError, SourceError, from_engine, from_file, telemetry
from shopscope_ops.store import Limits, QueueFullError, Store, StoreError, StoreLockedError, StoreUnavailableError
from shopscope_ops.store.otlp import JSON, DecodeError, decode_traces
from shopscope_ops.store.schema import SPANS

_HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Example:
    """One way to an error.

    Attributes:
        error: what is raised, exactly.
        when: what goes before it.
        fix: what to do.
        provoke: raises it, in an empty folder.
    """

    error: type[ShopscopeError]
    when: str
    fix: str
    provoke: Callable[[Path], object]

    def message(self) -> str:
        """What the error says, with names in the place of what differs between machines and runs.

        Raises:
            AssertionError: nothing, or another error, was raised.
        """
        with tempfile.TemporaryDirectory() as name:
            try:
                self.provoke(Path(name))
            except ShopscopeError as error:
                if type(error) is self.error:
                    return _steady(str(error), name)
                raise
        raise AssertionError(f"{self.error.__name__} must be raised when: {self.when}")


def _steady(message: str, folder: str) -> str:
    for pattern, text in (
        (re.escape(folder), "/srv/shop"),
        (r"(127\.0\.0\.1:|--port )\d+", r"\g<1>4318"),
        (r"process \d+ \([^)]*\)", "process 4711 (/usr/bin/python3)"),
        (r"pid \d+", "pid 4711"),
        (r"\[Errno \d+\] ", ""),
    ):
        message = re.sub(pattern, text, message)
    return message


def _wrong_environment(folder: Path) -> object:
    variables = {
        "SHOPSCOPE_CONFIG": str(_shop_file(folder)),
        "OTEL_TRACES_SAMPLER": "sometimes",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "localhost:4318",
        "OTEL_BSP_SCHEDULE_DELAY": "5s",
    }
    return read_settings("checkout", variables)


def _wrong_file(folder: Path) -> object:
    file = folder / "shopscope.toml"
    file.write_text(
        '[journeys.checkout]\nroutes = ["/checkout"]\nobjective = 99.5\nlatency = "fast"\n', encoding="utf-8"
    )
    return load_shop(file)


def _unknown_application(_: Path) -> None:
    instrument_app(len, pipeline=None)  # type: ignore[arg-type] # not reached


def _wrong_guard(_: Path) -> object:
    return shopscope.guard("", kind="fuse")  # type: ignore[arg-type] # what the error is about


def _end_before_begin(_: Path) -> object:
    return read_telemetry("", None, "5m", "2026-11-24T10:00:00Z", "2026-11-24T09:00:00Z")


def _unknown_journey(_: Path) -> object:
    return answer(telemetry("nothing"), Shop(), "chekout")


def _taken_port(folder: Path) -> None:
    with socket.create_server((_HOST, 0)) as server:
        port = server.getsockname()[1]
        run_engine(Options(port=port, page_port=0, data=folder, limits=Limits(), shop_file=_shop_file(folder)))


def _held_folder(folder: Path) -> None:
    with held_lock(folder, "demo"), held_lock(folder, "demo"):
        pass


def _failing_program(folder: Path) -> None:
    with Supervisor(folder) as supervisor:
        program = Program("storefront", (sys.executable, "-c", "exit('no route to the bank')"), lambda: False)
        supervisor.wait_ready(supervisor.start(program))


def _plain_release(folder: Path) -> None:
    download(replace(read_components()["tempo"], release="http://releases.example.com/tempo.tar.gz"), folder)


def _changed_pattern(_: Path) -> object:
    return derived("_JWT", ("(?<!x)", ""))


def _no_docker(folder: Path) -> None:
    require_docker({"PATH": str(folder)})


def _no_address(_: Path) -> object:
    return from_engine("localhost:4318", 0, 1)


def _damaged_file(folder: Path) -> object:
    file = folder / "traces.json"
    file.write_text('{"trace": "8f14e45f"}', encoding="utf-8")
    return from_file(file)


def _no_engine(_: Path) -> object:
    with socket.create_server((_HOST, 0)) as server:
        port = server.getsockname()[1]
    return from_engine(f"http://{_HOST}:{port}", 0, 1)


def _no_grafana(_: Path) -> object:
    with socket.create_server((_HOST, 0)) as server:
        port = server.getsockname()[1]
    with Http(f"http://{_HOST}:{port}", "glsa_token") as http:
        return connect(http)


def _unknown_table(folder: Path) -> object:
    with Store(folder) as store:
        return store.read("spam")


def _folder_of_another(folder: Path) -> object:
    holder = "import sys, shopscope_ops.store as s; s.Store(__import__('pathlib').Path(sys.argv[1])); print(); input()"
    command = [sys.executable, "-c", holder, str(folder)]
    with subprocess.Popen(  # noqa: S603 (our own interpreter and program)
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        try:
            process.stdout.readline()  # type: ignore[union-attr] # it is a pipe
            return Store(folder)
        finally:
            process.kill()


def _closed_store(folder: Path) -> object:
    store = Store(folder)
    store.close()
    return store.submit({"spans": _ONE_SPAN})


def _full_queue(folder: Path) -> object:
    with Store(folder, Limits(queue_bytes=100, flush_seconds=60.0)) as store:
        return [store.submit({"spans": _ONE_SPAN}) for _ in range(2)]


def _damaged_body(_: Path) -> object:
    return decode_traces(b'{"resourceSpans": 5}', JSON)


def _shop_file(folder: Path) -> Path:
    file = folder / "shopscope.toml"
    file.touch()
    return file


_ONE_SPAN = SPANS.empty_table().from_pylist(
    [{name: 1 if SPANS.field(name).type == "int64" else "" for name in SPANS.names}], SPANS
)
_START = "Stop the other one (`shopscope down`), or give this one another"

EXAMPLES: Sequence[Example] = (
    Example(
        ShopscopeError,
        "`shopscope diagnose` was given options that do not fit each other; elsewhere it is there to be caught",
        "Correct the option that is named.",
        _end_before_begin,
    ),
    Example(
        ConfigError,
        "`init` found wrong variables or arguments; it lists every one, and nothing was started",
        "Correct each line: setting, rule, value, what to write. [Every variable](environment.md).",
        _wrong_environment,
    ),
    Example(
        ConfigError,
        "`shopscope.toml` is wrong",
        "Correct each field that is named; `init` and every command read the same file.",
        _wrong_file,
    ),
    Example(
        ConfigError,
        "`init` was given an application of a kind that it does not know",
        "Leave `app` out and wrap the application as [frameworks](../how-to/frameworks.md) says.",
        _unknown_application,
    ),
    Example(
        ConfigError,
        "`guard` was declared with wrong arguments",
        "Pass a stable name and one of the kinds; see [protection](../how-to/protection.md).",
        _wrong_guard,
    ),
    Example(
        UnknownJourneyError,
        "`shopscope diagnose --journey` names a journey that is neither in the file nor in the data",
        "Use one of the names in the message, or name the file that has the journey with `--config`.",
        _unknown_journey,
    ),
    Example(PortTakenError, "the engine's port is in use", f"{_START} port.", _taken_port),
    Example(
        StateError,
        "an engine or demo of the same user is running, or its state folder cannot be written",
        f"{_START} `SHOPSCOPE_HOME`.",
        _held_folder,
    ),
    Example(
        ProcessError,
        "a program of the demo or an engine could not be started, ended by itself, or was not ready in time",
        "Follow the message; where there is a log of the program, its end is part of the message.",
        _failing_program,
    ),
    Example(
        ProvideError,
        "a component of the stack is neither on PATH nor in the cache, and can be neither downloaded nor built",
        "Follow the message, which has the reason of each way; see [without containers](../how-to/native.md).",
        _plain_release,
    ),
    Example(
        DockerError,
        "`--engine docker` finds no Docker, no Compose or no daemon, or what Compose was asked for failed",
        "Follow the message; see [containers](../how-to/docker.md#when-it-does-not-start).",
        _no_docker,
    ),
    Example(
        DerivationError,
        "`shopscope generate` meets a list of secrets that it does not know: the SDK's has changed",
        "Derive the pattern anew in `ops/shopscope_ops/collector/_patterns.py`.",
        _changed_pattern,
    ),
    Example(
        BoardError,
        "a board of one's own names a series that neither the SDK nor a rule makes, or cannot be drawn as it is",
        "Correct what is named; the names are those of [metrics](metrics.md).",
        lambda _: metric("shopscope_slo_event_total"),
    ),
    Example(
        GrafanaError,
        "`shopscope import` cannot reach a Grafana, is refused by it, or finds another program",
        "Follow the message; see [import](../how-to/import.md#when-grafana-refuses).",
        _no_grafana,
    ),
    Example(
        SourceError, "the engine's address is none, or its answer cannot be read", "Correct the address.", _no_address
    ),
    Example(
        InputError,
        "a file given to `shopscope diagnose --file` is damaged, or of no format that is read",
        "Record or export it again; see the formats of [diagnose](diagnose.md).",
        _damaged_file,
    ),
    Example(
        NoEngineError,
        "nothing listens at the address, or something that is no engine",
        "Start the engine (`shopscope up`), or name its address with `--endpoint`.",
        _no_engine,
    ),
    Example(
        StoreError,
        "the data folder cannot be used, or the store was asked for what it does not have",
        "Give a folder that can be written, or ask for one of the tables.",
        _unknown_table,
    ),
    Example(StoreLockedError, "another process has the data folder", f"{_START} `--data`.", _folder_of_another),
    Example(
        StoreUnavailableError,
        "the store is closing, or the disk is full; a sender gets status 503 with `Retry-After`",
        "Exporters send again by themselves; make room if the disk is full.",
        _closed_store,
    ),
    Example(
        QueueFullError,
        "more is sent than the disk takes; a sender gets status 429 with `Retry-After`",
        "Exporters send again by themselves; send less, or sample.",
        _full_queue,
    ),
    Example(
        DecodeError,
        "a request to the engine is not what its content type says; a sender gets status 400",
        "Correct the exporter: sending the same again cannot help.",
        _damaged_body,
    ),
)
