"""What can go wrong when a component's program is fetched."""

from shopscope._errors import ShopscopeError


class ProvideError(ShopscopeError):
    """A component's program is not there and cannot be had; the message gives the reason of each way."""
