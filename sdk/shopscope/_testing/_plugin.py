"""The pytest plugin: the fixture ``shopscope_capture``. What it needs is imported when a test asks for it."""

import contextlib
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from shopscope.testing import Captured


@pytest.fixture
def shopscope_capture() -> "Iterator[Callable[..., Captured]]":
    """A function with the arguments of ``shopscope.testing.capture``; what it starts ends with the test."""
    from shopscope.testing import capture  # noqa: PLC0415 (most tests do not capture; pytest starts sooner)

    with contextlib.ExitStack() as running:

        def start(service_name: str, **options: Any) -> "Captured":
            return running.enter_context(capture(service_name, **options))

        yield start
