"""The stack from the components' own binaries, with the very files that the containers get."""

from shopscope_ops.engines.native._background import components, show_logs, start, stop
from shopscope_ops.engines.native._errors import ProvideError
from shopscope_ops.engines.native._find import find_binary
from shopscope_ops.engines.native._manifest import Component, read_components
from shopscope_ops.engines.native._provide import provide
from shopscope_ops.engines.native._stack import NativeStack

__all__ = [
    "Component",
    "NativeStack",
    "ProvideError",
    "components",
    "find_binary",
    "provide",
    "read_components",
    "show_logs",
    "start",
    "stop",
]
