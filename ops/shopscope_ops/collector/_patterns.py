"""The SDK's list of secrets as RE2 expressions, which is what the collector's redaction understands.

RE2 has no lookaround and cannot compute. Lookbehind becomes an optional character, "not yet hidden" is spelt out, and
bounds that keep Python's engine linear go, since RE2 always is. Where a check digit decides in the SDK, the form alone
decides here. Each derivation names what it changes, so that a change of the SDK's list is an error of the generator
until it has been derived anew.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from string import ascii_lowercase

from shopscope._errors import ShopscopeError
from shopscope._redaction import _patterns as sdk

#: What the SDK leaves where a secret was.
MARKS = (sdk.REDACTED, sdk.CARD, sdk.IBAN, sdk.EMAIL)

_SEPARATOR = r"(?:[ ._+\x{00a0}-]|%20|%2D)?"
# Between groups of four, one class costs less than the spelt-out forms of blank and dash.
_GAP = r"(?:[ ._+\x{00a0}-]|%2[0D])?"
_IBAN_EXPRESSIONS = 3
# Go reads every such byte as U+FFFD, in JSON escaped. A class, since one character is searched for as three bytes.
_NO_TEXT = r"[\x{fffd}\x{fffe}]|\\ufffd"
_SQL_WORDS = (
    "SELECT DISTINCT FROM WHERE AND OR NOT IN IS NULL AS ON JOIN LEFT RIGHT INNER OUTER ORDER~BY GROUP~BY HAVING LIMIT"
    " OFFSET INSERT~INTO INTO VALUES UPDATE SET DELETE~FROM RETURNING COUNT SUM MAX MIN AVG COALESCE LOWER UPPER ASC"
    " DESC FOR~UPDATE EXISTS LIKE ILIKE BETWEEN CASE WHEN THEN ELSE END TRUE FALSE UNION ALL"
)
_NOT_RE2 = re.compile(r"\(\?<?[=!]|[*+?}]\+")
_ISSUERS = r"3[0-9]|[456]|2(?:20[0-5]|22[1-9]|2[3-9]|[3-6]|7[01]|720)|8[12]|9792"
# What stands before a word, which in lists and maps may be an escaped character: they are looked at as JSON.
_ESCAPED = r"\\[bfnrt]|\\u[0-9a-f]{4}"
_START = rf"(?:\b|_|{_ESCAPED})"
_BASE64 = "[A-Za-z0-9+/_-]"
_HEX_LETTERS = frozenset("ABCDEF")


class DerivationError(ShopscopeError):
    """The SDK's list of secrets has changed, and the collector's has to be derived from it anew."""


def value_patterns() -> tuple[str, ...]:
    """Forms of secrets, in the SDK's order, and before them bytes that are no text.

    A strict backend refuses a whole request for one such byte, and with it what others have sent.
    """
    return (
        _NO_TEXT,
        derived("_PRIVATE_KEY", ("{0,32}", "*")),
        derived("_JWT"),
        _parameters(),
        _header(),
        _key_and_value(),
        _schemes(),
        _api_keys(),
        _user_info(),
        _email(),
        *_ibans(),
        _cards(),
    )


def key_pattern() -> str:
    """Names of keys whose values are secrets."""
    return f"(?i:{sdk.SECRET_KEY.pattern})"


def key_name_pattern() -> str:
    """Names that are no secret themselves: no blank, quote, ``@``, ``=`` or ``%``, and few digits in a row."""
    letter = r"[A-Za-z\x{80}-\x{fffc}\x{10000}-\x{10ffff}]"
    other = r"[!#$&(-/:;<>?\[\]^_{|}~*+]"
    return rf"^[0-9]{{0,3}}(?:{letter}[0-9]{{0,4}}|{other}[0-9]{{0,3}})*$"


def harmless_patterns() -> tuple[str, ...]:
    """Texts that hold no secret, known at a cheap look: the SDK's own marks, and what it does not look into either."""
    _known("_HINT", sdk._HINT.pattern, r"[@=:,+%$\s\"']|[\w.-]{12}")  # noqa: SLF001 (the very same list)
    words = r"(?:[\w.-]{0,11}[^\w.\-@=:,+%$\s\"'\x{80}-\x{10ffff}])*[\w.-]{0,11}"
    path = sdk._PLAIN_PATH.pattern.replace("{1,24}", "+").replace("{0,40}", "*")  # noqa: SLF001 (as above)
    host, end, segments = path.partition("/)?")
    clients = r"(?:python-httpx|python-requests|python-urllib3|kube-probe|Prometheus)/[0-9.]{1,11}"
    marks = "|".join(map(re.escape, MARKS))
    # Hosts and the like, in lower-case letters, where no key begins: nothing else of the list can be made of these.
    part = _word(("glpat", "hvs", "key", "pypi", "sk", "xapp", "xox"))
    return (
        f"^{words}$",
        f"^{part}(?:[./-]{part})*$",
        f"^(?:{clients}|{marks})$",
        f"^{host}{end}(?:{words}|{segments})$",
        f"^{_sentence()}$",
        _statement(),
    )


def _sentence() -> str:
    """Short words and numbers, as log lines are made of: none begins like what a secret follows, no two are numbers.

    Anchored and without choices, so that RE2 walks over it once, and not once for every form of a secret.
    """
    number = r"[0-9]{1,9}(?:\.[0-9]{1,3})?[a-z]{0,2}[.;!?]?"
    word = _word(("bear", "basi", "dige", "nego", "iden", "cont"), 11)
    return f"(?i:{number}(?: |$))?(?i:{word}[.;!?]?(?: {number})?(?: |$))*"


def _word(beginnings: Collection[str], most: int | None = None) -> str:
    """Up to so many letters that do not begin so: what Python has a lookahead for."""
    heads = sorted({text[0] for text in beginnings})
    free = "".join(letter for letter in ascii_lowercase if letter not in heads)
    rest = {head: [text[1:] for text in beginnings if text[0] == head] for head in heads}
    ways = [f"[{free}][a-z]{'*' if most is None else f'{{0,{most - 1}}}'}"]
    ways += [f"{head}{_word(texts, most and most - 1)}?" for head, texts in rest.items() if "" not in texts]
    return f"(?:{'|'.join(ways)})"


def _statement() -> str:
    """Statements of SQL that hold names and placeholders alone: the longest texts that most spans have.

    No literal, and no two bare names in a row, so that neither ``bearer abc`` nor ``identified by abc`` is one.
    """
    word = f"(?:{'|'.join(_SQL_WORDS.split())})".replace("~", r"\s+")
    name, value = "[a-z][a-z_]{0,30}", r"(?:\$\d{1,3}|%s|\?|%\([a-z_]{1,30}\)s)(?:::[A-Z]{1,20})?"
    compared = rf"(?:[<>]=?|!?=|<>)\s*{value}"
    bare = rf"{name}(?:\s*[(),]|\s*{compared}|\s+{word}\b|\s*$)"
    return rf"^(?:SELECT|INSERT|UPDATE|DELETE)\s(?:[\s(),*]|{word}\b|{name}\.{name}\b|{compared}|{value}|{bare})*$"


def derived(name: str, *changes: tuple[str, str]) -> str:
    """The source of one of the SDK's patterns with these changes, checked to be RE2.

    Raises:
        DerivationError: a text to change is not there, or what is left has something that RE2 lacks.
    """
    source, *flags = getattr(sdk, name)._arguments  # noqa: SLF001 (as above)
    for old, new in changes:
        if old not in source:
            raise DerivationError(f"{name} must contain {old!r}: {source!r}; derive the collector's pattern anew")
        source = source.replace(old, new)
    if _NOT_RE2.search(source):
        raise DerivationError(f"{name} must be free of lookaround for RE2: {source!r}; derive the pattern anew")
    return f"(?i:{source})" if flags == [re.IGNORECASE] else f"(?:{source})"


def _known(name: str, actual: str, expected: str) -> None:
    if actual != expected:
        raise DerivationError(f"{name} must be {expected!r}: {actual!r}; derive the collector's pattern anew")


def _unmarked(stop: str, first: str = "") -> str:
    """One or more characters before ``stop`` that do not begin with the SDK's mark: what Python has a lookahead for.

    Args:
        stop: characters of a class at which the text ends.
        first: further characters with which it does not begin.
    """
    mark = sdk.REDACTED[:-1]
    starts = [rf"[^{stop}{first}\[]"]
    starts += [rf"{re.escape(mark[:length])}(?:[^{re.escape(mark[length])}]|$)" for length in range(1, len(mark))]
    return rf"(?:{'|'.join(starts)})[^{stop}]*"


def _quoted() -> str:
    double, single = _unmarked(r"\"\r\n"), _unmarked(r"'\r\n")
    return rf"b?\\*(?:\"{double}\"?|'{single}'?)"


def _parameters() -> str:
    return derived("_PARAMETERS", ("{0,80}", "*"), (r" )[^\r\n]*", r" )[ \t]*" + _unmarked(r"\r\n", r" \t")))


def _header() -> str:
    name = r"((?:authorization|cookie)[\w-]{0,16}"
    if not sdk._HEADER._arguments[0].startswith(name):  # noqa: SLF001 (as above)
        raise DerivationError(f"_HEADER must start with {name!r}; derive the collector's pattern anew")
    value = _unmarked(r"\"'\r\n", r"\s>")
    return rf"(?i:(?:authorization|cookie)[\w-]*\\*[\"']?\s*(?::|=>?|,)\s*(?:{_quoted()}|{value}))"


def _key_and_value() -> str:
    if sdk.SECRET_KEY.pattern not in sdk._KEY_AND_VALUE._arguments[0]:  # noqa: SLF001 (as above)
        raise DerivationError("_KEY_AND_VALUE must contain the pattern of keys; derive the collector's pattern anew")
    # What is nested under such a key has no form of its own: the rest of the line goes.
    nested = r"[\[{]+[\"'\d{][^\r\n]*"
    bare = _unmarked(r"\s&;,)}\]\"'", "=>")
    return (
        rf"(?i:(?:{sdk.SECRET_KEY.pattern})[\w.-]*\]?\\*[\"'`]?\s*"
        rf"(?:(?:=>|==?|:|%3[AD])\s*(?:{_quoted()}|{nested}|{bare})|,\s*{_quoted()}))"
    )


def _schemes() -> str:
    words = derived(
        "_SCHEME",
        ("(?<![A-Za-z])", rf"(?:\b|[0-9_]|{_ESCAPED})"),
        (r"\s{1,8}", r"\s+"),
        (r"(?!(?:tokens?|auth\w{0,20}|scheme|format|realm|error|is)\b)", ""),
    )
    # Base64 of a text with a colon: as the first, second or third of three bytes it has letters of its own.
    colon = f"(?:O[g-v]|{_BASE64}[DTjz][o-r]|{_BASE64}{{2}}[AEIMQUYcgkosw048]6)"
    basic = derived(
        "_BASIC",
        ("(?<![A-Za-z])(basic)", rf"(?:\b|[0-9_]|{_ESCAPED})(?i:basic)"),
        (r"\s{1,8}", r"\s+"),
        (f"{_BASE64}{{4,}}={{0,2}}", f"(?:{_BASE64}{{4}})*{colon}{_BASE64}*"),
    )
    return f"{words}|{basic.removeprefix('(?i:').removesuffix(')')}"


def _api_keys() -> str:
    """At the beginning of a word alone, which an escaped character may stand before: anywhere would cost threefold."""
    keys = derived("_API_KEY", ("(?<![A-Za-z0-9])", ""))
    return rf"(?:{_START}|%[0-9A-Fa-f]{{2}}){keys}"


def _user_info() -> str:
    # In place of (?!\d{1,5}/): no digit, or digits before something else than a slash, or more than a port has.
    no_port = r"(?:[^\d\s]\S*|\d{1,5}[^\d/\s]\S*|\d{6}\S*)?"
    user = _unmarked(r"\s/?#", "@")
    return derived(
        "_USER_INFO",
        (r"[^\s/?#]{0,512}@", f"(?:{user})?@"),
        (r"{0,256}:(?!\d{1,5}/)\S{0,256}", f"*:{no_port}"),
    )


def _email() -> str:
    return derived(
        "_EMAIL",
        ("(?!%40)", ""),
        (r"\x00-\x1f]|(?<=\w)'(?=\w)){1,64}", r"\x00-\x1f]|[\pL\pN_]')+"),
        (r"(?:[\w-]{1,63}\.){1,8}[^\W\d_][\w-]{1,62}", r"(?:[\pL\pN_-]+\.)+\pL[\pL\pN_-]+"),
    )


def _cards() -> str:
    """13 to 19 digits that begin as a card's do.

    Luhn's digit tells them from others in the SDK and cannot be computed here: so no part of an id in hexadecimal
    digits, nor of a decimal fraction.
    """
    _known("_ISSUER", sdk._ISSUER._arguments[0], _ISSUERS)  # noqa: SLF001 (as above)
    before = rf"(?:^|[^0-9a-fA-F.]|(?:^|[^0-9])\.|[g-zG-Z][a-fA-F]{{1,8}}|{_ESCAPED})"
    after = r"(?:\b|[A-Za-z_])"
    separator = _SEPARATOR.replace("._", "_")
    # More than issuers have, in few classes; no year.
    first = rf"(?:[3-6]{separator}\d|[289]{separator}[1-7])"
    dotted = r"(?:\.\d){12,18}|\d{3}(?:\.\d{4}){2}\.(?:\d{1,4}|\d{4}\.\d{1,3})"
    others = r"[\x{0660}-\x{0669}\x{06f0}-\x{06f9}\x{0966}-\x{096f}\x{ff10}-\x{ff19}]"
    return "|".join(
        (
            rf"{before}(?:{first}(?:{separator}\d){{11,17}}|[2-9](?:{dotted})){after}",
            r"[2-9]\.\d{12,18}[eE]\+1[2-8]",
            rf"{others}(?:{_SEPARATOR}\p{{Nd}}){{12,18}}",
        )
    )


def _ibans() -> tuple[str, ...]:
    """Two letters of a country, two digits, and as many letters and digits as that country's have, in fours or in one.

    Countries of one length are two classes, their first letters and their second, which is more than they are and costs
    a tenth. Without the remainder of 97: after two letters that may begin an id in hexadecimal digits, digits alone.
    Some expressions, since Go's engine is far slower for one above 500 instructions.
    """
    forms = []
    for length, countries in sorted(sdk._IBAN_LENGTHS.items()):  # noqa: SLF001 (as above)
        groups, rest = divmod(length - 4, 4)
        for like_hex, character in ((False, "[A-Za-z0-9]"), (True, r"\d")):
            found = [one for one in countries if _HEX_LETTERS.issuperset(one) is like_hex]
            tail = rf"(?:{_GAP}{character}{{{rest}}})" if rest else ""
            if found:
                forms.append(rf"(?:{_letters(found)})\d\d(?:{_GAP}{character}{{4}}){{{groups}}}{tail}")
    parts = (forms[at::_IBAN_EXPRESSIONS] for at in range(_IBAN_EXPRESSIONS))
    return tuple(rf"{_START}(?:{'|'.join(part)})\b" for part in parts)


def _letters(countries: Sequence[str]) -> str:
    """Classes of first and second letters; never two that begin a hexadecimal id, unless all do."""
    kinds = [[one for one in countries if (one[0] in _HEX_LETTERS) is first] for first in (False, True)]
    return "|".join("".join(map(_class, zip(*some, strict=True))) for some in kinds if some)


def _class(letters: Iterable[str]) -> str:
    found = "".join(sorted(set(letters)))
    return f"[{found}{found.lower()}]"
