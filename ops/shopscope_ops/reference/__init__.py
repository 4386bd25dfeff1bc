"""Reference pages that are generated from the code; ``python -m shopscope_ops.reference`` writes them."""

from shopscope_ops.reference._pages import pages, write

__all__ = ["pages", "write"]
