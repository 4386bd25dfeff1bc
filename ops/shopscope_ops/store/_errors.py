"""What can go wrong with the store, each with the remedy in its text."""

from shopscope._errors import ShopscopeError

__all__ = ["QueueFullError", "StoreError", "StoreLockedError", "StoreUnavailableError"]


class StoreError(ShopscopeError):
    """The store cannot be opened, or a question to it failed."""


class StoreLockedError(StoreError):
    """Another process holds the data folder."""


class StoreUnavailableError(StoreError):
    """Rows were not stored, for a reason that may pass: the disk is full, or the store is closing.

    Attributes:
        retry_after_seconds: when the sender may try again.
    """

    def __init__(self, message: str, retry_after_seconds: int) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class QueueFullError(StoreUnavailableError):
    """More rows wait than the queue may hold; the sender is faster than the disk."""
