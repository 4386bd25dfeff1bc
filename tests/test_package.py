"""The wheel: what a service gets when it installs shopscope, and that what it gets is enough."""

import email.parser
import os
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
# Each is imported by the SDK itself; whatever else a service needs is its own to install.
RUNTIME = {"opentelemetry-api", "orjson", "prometheus-client", "structlog"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir"]
    subprocess.run([*command, str(folder), str(ROOT)], check=True)
    (built,) = folder.glob("shopscope-*.whl")
    return built


def test_only_the_sdk_needs_are_required(wheel):
    """A plain install brings the SDK's four libraries; engine, page and shop are extras."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        headers = email.parser.Parser().parsestr(archive.read(name).decode())
    required = [line for line in headers.get_all("Requires-Dist", []) if "extra ==" not in line]
    assert RUNTIME == {line.split(">")[0].strip() for line in required}
    assert {"ops", "demo", "fastapi", "httpx", "sqlalchemy", "redis", "grpc"} == set(
        headers.get_all("Provides-Extra", [])
    )
    assert "Apache-2.0" == headers["License-Expression"]


def test_wheel_is_typed_and_carries_the_demo(wheel):
    """Type checkers find py.typed; `shopscope demo` finds its shop without a clone."""
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    wanted = {
        "shopscope/__init__.py",
        "shopscope/py.typed",
        "shopscope_ops/py.typed",
        "shopscope_ops/bundle/shop/storefront.py",
        "shopscope_ops/bundle/shopscope.toml",
    }
    assert set() == wanted - names


def test_service_runs_on_the_required_libraries_alone(wheel, tmp_path):
    """With nothing else on the path, a script is traced and its telemetry refused politely."""
    site = tmp_path / "site"
    for distribution in required_closure(RUNTIME):
        link_distribution(metadata.distribution(distribution), site)
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    script = (
        "import shopscope\n"
        "scope = shopscope.init('mailer', endpoint='http://127.0.0.1:9')\n"
        "@shopscope.journey('send')\n"
        "def send(): return 42\n"
        "print(send(), shopscope.__file__)\n"
        "scope.shutdown(0.1)\n"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-W", "error", "-c", script],
        env={"PYTHONPATH": str(site), "PATH": os.environ["PATH"]},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "" == done.stderr
    assert f"42 {site / 'shopscope' / '__init__.py'}" in done.stdout


def required_closure(names):
    """Distributions that are needed, and those that they need."""
    found, waiting = set(), list(names)
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        for line in metadata.requires(name) or []:
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting.append(requirement.name)
    return sorted(found)


def link_distribution(distribution, site):
    """Make one installed distribution, and nothing beside it, importable from ``site``."""
    for file in distribution.files or []:
        if file.parts[0] != ".." and "__pycache__" not in file.parts:
            target = site / file
            target.parent.mkdir(parents=True, exist_ok=True)
            if not target.exists():
                target.symlink_to(file.locate())
