"""Reads environment variables by the specification's types, and collects every fault.

Source: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/#configuration-types
"""

import re
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from shopscope._errors import ConfigError
from shopscope.config import parse_duration

#: What a timeout of 0 means, "indefinite", for sockets and locks that want a number.
FOREVER_SECONDS = 86_400.0
_HEADER_NAME = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"
_HEADER_VALUE = r"[\t\x20-\x7e]*"
_BOOLEANS = ("true", "false")


class Environment:
    """Variables, the faults found in them, and the names that were asked for.

    An empty variable counts as unset, as the specification says.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = environ
        self.problems: list[str] = []
        #: Every name that was looked up: the reference is checked against it.
        self.names: set[str] = set()

    def fault(self, where: str, rule: str, value: object, fix: str) -> None:
        """Note a wrong value: setting, rule, value, fix."""
        problem = f"{where} must be {rule}: {value!r}; {fix}"
        if problem not in self.problems:
            self.problems.append(problem)

    def text(self, name: str) -> str:
        """The variable without surrounding blanks; empty if unset."""
        self.names.add(name)
        return self.environ.get(name, "").strip()

    def first(self, *names: str) -> str:
        """The first of ``names`` that is set, else the last."""
        return next((name for name in names if self.text(name)), names[-1])

    def choice(self, name: str, allowed: Collection[str], default: str) -> str:
        """One of ``allowed``, in any case."""
        value = self.text(name).lower() or default
        if value != default and value not in allowed:
            fix = f"set it to {default!r} or unset it" if default else "correct or unset it"
            self.fault(name, f"one of {', '.join(allowed)}", self.text(name), fix)
            return default
        return value

    def choices(self, name: str, allowed: Collection[str], default: tuple[str, ...]) -> tuple[str, ...]:
        """A list of ``allowed``, each once; ``none`` stands alone and is the empty list."""
        found = tuple(dict.fromkeys(word.lower() for word in self.words(name)))
        known = (*allowed, "none")
        if wrong := [word for word in found if word not in known]:
            self.fault(name, f"a list of {', '.join(known)}", wrong[0], f"write for example {default[0]!r}")
            return default
        if "none" in found:
            if len(found) > 1:
                self.fault(name, "none alone, or a list without it", self.text(name), "leave one out")
            return ()
        return found or default

    def flag(self, name: str) -> bool:
        """True for ``true`` in any case."""
        return self.choice(name, _BOOLEANS, "false") == "true"

    def words(self, name: str) -> tuple[str, ...]:
        """What stands between commas."""
        return tuple(filter(None, (part.strip() for part in self.text(name).split(","))))

    def pattern(self, *names: str) -> re.Pattern[str] | None:
        """The regular expressions of several lists as one that ignores case, or None."""
        parts = [(name, part) for name in names for part in self.words(name)]
        for name, part in parts:
            try:
                re.compile(part)
            except re.error as error:
                self.fault(name, "regular expressions with commas between them", part, str(error))
                return None
        return re.compile("|".join(f"(?:{part})" for _, part in parts), re.IGNORECASE) if parts else None

    def url(self, name: str, value: str, example: str) -> str:
        """``value``, checked to be an http or https address."""
        try:
            parts = urlsplit(value)
            is_right = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 1) > 0
        except ValueError:
            is_right = False
        if not is_right:
            # Credentials are not shown.
            shown = value.rpartition("@")[2]
            self.fault(name, "an http or https address", shown, f"write for example {example!r}")
        return value

    def count(self, name: str, default: int, largest: int | None = None) -> int:
        """A whole number above zero, at most ``largest``."""
        number = int(self._number(name, default, int, "a whole number above zero"))
        if largest is not None and number > largest:
            self.fault(name, f"at most {largest}", number, "lower it")
        return number

    def limit(self, name: str, default: int | None) -> int | None:
        """A whole number of at least zero."""
        value = self.text(name)
        if value and not (value.isascii() and value.isdigit()):
            self.fault(name, "a whole number of at least zero", value, "correct or unset it")
            return default
        return int(value) if value else default

    def milliseconds(self, name: str, default: float) -> float:
        """Seconds of a duration; zero would be an export without pause, so it is refused."""
        return self._number(name, default, float, "milliseconds above zero") / 1000

    def timeout(self, name: str, default: float | None) -> float | None:
        """Seconds of a timeout; 0 is "indefinite"."""
        value = self.text(name)
        if value.strip("0") == "" and value:
            return FOREVER_SECONDS
        number = self._number(name, default or 0, float, "milliseconds, or 0 for no limit") / 1000
        return number or None

    def ratio(self, name: str) -> float | None:
        """A number from 0 to 1."""
        value = self.text(name)
        if not value:
            return None
        try:
            number = float(value)
        except ValueError:
            number = -1.0
        if not 0 <= number <= 1:
            self.fault(name, "a number from 0 to 1", value, "write for example '0.25'")
            return None
        return number

    def duration(self, name: str, default: str) -> float:
        """Seconds of a number with a unit."""
        value = self.text(name) or default
        try:
            return parse_duration(value)
        except ConfigError:
            self.fault(name, "a number followed by ms, s, m, h or d", value, f"write for example {default!r}")
            return parse_duration(default)

    def file(self, name: str) -> str:
        """The path of a file that can be read, or an empty string."""
        path = self.text(name)
        if path:
            try:
                Path(path).read_bytes()
            except (OSError, ValueError):
                self.fault(name, "a file that can be read", path, "correct the path")
                return ""
        return path

    def pairs(self, name: str) -> dict[str, str]:
        """Comma-separated ``key=value`` pairs, percent-decoded, as W3C baggage writes them."""
        found = {}
        for item in self.words(name):
            key, separator, value = item.partition("=")
            if not separator or not key.strip():
                self.fault(name, "pairs of key=value with commas between them", item, "correct the pair")
                continue
            found[unquote(key.strip())] = unquote(value.strip())
        return found

    def headers(self, name: str) -> dict[str, str]:
        """Pairs that HTTP can carry as headers."""
        found = self.pairs(name)
        for key, value in found.items():
            # The value is not shown: it is most often a token.
            if not re.fullmatch(_HEADER_NAME, key):
                self.fault(name, "header names of letters, digits and -", key, "correct the name")
            elif not re.fullmatch(_HEADER_VALUE, value):
                self.fault(name, "header values of visible ASCII", f"the value of {key}", "correct the value")
        return found

    def _number(self, name: str, default: float, convert: Callable[[str], float], rule: str) -> float:
        value = self.text(name)
        if not value:
            return default
        try:
            number = convert(value)
        except ValueError:
            number = 0
        if not 0 < number < float("inf"):
            self.fault(name, rule, value, f"write for example {default:g}" if default else "correct or unset it")
            return default
        return number
