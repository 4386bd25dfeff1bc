"""Downloads a component's published release; only what matches the checksum published beside it is unpacked."""

import hashlib
import http.client
import os
import platform
import re
import tarfile
import urllib.error
import urllib.request
import zipfile
from pathlib import Path
from urllib.parse import urljoin, urlsplit

from shopscope_ops.engines.native._errors import ProvideError
from shopscope_ops.engines.native._manifest import Component

_ARCHITECTURES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
_ANSWER_SECONDS = 15.0
_CHUNK_BYTES = 2**20
_LARGEST_CHECKSUMS_BYTES = 2**20
_LARGEST_ARCHIVE_BYTES = 2**30
_DIGEST = re.compile(r"[0-9a-fA-F]{64}")


def download(part: Component, folder: Path) -> None:
    """Put the programs of a component's release into ``folder``.

    Args:
        part: names the archive and its checksums.
        folder: an empty folder on the disk where the programs will stay.

    Raises:
        ProvideError: the release cannot be fetched, its checksum is missing or wrong, or a program is not in it.
    """
    url = part.release.format(os=platform.system().lower(), arch=architecture())
    archive = urlsplit(url).path.rpartition("/")[2]
    checksums_url = urljoin(url, part.checksums.format(archive=archive))
    expected = _published_digest(checksums_url, archive)
    partial = folder / archive
    try:
        actual = _fetch(url, partial)
        if actual != expected:
            raise ProvideError(f"{url} has SHA-256 {actual}, but {checksums_url} says {expected}; it was thrown away")
        _unpack(partial, folder)
    finally:
        partial.unlink(missing_ok=True)
    for program in part.programs:
        _bring_up(folder, program, is_wanted=program == part.programs[0])


def architecture() -> str:
    """This machine's architecture as Go names it."""
    machine = platform.machine().lower()
    return _ARCHITECTURES.get(machine, machine)


def _published_digest(url: str, archive: str) -> str:
    """The archive's line in the checksum file; a file with nothing but a digest is that archive's."""
    with _open(url) as answer:
        text = answer.read(_LARGEST_CHECKSUMS_BYTES).decode("utf-8", "replace")
    for line in text.splitlines():
        digest, _, name = line.strip().partition(" ")
        if _DIGEST.fullmatch(digest) and name.strip().lstrip("*").removeprefix("./") in ("", archive):
            return digest.lower()
    raise ProvideError(f"{url} has no SHA-256 checksum for {archive}; nothing was downloaded")


def _fetch(url: str, target: Path) -> str:
    """Write what a URL answers into ``target``; its SHA-256."""
    digest, received = hashlib.sha256(), 0
    with _open(url) as answer, target.open("wb") as file:
        promised = answer.headers.get("content-length")
        try:
            while chunk := answer.read(_CHUNK_BYTES):
                received += len(chunk)
                if received > _LARGEST_ARCHIVE_BYTES:
                    raise ProvideError(f"{url} is larger than {_LARGEST_ARCHIVE_BYTES // 2**20} MiB")
                digest.update(chunk)
                file.write(chunk)
        except (OSError, http.client.HTTPException) as error:
            raise ProvideError(f"{url} broke off after {received} bytes: {error}") from error
    if promised is not None and received != int(promised):
        raise ProvideError(f"{url} broke off after {received} of {promised} bytes")
    return digest.hexdigest()


def _open(url: str) -> http.client.HTTPResponse:
    # Not http anywhere but on this machine: a checksum fetched by who can change it proves nothing.
    if urlsplit(url).scheme != "https" and urlsplit(url).hostname != "127.0.0.1":
        raise ProvideError(f"{url} must begin with https://")
    request = urllib.request.Request(url, headers={"user-agent": "shopscope"})  # noqa: S310 - checked above
    try:
        answer: http.client.HTTPResponse = urllib.request.urlopen(request, timeout=_ANSWER_SECONDS)  # noqa: S310 - same
    except urllib.error.HTTPError as error:
        error.close()
        raise ProvideError(f"{url} answers {error.code} {error.reason}") from error
    except (OSError, http.client.HTTPException) as error:
        raise ProvideError(f"{url} cannot be reached: {getattr(error, 'reason', error)}") from error
    return answer


def _unpack(archive: Path, folder: Path) -> None:
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as file:
                file.extractall(folder)  # noqa: S202 - it strips what leads outside
        else:
            with tarfile.open(archive) as tar:
                tar.extractall(folder, filter="data")
    except (OSError, tarfile.TarError, zipfile.BadZipFile) as error:
        raise ProvideError(f"{archive.name} cannot be unpacked: {error}") from error


def _bring_up(folder: Path, program: str, *, is_wanted: bool) -> None:
    """Make a program callable as ``folder/program``, wherever the archive has it and whatever its suffix is."""
    names = (program, f"{program}-{platform.system().lower()}-{architecture()}")
    found = [path for name in names for path in sorted(folder.rglob(name)) if path.is_file() and not path.is_symlink()]
    if not found:
        if is_wanted:
            raise ProvideError(f"the release has no program {program}")
        return
    found[0].chmod(0o755)
    link = folder / program
    if not link.exists():
        link.symlink_to(os.path.relpath(found[0], folder))
