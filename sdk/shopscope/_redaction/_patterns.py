"""What a secret looks like: patterns that take time linear in the text, each behind a cheap test whether it can match.

Card numbers are checked by Luhn and their issuer's first digits, IBANs by length and remainder 97: ids of orders and
time stamps must not be taken for either.
"""

import base64
import binascii
import re
from itertools import pairwise
from typing import Any


class _Later:
    """A pattern that is compiled when it is first needed: most services never need most of them."""

    __slots__ = ("_arguments", "_pattern")

    def __init__(self, *arguments: Any) -> None:
        self._arguments = arguments
        self._pattern: re.Pattern[str] | None = None

    @property
    def now(self) -> re.Pattern[str]:
        """The pattern."""
        if self._pattern is None:
            self._pattern = re.compile(*self._arguments)
        return self._pattern


REDACTED = "[redacted]"
CARD, IBAN, EMAIL = "[card]", "[iban]", "[email]"

# In the names of keys, and in text before "=" or ":".
_SENSITIVE = (
    r"pass(?:word|wd|phrase)|pwd|secret|token|authorization|cookie|api[_\-]?key|access[_\-]?key|private[_\-]?key"
    r"|card[_\-]?(?:number|no)|cvv|cvc|credential|sess(?:ion)?_?id|iban"
)
SECRET_KEY = re.compile(_SENSITIVE, re.IGNORECASE)

# Texts without any of these need no closer look; searched in lower case.
_FORMS = (
    *("bearer", "basic", "digest", "negotiate", "eyj", "sk_", "sk-", "pk_", "rk_", "ghp_", "gho_", "ghu_", "ghs_"),
    *("ghr_", "github_pat", "glpat-", "xox", "xapp-", "akia", "asia", "aiza", "ya29.", "sg.", "npm_", "pypi-", "hf_"),
    *("shpat_", "shpca_", "shppa_", "shpss_", "whsec_", "dckr_pat_", "hvs.", "sq0", "access_token$", "dop_v1_"),
    *("key-", "-----begin"),
)
_KEYS = (
    *("password", "passwd", "passphrase", "pwd", "secret", "token", "authorization", "cookie", "cvv", "cvc", "iban"),
    *("api_key", "api-key", "apikey", "access_key", "access-key", "accesskey", "private", "card_n", "card-n", "cardn"),
    *("credential", "sessid", "sess_id", "sessionid", "session_id"),
    *("identified by", "parameters: ", "row contains", "[generated", "[cached", "[no key", "[raw sql", "[caching"),
    "[dialect",
)
_SUSPECT_FORM, _SUSPECT_KEY = (re.compile("|".join(map(re.escape, words))) for words in (_FORMS, _KEYS))
# Without one of these a key has no value.
_ASSIGNED = re.compile(r"[=:,%\"'\[(]")
# Texts that are plainly harmless: short words; and ids, paths and addresses of requests with ids in them.
_HINT = re.compile(r"[@=:,+%$\s\"']|[\w.-]{12}", re.ASCII)
_PLAIN = r"(?:[a-z]{1,24}|v?[0-9]{1,9}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{32}|[0-9a-f]{24})?"
_PLAIN_PATH = re.compile(
    r"(?:https?://(?:[a-z][a-z.-]{0,40}|(?:[0-9]{1,3}\.){3}[0-9]{1,3})(?::[0-9]{1,5})?/)?"
    rf"(?:{_PLAIN}/)*{_PLAIN}"
)
_SUSPECT_DIGITS = re.compile(r"[0-9][0-9 ._+%-]{9}")

_SEPARATOR = r"(?:[ ._+\u00a0-]|%20|%2D)?"
# Decimals without their last zeros, and floats that were formatted, are texts like this.
_EXPONENT = _Later(r"(?<![\d.])(\d)\.(\d{1,18})e\+(1[2-8])(?!\d)", re.IGNORECASE)
_DIGITS = _Later(rf"(?<!\d)\d(?:{_SEPARATOR}\d){{12,}}(?!\d)")
_GROUP = _Later(r"(?:%20|%2D)?(\d+)")
_ISSUER = _Later(r"3[0-9]|[456]|2(?:20[0-5]|22[1-9]|2[3-9]|[3-6]|7[01]|720)|8[12]|9792")
_NO_ISSUER = frozenset("017")
_CARD_DIGITS = range(13, 20)
_ZERO = ord("0")
#: From the ASCII code of a digit to that of twice the digit, its own digits added up.
_DOUBLED = bytes.maketrans(b"0123456789", b"0246813579")

_IBAN_START = _Later(r"(?<![A-Za-z0-9])([A-Za-z]{2})\d\d")
# https://www.swift.com/standards/data-standards/iban-international-bank-account-number
_IBAN_LENGTHS = {
    length: frozenset(countries.split())
    for length, countries in {
        15: "NO",
        16: "BE",
        18: "DK FI FK FO GL NL SD",
        19: "MK SI",
        20: "AT BA EE KZ LT LU MN XK",
        21: "CH HR LI LV",
        22: "BG BH CR DE GB GE IE ME RS VA",
        23: "AE GI IL IQ OM SO TL",
        24: "AD CZ ES MD PK RO SA SE SK TN VG",
        25: "LY PT ST",
        26: "IS TR",
        27: "BI DJ FR GR IT MC MR SM",
        28: "AL AZ BY CY DO GT HN HU LB NI PL SV",
        29: "BR EG PS QA UA",
        30: "JO KW MU YE",
        31: "MT SC",
        32: "LC",
        33: "RU",
    }.items()
}
_IBAN_PATTERNS = {
    country: _Later(rf"[A-Za-z]{{2}}\d\d(?:{_SEPARATOR}[A-Za-z0-9]){{{length - 4}}}(?![A-Za-z0-9])")
    for length, countries in _IBAN_LENGTHS.items()
    for country in countries
}
_NOT_ALPHANUMERIC = _Later(r"%20|%2D|[^A-Za-z0-9]")

# A slash in a password is wrong, and seen; it must not be taken for the path after a port.
_USER_INFO = _Later(r"(://)(?:[^\s/?#]{0,512}@|[^\s/@:]{0,256}:(?!\d{1,5}/)\S{0,256}@)")
_EMAIL = _Later(
    r"(?:(?!%40)[^\s@\"'<>()\[\]{},;:=&?/\\|\x00-\x1f]|(?<=\w)'(?=\w)){1,64}(?:@|%40)(?:[\w-]{1,63}\.){1,8}[^\W\d_][\w-]{1,62}",
    re.IGNORECASE,
)

_SCHEME = _Later(
    r"(?<![A-Za-z])(bearer|digest|negotiate)(\s{1,8}|%20|\+)(?!(?:tokens?|auth\w{0,20}|scheme|format|realm|error|is)\b)"
    r"[A-Za-z0-9._~+/=%:\"-]{6,}",
    re.IGNORECASE,
)
_BASIC = _Later(r"(?<![A-Za-z])(basic)(\s{1,8}|%20|\+)([A-Za-z0-9+/_-]{4,}={0,2})", re.IGNORECASE)
_HEADER = _Later(
    r"((?:authorization|cookie)[\w-]{0,16}\\{0,4}[\"']?\s{0,4}(?::|=>?|,)\s{0,4}+(?:b(?=\\{0,4}[\"']))?)"
    r"(?:\\{0,4}\"[^\"\r\n]*|\\{0,4}'[^'\r\n]*|(?!b?\[redacted)[^\"'\r\n]+)",
    re.IGNORECASE,
)
_KEY_AND_VALUE = _Later(
    rf"((?:{_SENSITIVE})[\w.-]{{0,32}}\]?\\{{0,4}}[\"'`]?\s{{0,4}}(?:=>|==?|:|%3[AD]|,\s{{0,4}}(?=b?\\{{0,4}}[\"']))\s{{0,4}})"
    r"(?:b?\\{0,4}\"[^\"\r\n]*\"?|b?\\{0,4}'[^'\r\n]*'?|(?!\[redacted)[^\s&;,)}\]\"']+)",
    re.IGNORECASE,
)
_JWT = _Later(r"eyJ[A-Za-z0-9_-]{10,}(?:\.[A-Za-z0-9_-]*)*")
_API_KEY = _Later(
    r"(?:[spr]k_(?:live|test)_|gh[pousr]_|github_pat_|glpat-|npm_|pypi-|hf_|shp(?:at|ca|pa|ss)_|whsec_|dckr_pat_"
    r"|dop_v1_|hvs\.|sq0[a-z]{3}-|access_token\$|xox[a-z]-|xapp-|ya29\.)[A-Za-z0-9_.$-]{8,}"
    r"|(?<![A-Za-z0-9])(?:sk-[A-Za-z0-9_-]{16,}|key-[0-9a-f]{32}|A[KS]IA[A-Z0-9]{16}|AIza[A-Za-z0-9_-]{30,}|SG\.[\w-]{16,}[\w.-]*)"
)
_PRIVATE_KEY = _Later(r"-----BEGIN [A-Z ]{0,32}PRIVATE KEY-----[^-]*(?:-----END [A-Z ]{0,32}PRIVATE KEY-----)?")
# What databases and SQLAlchemy add to the text of an error.
_PARAMETERS = _Later(
    r"(\[parameters: |row contains |IDENTIFIED BY "
    r"|\[(?:generated in|cached since|no key|raw sql|caching disabled|dialect )[^\]\r\n]{0,80}\] )[^\r\n]*",
    re.IGNORECASE,
)

_AFTER_WORDS: tuple[tuple[_Later, str], ...] = (
    (_PRIVATE_KEY, REDACTED),
    (_PARAMETERS, rf"\1{REDACTED}"),
    (_HEADER, rf"\1{REDACTED}"),
    (_SCHEME, rf"\1\2{REDACTED}"),
    (_JWT, REDACTED),
    (_API_KEY, REDACTED),
    (_KEY_AND_VALUE, rf"\1{REDACTED}"),
)


def redact_text(text: str) -> str:
    """The text with every secret that has a form of its own replaced."""
    is_ascii = text.isascii()
    if is_ascii and (_PLAIN_PATH.fullmatch(text) or not _HINT.search(text)):
        return text
    if not is_ascii or _has_suspect_word(text):
        for pattern, replacement in _AFTER_WORDS:
            text = pattern.now.sub(replacement, text)
        text = _BASIC.now.sub(_hide_credentials, text)
    if "@" in text or "%40" in text:
        text = _EMAIL.now.sub(EMAIL, _USER_INFO.now.sub(rf"\1{REDACTED}@", text))
    if not is_ascii or _SUSPECT_DIGITS.search(text):
        if "e+" in text or "E+" in text:
            text = _EXPONENT.now.sub(_hide_exponents, text)
        text = _DIGITS.now.sub(_hide_cards, _hide_ibans(text))
    return text


def _has_suspect_word(text: str) -> bool:
    lower = text.lower()
    if _SUSPECT_FORM.search(lower):
        return True
    return bool(_ASSIGNED.search(text) and _SUSPECT_KEY.search(lower))


def is_card(digits: str) -> bool:
    """Whether digits are the number of a payment card: length, issuer and Luhn's check digit."""
    if len(digits) not in _CARD_DIGITS or not _ISSUER.now.match(digits):
        return False
    numbers = digits.encode()[::-1]
    return (sum(numbers[::2]) + sum(numbers[1::2].translate(_DOUBLED)) - len(numbers) * _ZERO) % 10 == 0


def is_iban(text: str) -> bool:
    """Whether letters and digits without separators leave the remainder 1 of ISO 7064."""
    number = "".join(str(int(character, 36)) for character in text[4:] + text[:4])
    return int(number) % 97 == 1


def _hide_cards(match: re.Match[str]) -> str:
    """Hide the groups of digits that make a card; others beside it, such as a date, stay."""
    text = match[0]
    groups = [(one.start(1), one.end(1)) for one in _GROUP.now.finditer(text)]
    digits = [text[start:end] if text.isascii() else _ascii_digits(text[start:end]) for start, end in groups]
    out, kept_from, index = [], 0, 0
    while index < len(groups):
        count = _groups_of_card(digits[index : index + _CARD_DIGITS.stop])
        if count:
            out += [text[kept_from : groups[index][0]], CARD]
            kept_from = groups[index + count - 1][1]
        index += count or 1
    return "".join((*out, text[kept_from:]))


def _hide_exponents(match: re.Match[str]) -> str:
    first, rest, exponent = match.groups()
    digits = f"{first}{rest.rstrip('0').ljust(int(exponent), '0')}"
    return CARD if len(digits) == int(exponent) + 1 and is_card(digits) else match[0]


def _ascii_digits(digits: str) -> str:
    return "".join(str(int(digit)) for digit in digits)


def _groups_of_card(groups: list[str]) -> int:
    """How many of the groups, from the first, are a card's number; 0 if none are."""
    digits = ""
    if groups[0][0] in _NO_ISSUER:
        return 0
    for count, group in enumerate(groups, 1):
        digits += group
        if len(digits) >= _CARD_DIGITS.stop:
            break
        if is_card(digits):
            return count
    return 0


def _hide_ibans(text: str) -> str:
    found = []
    for start in _IBAN_START.now.finditer(text):
        pattern = _IBAN_PATTERNS.get(start[1].upper())
        match = pattern.now.match(text, start.start()) if pattern else None
        if match and is_iban(_NOT_ALPHANUMERIC.now.sub("", match[0])):
            found.append(match.span())
    if not found:
        return text
    edges = [0, *(edge for span in found for edge in span), len(text)]
    return IBAN.join(text[start:end] for start, end in list(pairwise(edges))[::2])


def _hide_credentials(match: re.Match[str]) -> str:
    """``Basic`` is a word too: only what decodes to ``user:password`` is hidden."""
    encoded = match[3].rstrip("=").replace("-", "+").replace("_", "/")
    encoded = encoded[: len(encoded) - (len(encoded) % 4 == 1)]
    try:
        decoded = base64.b64decode(encoded + "=" * (-len(encoded) % 4))
    except (ValueError, binascii.Error):
        return match[0]
    return f"{match[1]}{match[2]}{REDACTED}" if b":" in decoded else match[0]
