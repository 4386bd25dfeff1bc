"""The generated reference of errors: complete, and each message is what the code says."""

import ast
import re
import sys
import tempfile
from pathlib import Path

import pytest

from shopscope import ShopscopeError
from shopscope_ops.reference import pages
from shopscope_ops.reference._provoked import EXAMPLES

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/reference/errors.md"


def errors_of_the_code():
    """Names of all classes that are defined below ``ShopscopeError``, without importing what defines them."""
    bases = {
        node.name: {base.id for base in node.bases if isinstance(base, ast.Name)}
        for folder in ("sdk", "dashboards", "ops")
        for path in (ROOT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
    }
    found = {"ShopscopeError"}
    while more := {name for name, above in bases.items() if above & found} - found:
        found |= more
    return found


def test_page_is_current():
    """``make generate`` would change nothing; the messages have been provoked anew."""
    assert pages()["errors.md"] == PAGE.read_text(encoding="utf-8")


def test_every_error_is_there():
    """Whatever module defines one."""
    assert errors_of_the_code() == {example.error.__name__ for example in EXAMPLES}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.when[:40])
def test_messages_name_value_and_fix(example):
    """Nothing of this machine or run is in a message, and the second time it is the same."""
    message = example.message()
    assert message == example.message()
    assert None is re.search(rf"{tempfile.gettempdir()}|{Path.cwd()}|{sys.prefix}|0x[0-9a-f]{{6}}", message)
    assert example.fix.endswith(".")


def test_an_example_that_raises_nothing():
    """The page cannot be made from what does not happen."""
    example = EXAMPLES[0].__class__(ShopscopeError, "all is well", "None.", lambda _: None)
    with pytest.raises(AssertionError, match="ShopscopeError must be raised when: all is well"):
        example.message()
