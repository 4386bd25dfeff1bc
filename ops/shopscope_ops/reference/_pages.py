"""Which pages there are, and how they get to disk."""

from collections.abc import Mapping
from pathlib import Path

from shopscope_ops.reference._attributes import render_attributes
from shopscope_ops.reference._environment import render_environment
from shopscope_ops.reference._errors import render_errors
from shopscope_ops.reference._metrics import render_metrics
from shopscope_ops.reference._panels import render_panels


def pages() -> Mapping[str, str]:
    """File name and content of each generated page."""
    return {
        "attributes.md": render_attributes(),
        "environment.md": render_environment(),
        "errors.md": render_errors(),
        "metrics.md": render_metrics(),
        "panels.md": render_panels(),
    }


def write(folder: Path) -> None:
    """Write every page.

    Args:
        folder: ``docs/reference`` of a clone.
    """
    for name, content in pages().items():
        (folder / name).write_text(content, encoding="utf-8")
