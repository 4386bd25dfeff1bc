"""Secrets never leave: values are hidden by their key or by their form, before anything is encoded, queued or written.

The hot path pays for a look into a set: texts that were found clean are remembered, and what is constant is encoded,
and so checked, once.
"""

import functools
import re
from collections import deque
from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any

from shopscope._redaction._patterns import REDACTED, SECRET_KEY, is_card, redact_text

#: Characters of one text that are looked at and sent; what is beyond is cut.
MAX_CHARACTERS = 16_384
_CUT = "…[cut]"
# Not sent of what was looked at: a secret that the limit cuts in two is not known by its form.
_MARGIN = 1024
# What is hidden may be shorter than the words for it.
_KEPT = MAX_CHARACTERS - _MARGIN
_MAX_CLEAN = 4096
_MAX_CLEAN_CHARACTERS = 128
# Smaller numbers are no cards.
FIRST_CARD_NUMBER = 10**12
#: The same for floats, which compare with a float in half the time.
FIRST_CARD_FLOAT = 1e12
_END_OF_CARD_NUMBERS = 10**19

#: Texts that hold no secret, so that routes, names and states are looked at once.
KNOWN_CLEAN: set[str] = set()

#: Keys that are no secret's and hold none.
PLAIN_KEYS: set[str] = set()
_lately_scrubbed: deque[str] = deque(maxlen=8)
_caches: list[MutableMapping[str, Any]] = []
_user_key: re.Pattern[str] | None = None
_user_patterns: tuple[re.Pattern[str], ...] = ()


def configure(keys: Iterable[str] = (), patterns: Iterable[str] = ()) -> None:
    """Add the user's keys (parts of a key's name, in any case) and patterns to ours; replaces what was added before."""
    global _user_key, _user_patterns  # noqa: PLW0603 (one redaction a process: encoding is done by functions)
    keys = tuple(keys)
    _user_key = re.compile("|".join(re.escape(key) for key in keys), re.IGNORECASE) if keys else None
    _user_patterns = tuple(re.compile(pattern) for pattern in patterns)
    KNOWN_CLEAN.clear()
    PLAIN_KEYS.clear()
    _lately_scrubbed.clear()
    is_secret.cache_clear()
    for cache in _caches:
        cache.clear()


def forget_with(cache: MutableMapping[str, Any]) -> None:
    """Empty ``cache`` when keys or patterns change: it holds what was encoded under the old ones."""
    _caches.append(cache)


@functools.lru_cache(maxsize=1024)
def is_secret(key: str) -> bool:
    """Whether a key's name says that its value is a secret."""
    return bool(SECRET_KEY.search(key) or (_user_key is not None and _user_key.search(key)))


def hides(key: str, value: object) -> bool:
    """Whether the value of this key must not be seen. A number of tokens is no token."""
    if not is_secret(key[:MAX_CHARACTERS]):
        return False
    return not (key.lower().endswith("tokens") and type(value) in {int, float})


def scrub(text: str) -> str:
    """The text without secrets, and not longer than ``MAX_CHARACTERS``."""
    if type(text) is not str:
        # A subclass may answer as it likes.
        text = str.__str__(text)
    if text in KNOWN_CLEAN or text in _lately_scrubbed:
        return text
    if len(text) <= MAX_CHARACTERS:
        return _remember(text, _redact(text))
    return _remember(text, _redact(text[:MAX_CHARACTERS])[:-_MARGIN][:_KEPT] + _CUT)


def scrub_end(text: str) -> str:
    """Like ``scrub``, but of a long text the end stays: a stack trace ends with what went wrong."""
    if len(text) <= MAX_CHARACTERS:
        return scrub(text)
    # From the start of a line: before it there may be the rest of a secret, which has no form.
    end = _redact(text[-MAX_CHARACTERS:])[_MARGIN:][-_KEPT:].partition("\n")[2]
    return _remember(text, f"{_CUT}\n{end}") if end else scrub(text)


def scrub_whole(text: str) -> str:
    """The text without secrets, however long it is: a line that the service prints itself is not ours to cut."""
    return text if text in KNOWN_CLEAN else _redact(text)


def _remember(text: str, found: str) -> str:
    if len(found) > _MAX_CLEAN_CHARACTERS:
        # It is on its way to several places, and is looked at once.
        _lately_scrubbed.append(found)
    elif found == text:
        if len(KNOWN_CLEAN) >= _MAX_CLEAN:
            KNOWN_CLEAN.clear()
        KNOWN_CLEAN.add(text)
    return found


def scrub_labels(labels: Mapping[str, str]) -> dict[str, str]:
    """Labels of a metric without secrets."""
    return {key: REDACTED if hides(key, value) else scrub(value) for key, value in labels.items()}


def scrub_bytes(value: bytes) -> bytes:
    """Bytes without secrets, and not more than ``MAX_CHARACTERS`` of them."""
    text = value[: MAX_CHARACTERS + 1].decode("latin-1")
    found = scrub(text)
    return value if found == text and len(value) <= MAX_CHARACTERS else found.encode("utf-8", "replace")


def is_card_number(value: float) -> bool:
    """Whether a number, which may be a whole one with a point, is that of a payment card."""
    if not FIRST_CARD_NUMBER <= value < _END_OF_CARD_NUMBERS:
        return False
    whole = int(value)
    return whole == value and is_card(str(whole))


def _redact(text: str) -> str:
    try:
        for pattern in _user_patterns:
            text = pattern.sub(REDACTED, text)
        return redact_text(text)
    except Exception:  # noqa: BLE001 (what cannot be looked at must not be seen)
        return REDACTED
