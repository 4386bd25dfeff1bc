"""What docker-compose.yml means to the real Docker Compose, which needs no daemon to say so."""

import json
import os
import re
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from shopscope_ops.engines.docker._compose import Compose
from shopscope_ops.engines.native import read_components
from shopscope_ops.engines.native._find import cache_folder

ROOT = Path(__file__).parents[2]
MODULE = Path(__file__).with_name("compose")
VERSION = re.search(r"docker/compose/v2 v(\S+)", (MODULE / "go.mod").read_text(encoding="utf-8"))[1]
PACKAGE = "github.com/docker/compose/v2/cmd"
STACK = {*read_components(), "collector-data", "collector-probe", "grafana-password"}
SHOP = {"bank", "checkout", "inventory", "load", "payment", "postgresql", "redis", "search", "seed", "storefront"}


def build(target):
    """Some two minutes, once."""
    target.parent.mkdir(parents=True, exist_ok=True)
    new = target.with_suffix(f".{os.getpid()}")
    environment = os.environ | {"GOWORK": "off", "GOFLAGS": "", "CGO_ENABLED": "0"}
    linker = f"-s -w -X github.com/docker/compose/v2/internal.Version={VERSION}"
    command = ["go", "build", "-mod=readonly", "-trimpath", "-ldflags", linker, "-o", str(new), PACKAGE]
    subprocess.run(command, cwd=MODULE, env=environment, check=True)
    new.replace(target)


@pytest.fixture(scope="session")
def program():
    """Compose as a program of its own: from PATH, from the cache, in CI built; else the tests are skipped."""
    if found := shutil.which("docker-compose"):
        return found
    cached = cache_folder() / f"compose-{VERSION}" / "docker-compose"
    if not cached.exists():
        if os.environ.get("CI") != "true" or not shutil.which("go"):
            pytest.skip(f"docker-compose is neither on PATH nor {cached}; CI=true builds it, with Go")
        build(cached)
    return str(cached)


@pytest.fixture
def config(program):
    """The project as Compose has understood it, with variables and options of its own."""

    def read(*options, **variables):
        environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"} | variables
        command = [program, "--project-directory", str(ROOT), *options, "config", "--format", "json"]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        assert ("", 0) == (done.stderr, done.returncode)
        return json.loads(done.stdout)

    return read


# Where there is no cached program yet, the first of these builds it.
pytestmark = pytest.mark.timeout(900)


def test_the_file_is_valid_without_anything_prepared(config):
    """No warning, no variable that has to be set; the shop is there when its profile is asked for."""
    assert STACK == set(config()["services"])
    assert STACK | SHOP == set(config("--profile", "shop")["services"])


def test_the_documented_defaults_are_the_defaults(config, tmp_path):
    """.env.example with every line taken in changes nothing."""
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    lines = re.findall(r"^#(\w+=.+)$", example, re.MULTILINE)
    (tmp_path / "env").write_text("\n".join(lines), encoding="utf-8")
    plain = config("--profile", "shop")
    assert plain == config("--profile", "shop", "--env-file", str(tmp_path / "env"))


def test_a_port_is_moved_by_its_variable(config):
    """On the loopback interface still."""
    (port,) = config(STACK_GRAFANA_HTTP_PORT="13000")["services"]["grafana"]["ports"]
    assert ("127.0.0.1", "13000", 3000) == (port["host_ip"], port["published"], port["target"])


def test_what_is_mounted_is_there(config):
    """Docker would make an empty folder of what is not, and the component would start with that."""
    services = config("--profile", "shop")["services"]
    binds = [v["source"] for s in services.values() for v in s.get("volumes", ()) if v["type"] == "bind"]
    assert [] == [source for source in binds if not Path(source).exists()]
    assert len(binds) > len(read_components()) - 1


def test_variables_of_the_collector_are_handed_on_only_when_set(config):
    """An empty one would be taken for a value."""
    assert config()["services"]["collector"]["environment"]["SHOPSCOPE_COLLECTOR_TOKEN"] is None
    told = config(SHOPSCOPE_COLLECTOR_TOKEN="t")["services"]["collector"]["environment"]  # noqa: S106  # of a test
    assert "t" == told["SHOPSCOPE_COLLECTOR_TOKEN"]


def test_the_engine_reads_the_same_project(program, tmp_path, monkeypatch):
    """Through the same calls as with a daemon, Compose standing in for the program docker."""
    shim = tmp_path / "docker"
    shim.write_text(f'#!/bin/sh\nshift\nexec {program} "$@"\n', encoding="utf-8")
    shim.chmod(shim.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    environment = dict(os.environ) | {"SHOPSCOPE_BUILD": "/context", "SHOPSCOPE_CONFIG": "/mine.toml"}
    services = json.loads(Compose(ROOT, environment).read("config", "--format", "json"))["services"]
    assert "/context" == services["answers"]["build"]["context"]
    assert "/mine.toml" in [volume["source"] for volume in services["answers"]["volumes"]]


def test_the_password_is_made_once_and_kept_from_others(config, tmp_path):
    """The very command of the container, run twice by a shell in another folder."""
    (command,) = config()["services"]["grafana-password"]["command"]
    script = command.replace("$$", "$").replace("/var/lib/grafana", str(tmp_path))
    subprocess.run(["/bin/sh", "-ec", script], check=True)
    path = tmp_path / "admin-password"
    first = path.read_text(encoding="ascii")
    subprocess.run(["/bin/sh", "-ec", script], check=True)
    assert first == path.read_text(encoding="ascii")
    assert (25, 0o600) == (len(first), stat.S_IMODE(path.stat().st_mode))
