"""Requests to a Grafana: its refusals become sentences, and the token is in none of them."""

import json
import ssl
from collections.abc import Container, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlsplit

import httpx

from shopscope._errors import ConfigError
from shopscope_ops.boards._errors import GrafanaError

__all__ = ["Http", "Reply", "checked_url"]

_SECONDS: Final = 30.0
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
_NOT_FOUND: Final = 404
_INTERNAL: Final = 500
_SHOWN_CHARACTERS: Final = 300
_ROLE: Final = "give its service account the role Editor, or the right to edit this folder"
_FIXES: Final = {
    401: "make a token in Grafana under Administration, Users and access, Service accounts",
    403: _ROLE,
    404: "see that --grafana has the whole address, with the path that Grafana is served under",
    409: "it was changed at the same moment: run the command again",
    412: "it was changed at the same moment: run the command again",
    429: "too many requests: wait a minute",
}
# What Grafana says of itself beside the status decides where one status has several reasons.
_FIXES_BY_WORD: Final = {
    "name-exists": "another board in the folder has this title: rename it in Grafana",
    "plugin-dashboard": "a plugin brought a board with this uid: remove it in Grafana",
    "same name already exists": "another folder has this title: give its uid with --folder, or another --folder-title",
    "provisioned": "Grafana reads it from a file: change it there",
}


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back.

    Attributes:
        status: HTTP status.
        document: the body as JSON; None when it is none.
        text: the body as text.
    """

    status: int
    document: Any
    text: str = ""

    @property
    def fields(self) -> dict[str, Any]:
        """The document, where it is an object."""
        return self.document if isinstance(self.document, dict) else {}

    def part(self, name: str) -> dict[str, Any]:
        """An object of the document that must be there.

        Raises:
            GrafanaError: it is not.
        """
        found = self.fields.get(name)
        if isinstance(found, dict):
            return found
        raise GrafanaError(f"Grafana's answer must have {name!r}: {self.text[:80]!r}; see what answers in its place")

    @property
    def is_missing(self) -> bool:
        """Whether it says that there is no such thing; Grafana 12 says so with 500 to those who are no admin."""
        return self.status == _NOT_FOUND or (self.status == _INTERNAL and "not found" in self.text.lower())


class Http:
    """A connection to one Grafana.

    Args:
        url: its address, with the path that it is served under.
        token: of a service account.
        authority: a file with the certificates of an authority of one's own.
    """

    def __init__(self, url: str, token: str, authority: Path | None = None) -> None:
        self.url = checked_url(url)
        self._client = httpx.Client(
            timeout=_SECONDS,
            verify=_trust(authority),
            headers={"Authorization": f"Bearer {checked_token(token)}", "Accept": "application/json"},
        )

    @property
    def is_open_to_all(self) -> bool:
        """Whether the token can be read on its way."""
        parts = urlsplit(self.url)
        return parts.scheme == "http" and parts.hostname not in _LOOPBACK

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def ask(
        self,
        method: str,
        path: str,
        *,
        what: str,
        body: object = None,
        parameters: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        accept: Container[int] = (),
        may_miss: bool = False,
    ) -> Reply:
        """Send a request.

        Args:
            method: HTTP method.
            path: below the address.
            what: what we do, for a sentence: ``read the folder shopscope``.
            body: sent as JSON.
            parameters: of the query.
            headers: besides the token's.
            accept: statuses that are answers, too.
            may_miss: that there is no such thing is an answer, too.

        Raises:
            GrafanaError: no answer, a status that is neither success nor accepted, or something that is not Grafana.
        """
        try:
            response = self._client.request(
                method, f"{self.url}{path}", json=body, params=parameters, headers=dict(headers or {})
            )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            reason = str(error).partition("] ")[2] or str(error) or type(error).__name__
            raise GrafanaError(
                f"cannot {what}: {self.url} does not answer: {reason}; correct --grafana, or start it"
            ) from error
        reply = Reply(response.status_code, _document(response), response.text)
        if response.is_redirect:
            target = response.headers.get("location", "")
            raise GrafanaError(f"cannot {what}: {self.url} sends on to {target}; give that address with --grafana")
        if response.is_success and (reply.document is not None or not response.content):
            return reply
        if response.is_success:
            raise GrafanaError(f"cannot {what}: {self.url} answers with no JSON; is this the address of a Grafana?")
        if response.status_code in accept or (may_miss and reply.is_missing):
            return reply
        raise GrafanaError(f"cannot {what}: {_words(reply)}; {_fix(reply)}")


def checked_url(url: str) -> str:
    """The address without a slash at its end.

    Raises:
        ConfigError: it is no address, or has a password in it.
    """
    parts = urlsplit(url)
    if parts.username or parts.password:
        raise ConfigError([f"--grafana must have no user or password in it: {parts.hostname!r}; give a token"])
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise ConfigError([f"--grafana must be an address: {url!r}; write for example https://grafana.example.com"])
    return url.rstrip("/")


def checked_token(token: str) -> str:
    """The token without white space around it.

    Raises:
        ConfigError: it is empty, or cannot be sent in a header; it is not shown.
    """
    text = token.strip()
    if not text:
        raise ConfigError(["the token must not be empty: ''; set GRAFANA_TOKEN, or give --token-file"])
    if not (text.isascii() and text.isprintable() and " " not in text):
        raise ConfigError(["the token must be one word of plain characters: not shown; copy it again"])
    return text


def _trust(authority: Path | None) -> ssl.SSLContext | bool:
    if authority is None:
        return True
    try:
        return ssl.create_default_context(cafile=authority)
    except OSError as error:
        raise ConfigError([f"--ca-file must have certificates in PEM: {str(authority)!r}; {error}"]) from error


def _document(response: httpx.Response) -> Any:
    try:
        return json.loads(response.content)
    except ValueError:
        return None


def _words(reply: Reply) -> str:
    said = reply.fields.get("message") or reply.fields.get("error") or ""
    if not said and not reply.text.lstrip().startswith(("<", "{")):
        said = reply.text
    said = " ".join(str(said).split())[:_SHOWN_CHARACTERS]
    return f"HTTP {reply.status}: {said}" if said else f"HTTP {reply.status}"


def _fix(reply: Reply) -> str:
    said = f"{reply.fields.get('status', '')} {reply.fields.get('message', '')}".lower()
    by_word = next((fix for word, fix in _FIXES_BY_WORD.items() if word in said), None)
    return by_word or _FIXES.get(reply.status, "look at Grafana's log")
