"""Data sources: always variables, so that a board works in any Grafana."""

from typing import Any, Final

Json = dict[str, Any]

#: Name of the variable → type of the data source.
SOURCES: Final = {"prometheus": "prometheus", "tempo": "tempo", "loki": "loki"}


def source(name: str) -> Json:
    """Reference to the data source that the variable ``name`` holds."""
    return {"type": SOURCES[name], "uid": f"${{{name}}}"}
