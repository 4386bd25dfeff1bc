"""The collector's generated parts: redaction from the SDK's list of secrets, tail sampling from ``shopscope.toml``."""

from shopscope_ops.collector._files import AGENT, SAMPLE, generated
from shopscope_ops.collector._patterns import DerivationError

__all__ = ["AGENT", "SAMPLE", "DerivationError", "generated"]
