"""The shop shows the one line that instruments a service: it has to stay one line."""

import ast
from pathlib import Path

import pytest

SHOP = Path(__file__).parents[2] / "examples" / "shop"
INSTRUMENTED = ("storefront", "search", "checkout", "inventory", "payment")
MODULES = sorted(path.stem for path in SHOP.glob("*.py"))
# What no library announces, so that the shop has to say it where it happens.
SAID = {"order_placed", "cache_read", "stale_read", "write_conflict"}


def tree(module: str) -> ast.Module:
    """A module of the shop, parsed."""
    return ast.parse((SHOP / f"{module}.py").read_text(encoding="utf-8"))


def uses(module: str) -> list[str]:
    """Every name that a module takes from the SDK, in the order of its text."""
    found = [node for node in ast.walk(tree(module)) if isinstance(node, ast.Attribute)]
    of_sdk = [node for node in found if isinstance(node.value, ast.Name) and node.value.id == "shopscope"]
    return [node.attr for node in sorted(of_sdk, key=lambda node: (node.lineno, node.col_offset))]


def imports(module: str) -> set[str]:
    """What a module imports, and what those modules of the shop import in turn."""
    found = set()
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
    for name in sorted(found):
        if name.startswith("shop."):
            found |= imports(name.removeprefix("shop."))
    return found


@pytest.mark.parametrize("service", INSTRUMENTED)
def test_a_service_is_instrumented_by_exactly_one_line(service):
    """The line stands at the top level, once, and everything else that is said is what no library knows."""
    lines = [ast.unparse(statement) for statement in tree(service).body]
    assert f"shopscope.init('{service}', app=app)" in lines
    assert ["init"] == [name for name in uses(service) if name not in SAID]


@pytest.mark.parametrize("module", [module for module in MODULES if module not in INSTRUMENTED])
def test_no_other_module_starts_the_sdk(module):
    """Modules that services share say at most what happens in them."""
    assert set() == set(uses(module)) - SAID


def test_the_bank_does_not_know_the_sdk():
    """It is an outside party, and what it shares with the services must not bring the SDK into it."""
    assert [] == [name for name in imports("bank") if name.partition(".")[0] == "shopscope"]


def test_nothing_in_the_shop_uses_opentelemetry():
    """No hand-made spans: the one line has to be enough."""
    assert [] == [path.name for path in SHOP.glob("*.py") if "opentelemetry" in path.read_text(encoding="utf-8")]
