"""The embedded engine: one process that receives OTLP/HTTP, keeps it in the store, and serves the answers page.

``python -m shopscope_ops.engines.embedded`` starts it; ``shopscope up`` does that and watches over it.
"""

from shopscope_ops.engines.embedded._options import Options, parse_bytes

__all__ = ["Options", "parse_bytes"]
