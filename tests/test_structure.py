"""How the repository is built: imports one way, short modules, documented tests, one line in each service."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = {
    "shopscope": ROOT / "sdk/shopscope",
    "shopscope_dashboards": ROOT / "dashboards/shopscope_dashboards",
    "shopscope_ops": ROOT / "ops/shopscope_ops",
    "shop": ROOT / "examples/shop",
}
# Imports flow one way: what each package may import of ours, besides itself.
ALLOWED = {
    "shopscope": set(),
    "shopscope_dashboards": {"shopscope"},
    "shopscope_ops": {"shopscope", "shopscope_dashboards"},
    "shop": {"shopscope"},
}
PUBLIC = {"shopscope", "shopscope.config"}
SERVICES = ("storefront", "search", "checkout", "inventory", "payment")
MODULES = sorted(path for folder in PACKAGES.values() for path in folder.rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("test_*.py"))
MAX_LINES = 400


def names_of(paths):
    return [str(path.relative_to(ROOT)) for path in paths]


def imports_of(path):
    """Every module that a file imports, wherever in the file."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module if not node.level else ".relative"


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_flow_one_way(package):
    """The SDK imports nothing else of ours, the boards the SDK, the operations both, the example shop the SDK alone."""
    forbidden = PACKAGES.keys() - ALLOWED[package] - {package}
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in PACKAGES[package].rglob("*.py")
        for name in imports_of(path)
        if name.partition(".")[0] in forbidden or name == ".relative"
    ]
    assert [] == wrong


def test_the_shop_uses_the_public_surface_alone():
    """An example that needs a private module would teach the wrong thing."""
    used = {
        name
        for path in PACKAGES["shop"].rglob("*.py")
        for name in imports_of(path)
        if name.partition(".")[0] == "shopscope"
    }
    assert used <= PUBLIC


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_is_instrumented_by_one_line(service):
    """``shopscope.init(<its name>, app=app)``, and neither OpenTelemetry nor Prometheus beside it."""
    path = PACKAGES["shop"] / f"{service}.py"
    calls = [
        ast.unparse(node)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "shopscope.init"
    ]
    assert [f"shopscope.init('{service}', app=app)"] == calls
    others = {name.partition(".")[0] for name in imports_of(path)} & {"opentelemetry", "prometheus_client", "structlog"}
    assert set() == others


def test_the_bank_is_not_instrumented():
    """The outside party of the demo knows nothing of us."""
    assert "shopscope" not in set(imports_of(PACKAGES["shop"] / "bank.py"))


@pytest.mark.parametrize("path", [*MODULES, *TESTS], ids=names_of([*MODULES, *TESTS]))
def test_modules_are_short(path):
    """A module of more than 400 lines has more than one reason to change."""
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_LINES


@pytest.mark.parametrize("path", TESTS, ids=names_of(TESTS))
def test_every_test_says_what_it_shows(path):
    """Each test has a docstring, and so has its file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    silent = [
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
        and not ast.get_docstring(node)
    ]
    assert ([], True) == (silent, bool(ast.get_docstring(tree)))


def test_nothing_names_the_place_it_was_made():
    """No committed text has an absolute path of the machine that it was written on."""
    suffixes = {".py", ".md", ".toml", ".txt", ".yaml", ".yml", ".json"}
    homes = ("/root/", "/home/", "/Users/")
    folders = ("sdk", "ops", "examples", "bench", "docs")
    found = [
        str(path.relative_to(ROOT))
        for folder in folders
        for path in (ROOT / folder).rglob("*")
        if path.suffix in suffixes and any(home in path.read_text(encoding="utf-8") for home in homes)
    ]
    assert [] == found
