"""Levels, repeats and what is redacted, from arguments and environment; every fault is part of the one error."""

import re
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from shopscope._configuration._environment import Environment
from shopscope._errors import ConfigError
from shopscope._logging._repeats import DEFAULT_REPEATS, parse_repeats
from shopscope._logging._setup import DEFAULT_LEVEL, parse_levels


class Redaction(NamedTuple):
    """What the user redacts beyond our own keys and patterns."""

    keys: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()


def read_levels(env: Environment) -> str:
    """``SHOPSCOPE_LOG_LEVEL``: ``info``, or with levels of loggers ``info,sqlalchemy=warning``."""
    return _checked(env, "SHOPSCOPE_LOG_LEVEL", DEFAULT_LEVEL, parse_levels)


def read_repeats(env: Environment) -> str:
    """``SHOPSCOPE_LOG_REPEATS``: lines and period, ``100/10s``, or ``off``."""
    return _checked(env, "SHOPSCOPE_LOG_REPEATS", DEFAULT_REPEATS, parse_repeats)


def read_redaction(env: Environment, keys: Iterable[str], patterns: Iterable[str]) -> Redaction:
    """The arguments, and what ``SHOPSCOPE_REDACT_KEYS`` (commas) and ``SHOPSCOPE_REDACT_PATTERNS`` (spaces) add."""
    its_patterns = [("redact_patterns", text) for text in _texts(env, "redact_patterns", patterns)]
    its_patterns += [("SHOPSCOPE_REDACT_PATTERNS", text) for text in env.text("SHOPSCOPE_REDACT_PATTERNS").split()]
    return Redaction(
        keys=(*_texts(env, "redact_keys", keys), *env.words("SHOPSCOPE_REDACT_KEYS")),
        patterns=tuple(text for where, text in its_patterns if _is_pattern(env, where, text)),
    )


def _texts(env: Environment, where: str, given: Iterable[Any]) -> list[str]:
    """The texts of an argument; a text alone would be taken for its letters."""
    texts = [given] if isinstance(given, str) else list(given)
    wrong = [text for text in texts if not isinstance(text, str) or not text.strip()]
    if wrong or isinstance(given, str):
        env.fault(where, "a list of texts that are not empty", given, f"write for example {where}=['loyalty']")
        return []
    return texts


def _is_pattern(env: Environment, where: str, text: str) -> bool:
    try:
        matches_nothing = re.compile(text).search("") is not None
    except (re.error, OverflowError, RecursionError) as error:
        env.fault(where, "regular expressions", text, f"{error}; correct it, or write \\s for a space")
        return False
    if matches_nothing:
        env.fault(where, "regular expressions that match something", text, "it would match every text; ask for more")
    return not matches_nothing


def _checked(env: Environment, name: str, default: str, parse: Callable[[str, str], object]) -> str:
    text = env.text(name).lower() or default
    try:
        parse(text, name)
    except ConfigError as error:
        env.problems.extend(error.problems)
        return default
    return text
