"""Texts in the collector's files: YAML around confmap's expansion around OTTL."""

from shopscope._errors import ConfigError


def quoted(text: str) -> str:
    """A YAML scalar that the collector reads as this text: a quote is doubled, and a dollar too, which would expand."""
    return "'" + text.replace("'", "''").replace("$", "$$") + "'"


def in_ottl(text: str) -> str:
    """A string of OTTL."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def between(text: str, begin: str, end: str, lines: str, name: str) -> str:
    """The text with other lines between the line that is ``begin`` and the one that is ``end``.

    Raises:
        ConfigError: a mark is missing.
    """
    head, mark, rest = text.partition(f"{begin}\n")
    _, last, tail = rest.partition(f"{end}\n")
    if not mark or not last:
        raise ConfigError([f"{name} must have the lines {begin.strip()!r} and {end.strip()!r}; put them back"])
    return f"{head}{mark}{lines}{last}{tail}"
