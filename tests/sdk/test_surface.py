"""The public surface, and what importing it costs."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

SURFACE = Path(__file__).with_name("public_surface.txt")
HEAVY = (
    "fastapi",
    "starlette",
    "httpx",
    "sqlalchemy",
    "redis",
    "duckdb",
    "pyarrow",
    "opentelemetry.sdk",
    "uvicorn",
    "pytest",
    "structlog",
    "rich",
)
# Nor these, by `init` for a service that has no such application, endpoint or terminal.
UNUSED = (
    *HEAVY,
    "grpc",
    "tomllib",
    "encodings.idna",
    "shopscope._clients._foreign",
    "shopscope._export._grpc",
    "shopscope._export._console",
    "shopscope._metrics._exposition",
    "shopscope._serving._wsgi",
    "shopscope._tracing._stock",
)


def public_names():
    return [
        f"{module}.{name}"
        for module in ("shopscope", "shopscope.config", "shopscope.testing")
        for name in sorted(importlib.import_module(module).__all__)
    ]


def test_public_surface_is_the_committed_one():
    """A name that comes or goes is a decision: ``tests/sdk/public_surface.txt`` is changed with it."""
    assert SURFACE.read_text(encoding="utf-8").splitlines() == public_names()


@pytest.mark.parametrize("module", ["shopscope", "shopscope.config", "shopscope.testing"])
def test_everything_public_is_there_and_documented(module):
    """Each name of ``__all__`` exists and has a docstring, and the list is sorted."""
    imported = importlib.import_module(module)
    values = {name: getattr(imported, name) for name in imported.__all__}
    assert sorted(imported.__all__) == list(imported.__all__)
    assert [] == [name for name, value in values.items() if not isinstance(value, str) and not value.__doc__]


def test_nothing_else_of_the_package_looks_public():
    """Modules besides ``config`` and ``testing`` are private by name."""
    import shopscope  # noqa: PLC0415 (what this test is about)

    modules = [path.stem for path in Path(shopscope.__file__).parent.glob("*.py")]
    assert ["__init__", "config", "testing"] == sorted(
        name for name in modules if not name.startswith("_") or name == "__init__"
    )


def test_importing_is_light():
    """``import shopscope`` imports no framework, client or engine."""
    code = f"import sys, shopscope; print([name for name in {HEAVY!r} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert "[]" == result.stdout.strip()


def test_init_is_light(tmp_path):
    """A service that has neither structlog nor a terminal pays for no more than it uses."""
    code = f"""
import os, sys, shopscope
shopscope.init("checkout")
print([name for name in {UNUSED!r} if name in sys.modules])
sys.stdout.flush()
os._exit(0)
"""
    environment = {"PATH": os.environ["PATH"], "OTEL_SDK_DISABLED": "false", "SHOPSCOPE_LOG_FORMAT": "json"}
    result = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert "[]" == result.stdout.splitlines()[0]
