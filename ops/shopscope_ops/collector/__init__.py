"""The collector's generated parts: redaction from the SDK's list of secrets, tail sampling from ``shopscope.toml``."""

from shopscope_ops.collector._files import generated, write
from shopscope_ops.collector._patterns import DerivationError

__all__ = ["DerivationError", "generated", "write"]
