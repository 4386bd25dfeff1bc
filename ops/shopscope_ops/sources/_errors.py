"""What can go wrong with a source."""

from pathlib import Path

from shopscope._errors import ShopscopeError

__all__ = ["InputError", "NoEngineError", "SourceError", "input_error"]

_SHOWN = 60


class SourceError(ShopscopeError):
    """Telemetry could not be read."""


class InputError(SourceError):
    """A file is not what it should be: file, place, rule, value, fix."""


class NoEngineError(SourceError):
    """No engine answers at the address."""


def input_error(path: Path, where: str, rule: str, value: object, fix: str) -> InputError:
    """The one form in which a faulty file is reported; long values are cut."""
    shown = repr(value)
    shown = shown if len(shown) <= _SHOWN else shown[: _SHOWN - 1] + "…"
    place = f"{path}, {where}" if where else str(path)
    return InputError(f"{place} must be {rule}: {shown}; {fix}")
