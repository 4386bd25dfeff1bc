"""What the image is built from: a checkout as it is, or the wheel that an installation came from."""

import subprocess
import sys
from importlib.metadata import Distribution
from pathlib import Path

import pytest

import shopscope_ops
from shopscope_ops.engines._bundle import bundle_folder
from shopscope_ops.engines.docker import _context
from shopscope_ops.engines.docker._context import build_context

ROOT = Path(__file__).parents[4]
PIP = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]


def install(wheel, site):
    subprocess.run([*PIP, "install", "--no-deps", "--no-index", "--target", str(site), str(wheel)], check=True)


def files(site):
    """Content by name of what a wheel brings; scripts and RECORD are each installation's own."""
    return {
        str(path.relative_to(site)): path.read_bytes()
        for path in site.rglob("*")
        if path.is_file()
        and "__pycache__" not in path.parts
        and path.parent.name != "bin"
        and path.name not in {"RECORD", "direct_url.json"}
    }


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """An installation from a wheel."""
    folder = tmp_path_factory.mktemp("installation")
    command = [*PIP, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(ROOT)]
    subprocess.run(command, check=True)
    (wheel,) = folder.glob("*.whl")
    install(wheel, folder / "site")
    return folder / "site"


def test_a_checkout_is_its_own_context(tmp_path):
    """Its sources are what is built; nothing is copied."""
    assert ROOT == build_context(bundle_folder(), tmp_path)
    assert [] == list(tmp_path.iterdir())


def test_an_installation_has_all_that_the_stack_starts_from(site, monkeypatch):
    """Compose file, collector's and components' configuration, and what the compose file mounts."""
    monkeypatch.setattr(shopscope_ops, "__file__", str(site / "shopscope_ops" / "__init__.py"))
    bundle = bundle_folder()
    assert site / "shopscope_ops" / "bundle" == bundle
    wanted = ["docker-compose.yml", "Dockerfile", ".env.example", "shopscope.toml", "collector/builder.yaml"]
    wanted += ["stack/components.toml", "stack/prometheus/prometheus.yml", "stack/grafana/grafana.ini"]
    assert [] == [name for name in wanted if not (bundle / name).is_file()]


def test_an_installation_is_made_into_the_wheel_it_came_from(site, tmp_path, monkeypatch):
    """The image gets what is installed here, file by file, and what its Dockerfile asks for besides."""
    (metadata,) = site.glob("shopscope-*.dist-info")
    monkeypatch.setattr(_context, "distribution", lambda _: Distribution.at(metadata))
    context = build_context(site / "shopscope_ops" / "bundle", tmp_path / "state")
    assert ["Dockerfile", "requirements", "wheel"] == sorted(path.name for path in context.iterdir())
    (wheel,) = (context / "wheel").iterdir()
    install(wheel, tmp_path / "image")
    assert files(site) == files(tmp_path / "image")
