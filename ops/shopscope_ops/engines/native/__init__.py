"""The stack from the components' own binaries, with the very files that the containers get."""

from shopscope_ops.engines.native._manifest import Component, read_components

__all__ = ["Component", "read_components"]
