"""A thousand hostile inputs, the same in every run: what attackers, broken clients and careless services send.

Most hold secrets that must never be seen again.
"""

import random
import string
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from shopscope._redaction._patterns import is_card

SEED = 4
COUNT = 1000
_LETTERS = string.ascii_letters + string.digits


@dataclass
class Hostile:
    """One request and what the service does with it.

    Attributes:
        number: its place in the corpus.
        path: raw path and query, percent-encoded.
        headers: raw headers.
        action: what the service does: log, span, raise, stdlib or metric.
        key: a key that the service uses for the value.
        value: a value that the service logs, sets or raises.
        secrets: texts that must not be found in any byte that leaves.
    """

    number: int
    path: bytes = b"/plain"
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    action: str = "log"
    key: str = "value"
    value: Any = ""
    secrets: list[bytes] = field(default_factory=list)


class Raising:
    """Raises from whatever one asks of it."""

    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__

    def __len__(self) -> int:
        raise RuntimeError("no length")

    def __iter__(self) -> Iterator[Any]:
        raise RuntimeError("no items")

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no equal")

    __hash__ = object.__hash__


class RaisingDict(dict[str, Any]):
    """A dictionary that cannot be read."""

    def items(self) -> Any:
        """Raise."""
        raise RuntimeError("no items")


class NotText:
    """Has a text that is none."""

    def __str__(self) -> Any:
        return 5  # noqa: PLE0307 (that is the point)


class Shouting:
    """Has a text with a secret in it."""

    def __init__(self, secret: str) -> None:
        self._text = f"<Shouting password={secret}>"

    def __repr__(self) -> str:
        return self._text


class _Maker:
    """Makes the inputs, one after the other, from one source of chance."""

    def __init__(self) -> None:
        self._random = random.Random(SEED)
        self.secrets: list[bytes] = []

    def word(self, length: int = 16) -> str:
        """A secret of letters and digits, which is remembered."""
        word = "Zq" + "".join(self._random.choices(_LETTERS, k=length))
        self.secrets.append(word.encode())
        return word

    def card(self) -> str:
        """A card's number, in one of the ways people write it."""
        prefix, length = self._random.choice(
            [("4", 16), ("5555", 16), ("3782", 15), ("6011", 16), ("4", 19), ("4", 13)]
        )
        while True:
            digits = prefix + "".join(self._random.choices(string.digits, k=length - len(prefix)))
            if is_card(digits):
                break
        separator = self._random.choice(["", "", " ", "-", "."])
        text = separator.join(digits[start : start + 4] for start in range(0, len(digits), 4))
        self.secrets += [digits.encode(), text.encode()]
        return text

    def number(self) -> int:
        """A card's number, as a number."""
        return int(self.card().replace(" ", "").replace("-", "").replace(".", ""))

    def iban(self) -> str:
        """A German or British account, with or without spaces."""
        account = "".join(self._random.choices(string.digits, k=18 if self._random.random() < 0.5 else 14))
        country, rest = ("DE", account) if len(account) == 18 else ("GB", "NWBK" + account)
        number = int("".join(str(int(character, 36)) for character in f"{rest}{country}00"))
        text = f"{country}{98 - number % 97:02d}{rest}"
        self.secrets.append(text.encode())
        if self._random.random() < 0.5:
            text = " ".join(text[start : start + 4] for start in range(0, len(text), 4))
            self.secrets.append(text.encode())
        return text

    def email(self) -> str:
        """An address; its local part is the secret."""
        return f"{self.word(8)}.x+tag@example.{self._random.choice(['com', 'co.uk', 'shop'])}"

    def token(self) -> str:
        """Credentials that are known by their form."""
        return self._random.choice(
            [
                lambda: f"Bearer {self.word()}",
                lambda: f"eyJhbGciOiJIUzI1NiJ9.{self.word(30)}.{self.word(20)}",
                lambda: f"sk_live_{self.word(20)}",
                lambda: f"ghp_{self.word(30)}",
                lambda: f"xoxb-{self.word(20)}",
                lambda: f"password={self.word()}",
                lambda: f'"api_key": "{self.word()}"',
                lambda: f"Set-Cookie: sid={self.word()}; Path=/",
                lambda: f"Authorization: Digest username={self.word()}",
                lambda: f"postgresql://shop:{self.word()}@db:5432/shop",
                lambda: f"https://{self.word()}@git.example/x",
                lambda: f"{{'client_secret': '{self.word()}'}}",
                lambda: f"(b'cookie', b'sid={self.word()}')",
                lambda: f"[parameters: ('{self.word()}', 5)]",
            ]
        )()

    def secret(self) -> str:
        """Any of these."""
        return self._random.choice([self.card, self.iban, self.email, self.token])()

    def noise(self) -> str:
        """What is around it: controls, colours, line breaks, other scripts, surrogates, nothing at all."""
        return self._random.choice(
            [
                *(
                    "",
                    " ",
                    "\n",
                    "\r\n",
                    "\x00",
                    "\x1b[31m",
                    "\x9b2J",
                    "\u2028",
                    "\u202e",
                    "\ud800",
                    "\udcff",
                    "日本",
                    "é",
                ),
                *(
                    '{"level":"error","event":"forged"}\n',
                    "%",
                    "%%s",
                    "{}",
                    "'",
                    '"',
                    "\\",
                    "<script>",
                    "\ufeff",
                    "\x7f",
                ),
            ]
        )

    def text(self) -> str:
        """A secret in noise. A space, because what is glued to a secret is a part of it."""
        return f"{self.noise()} {self.secret()} {self.noise()}"

    def value(self) -> Any:
        """A value of any kind, with a secret in it where it can hold one."""
        makers: list[Callable[[], Any]] = [
            self.text,
            lambda: self.text() * 50,
            lambda: "x" * 200_000 + " " + self.text(),
            lambda: " ".join(self.secret() for _ in range(200)),
            lambda: {"user": {"password": self.word(), "list": [{"token": self.word()}, self.text()]}},
            lambda: {self.text(): self.text()},
            lambda: _deep(self.text(), 50),
            lambda: _deep(self.text(), 3000),
            lambda: _cycle(self.text()),
            lambda: [self.text()] * 5000,
            lambda: {str(n): n for n in range(20_000)},
            Raising,
            NotText,
            lambda: RaisingDict(password=self.word()),
            lambda: [Raising(), RaisingDict(), {"a": Raising()}],
            lambda: Shouting(self.word()),
            lambda: {Shouting(self.word()), 1},
            self.number,
            lambda: float(self.number()),
            lambda: Decimal(self.number()).normalize(),
            lambda: [self.number(), float("nan"), float("-inf"), {float(self.number()): Decimal(self.number())}],
            lambda: self.text().encode("utf-8", "replace"),
            lambda: bytes(self._random.randrange(256) for _ in range(300)),
            lambda: 10**5000,
            lambda: ValueError(self.text()),
            lambda: "a" * 15_000 + "@" * 2000,
            lambda: "4 " * 8000,
            lambda: "://a:" * 4000,
        ]
        return self._random.choice(makers)()

    def raw(self) -> bytes:
        """Bytes as a header or a path may hold them."""
        return self._random.choice(
            [
                lambda: self.text().encode("utf-8", "replace"),
                lambda: b"\xff\xfe" + self.secret().encode() + b"\x80",
                lambda: b"a" * 70_000,
                lambda: bytes(self._random.randrange(256) for _ in range(100)),
                lambda: b"",
                lambda: b",;==,,=" * 200,
                lambda: f"{self.secret()} ".encode() * 20,
            ]
        )()

    def header(self) -> tuple[bytes, bytes]:
        """A header that the SDK reads, or one that it must not."""
        name = self._random.choice(
            [
                b"traceparent",
                b"tracestate",
                b"baggage",
                b"host",
                b"user-agent",
                b"cookie",
                b"authorization",
                b"x-api-key",
            ]
        )
        if name in {b"cookie", b"authorization", b"x-api-key"}:
            return name, f"sid={self.word()}".encode()
        if name == b"baggage" and self._random.random() < 0.7:
            return name, b"shopscope.journey=" + self.raw() + b",user=" + self.raw()
        if name == b"tracestate" and self._random.random() < 0.7:
            return name, f"a={self.card()},b={self.word(8)}@example.com".encode()
        return name, self.raw()

    def path(self) -> bytes:
        """A path and a query. In a path a secret is a segment of its own."""
        middle = self.secret() if self._random.random() < 0.7 else self.noise()
        raw = f"/items/{middle}".encode("utf-8", "replace").replace(b"?", b"").replace(b"#", b"")
        query = f"?email={self.email()}&token={self.word()}".encode()
        return (raw if self._random.random() < 0.9 else b"/" + b"a/" * 20_000) + query


def corpus() -> Iterator[Hostile]:
    """All inputs."""
    maker = _Maker()
    chance = random.Random(SEED)
    for number in range(COUNT):
        maker.secrets = []
        is_secret_key = chance.random() < 0.2
        hostile = Hostile(
            number,
            path=maker.path() if chance.random() < 0.5 else b"/plain",
            headers=[maker.header() for _ in range(chance.randrange(4))],
            action=chance.choice(["log", "log", "span", "raise", "stdlib", "metric", "handled"]),
            key="user_password" if is_secret_key else chance.choice(["value", "note", "k" * 5000, maker.text()]),
            value=maker.word() if is_secret_key else maker.value(),
        )
        hostile.secrets = maker.secrets
        yield hostile


def _deep(value: Any, levels: int) -> Any:
    for _ in range(levels):
        value = [value]
    return value


def _cycle(value: Any) -> Any:
    around: dict[str, Any] = {"value": value}
    around["again"] = [around, around]
    return around
