"""The schema and the decoder stand alone."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize("module", ["shopscope_ops.store.schema", "shopscope_ops.store.otlp"])
def test_import_does_not_load_the_database(module):
    """Sources that read files import the schema and the decoder without paying for DuckDB."""
    code = f"import sys, {module}; print('duckdb' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_public_names_are_importable():
    """Every name of the lazy package exists, and the list is sorted."""
    from shopscope_ops import store  # noqa: PLC0415  # the import is what is tested

    assert store.__all__ == sorted(store.__all__)
    assert [getattr(store, name).__name__ for name in store.__all__] == store.__all__


def test_unknown_name_is_an_attribute_error():
    """The lazy package does not hide typing errors."""
    from shopscope_ops import store  # noqa: PLC0415  # as above

    with pytest.raises(AttributeError, match="no attribute 'Shelf'"):
        _ = store.Shelf
