"""How much the store keeps, how much may wait, and how often it writes."""

from dataclasses import dataclass
from typing import Final

from shopscope._errors import ConfigError

__all__ = ["Limits"]

# DuckDB rewrites and frees whole groups of 122,880 rows, 15 to 40 MB of spans each: a smaller limit could not be held.
_MIN_BYTES: Final = 256_000_000
_CHECKPOINT_BYTES: Final = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of a store.

    Attributes:
        max_age_seconds: rows older than this are removed.
        max_bytes: the files on disk stay below this; the oldest rows go first. At least 256 MB.
        queue_bytes: Arrow bytes that may wait for their commit; more is refused.
        flush_seconds: how long the first waiting request waits for others to share its commit.
        flush_rows: so many waiting rows are committed at once.
        memory_bytes: what the database may use for its cache and for questions.
    """

    max_age_seconds: float = 24 * 3600.0
    max_bytes: int = 2_000_000_000
    queue_bytes: int = 64 * 1024 * 1024
    flush_seconds: float = 0.2
    flush_rows: int = 20_000
    memory_bytes: int = 512 * 1024 * 1024

    def __post_init__(self) -> None:
        problems = []
        if not self.max_age_seconds > 0:
            problems.append(f"max age must be positive: {self.max_age_seconds:g} s; give for example 24h")
        if self.max_bytes < _MIN_BYTES:
            problems.append(f"max bytes must be at least {_MIN_BYTES}: {self.max_bytes}; give for example 2GB")
        if problems:
            raise ConfigError(problems)

    @property
    def checkpoint_bytes(self) -> int:
        """When the data have grown by this much, the log is folded into the database file and its size looked at."""
        return min(_CHECKPOINT_BYTES, self.max_bytes // 8)

    @property
    def reclaim_bytes(self) -> int:
        """Old rows are removed when live blocks exceed this.

        The rest of ``max_bytes`` is room for the log and for blocks that a checkpoint writes before it frees others.
        """
        return self.max_bytes * 3 // 5
