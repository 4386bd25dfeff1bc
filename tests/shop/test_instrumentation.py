"""The shop shows the one line that instruments a service: it has to stay one line."""

import ast
from pathlib import Path

import pytest

SHOP = Path(__file__).parents[2] / "examples" / "shop"
INSTRUMENTED = ("storefront", "search", "checkout", "inventory", "payment")


def mentions(path: Path) -> list[str]:
    """Every statement of a module in which the name ``shopscope`` appears, as source."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [ast.unparse(statement) for statement in tree.body if "shopscope" in ast.dump(statement)]


@pytest.mark.parametrize("service", INSTRUMENTED)
def test_a_service_is_instrumented_by_exactly_one_line(service):
    """Import and ``init``, and nothing else of the SDK, anywhere in the module."""
    assert mentions(SHOP / f"{service}.py") == ["import shopscope", f"shopscope.init('{service}', app=app)"]


@pytest.mark.parametrize("module", sorted(path.stem for path in SHOP.glob("*.py") if path.stem not in INSTRUMENTED))
def test_no_other_module_knows_the_sdk(module):
    """The bank is an outside party, and what the services share must not bring the SDK into it."""
    assert mentions(SHOP / f"{module}.py") == []


def test_nothing_in_the_shop_uses_opentelemetry():
    """No hand-made spans: the one line has to be enough."""
    assert [path.name for path in SHOP.glob("*.py") if "opentelemetry" in path.read_text(encoding="utf-8")] == []
