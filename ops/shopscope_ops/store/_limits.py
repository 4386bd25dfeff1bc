"""How much the store keeps, how much may wait, and how often it writes."""

from dataclasses import dataclass
from typing import Final

from shopscope._errors import ConfigError

__all__ = ["Limits"]

_MIN_BYTES: Final = 16 * 1024 * 1024
_CHECKPOINT_BYTES: Final = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of a store.

    Attributes:
        max_age_seconds: rows older than this are removed.
        max_bytes: the files on disk stay below this; the oldest rows go first. At least 16 MiB.
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
        """The write-ahead log is folded into the database file when it reaches this size."""
        return min(_CHECKPOINT_BYTES, self.max_bytes // 8)

    @property
    def reclaim_bytes(self) -> int:
        """Old rows are removed when live blocks exceed this.

        The rest of ``max_bytes`` is room for the log and for blocks that a checkpoint writes before it frees others.
        """
        return self.max_bytes * 13 // 20
