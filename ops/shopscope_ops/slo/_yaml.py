"""Rules as YAML that reads well: short texts quoted, long ones in blocks."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

_INDENT = "  "
_LINE = 118


@dataclass(frozen=True, slots=True)
class Rule:
    """A recording rule or an alert.

    Attributes:
        name: of the series or of the alert.
        expr: PromQL; more than one line becomes a block.
        labels: what it adds.
        comment: why; stands before the rule.
        annotations: an alert has some, a recording rule none.
        wait: an alert's ``for``.
    """

    name: str
    expr: str
    labels: Mapping[str, str] = field(default_factory=dict)
    comment: str = ""
    annotations: Mapping[str, str] = field(default_factory=dict)
    wait: str = ""

    def lines(self) -> Iterable[str]:
        """The rule as an item of a list."""
        yield from (f"# {line}" for line in self.comment.splitlines())
        yield f"- {'alert' if self.annotations else 'record'}: {self.name}"
        yield from indented(scalar("expr", self.expr))
        if self.wait:
            yield f"{_INDENT}for: {self.wait}"
        if self.labels:
            yield f"{_INDENT}labels:"
            yield from (f"{_INDENT * 2}{name}: {quoted(text)}" for name, text in self.labels.items())
        if self.annotations:
            yield f"{_INDENT}annotations:"
            for name, text in self.annotations.items():
                yield from indented(indented(scalar(name, text)))


@dataclass(frozen=True, slots=True)
class Group:
    """Rules that are evaluated one after the other.

    Attributes:
        name: unique in the file.
        interval: between evaluations.
        rules: in their order.
        comment: stands before the group.
    """

    name: str
    interval: str
    rules: Sequence[Rule]
    comment: str = ""

    def lines(self) -> Iterable[str]:
        """The group as an item of a list."""
        yield from (f"# {line}" for line in self.comment.splitlines())
        yield f"- name: {self.name}"
        yield f"{_INDENT}interval: {self.interval}"
        yield f"{_INDENT}rules:"
        for rule in self.rules:
            yield from indented(indented(rule.lines()))


def document(head: str, groups: Iterable[Group]) -> str:
    """A file of rules."""
    parts = ["\n".join(indented(group.lines())) for group in groups]
    return f"{head}\ngroups:\n" + "\n\n".join(parts) + "\n"


def indented(lines: Iterable[str]) -> Iterable[str]:
    """Lines one step to the right."""
    return (f"{_INDENT}{line}" if line else "" for line in lines)


def scalar(key: str, text: str) -> list[str]:
    """A key with its text: a block where it has several lines, else one line that every reader takes for a string."""
    if "\n" in text:
        return [f"{key}: |-" if key == "expr" else f"{key}: >-", *indented(text.splitlines())]
    return [f"{key}: {quoted(text)}"]


def quoted(text: str) -> str:
    """The text as a scalar on one line; in quotes wherever it could be read as something else."""
    if not text.isprintable():
        return json.dumps(text)
    plain = text[:1].isalpha() and not {": ", " #"} & {text[i : i + 2] for i in range(len(text))}
    words = {"true", "false", "yes", "no", "on", "off", "null", "y", "n"}
    if plain and not text.endswith((":", " ")) and text.lower() not in words:
        return text
    return "'" + text.replace("'", "''") + "'"
