"""One question over HTTP; whatever happens becomes an answer."""

import json
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Final

import httpx

__all__ = ["Answer", "ask"]

_SECONDS: Final = 5.0
_SHOWN_CHARACTERS: Final = 300
_HALF_A_SECOND: Final = 0.5
# Loopback addresses alone are asked, without TLS: reading the system's authorities would take longer than the answer.
_NO_AUTHORITIES: Final = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back.

    Attributes:
        url: what was asked.
        status: HTTP status; 0 when nothing came.
        body: the answer's body.
        date: its ``Date`` header.
        sent_unix: when it was asked, by our clock (seconds).
        received_unix: when the answer had come.
        error: why nothing came; "" when something did.
        is_refused: nobody listens there.
    """

    url: str
    status: int = 0
    body: bytes = b""
    date: str = ""
    sent_unix: float = 0.0
    received_unix: float = 0.0
    error: str = ""
    is_refused: bool = False

    @property
    def is_success(self) -> bool:
        """Whether the status says so."""
        return 200 <= self.status < 300  # noqa: PLR2004 (success, RFC 9110)

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode("utf-8", "replace")

    @property
    def document(self) -> Any:
        """The body as JSON; None when it is not."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    @property
    def words(self) -> str:
        """Why it did not work, in the component's own words where it has any."""
        if self.error:
            return self.error
        document = self.document
        found = document if isinstance(document, dict) else {}
        said = found.get("message") or found.get("error") or (self.text if _is_plain(self.text) else "")
        said = " ".join(str(said).split())[:_SHOWN_CHARACTERS]
        return f"HTTP {self.status}: {said}" if said else f"HTTP {self.status}"

    @property
    def skew_seconds(self) -> float | None:
        """How far the component's clock is ahead of ours, half a second more or less; None without a date."""
        try:
            theirs = parsedate_to_datetime(self.date).timestamp()
        except (TypeError, ValueError):
            return None
        # The header has whole seconds, cut off.
        return theirs + _HALF_A_SECOND - (self.sent_unix + self.received_unix) / 2


def ask(
    url: str,
    *,
    parameters: Mapping[str, str] | None = None,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    timeout_seconds: float = _SECONDS,
) -> Answer:
    """Ask ``url``: by GET, or by POST when there is a body."""
    sent = time.time()
    method = "GET" if body is None else "POST"
    try:
        # A proxy of the environment must not stand between us and the loopback address.
        with httpx.Client(timeout=timeout_seconds, trust_env=False, verify=_NO_AUTHORITIES) as client:
            response = client.request(method, url, params=parameters, content=body, headers=headers)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        reason = str(error).partition("] ")[2] or str(error) or type(error).__name__
        is_refused = isinstance(error, httpx.ConnectError)
        return Answer(url, sent_unix=sent, received_unix=time.time(), error=reason, is_refused=is_refused)
    return Answer(url, response.status_code, response.content, response.headers.get("date", ""), sent, time.time())


def _is_plain(text: str) -> bool:
    return "\x00" not in text and not text.lstrip().startswith(("<", "{", "["))
