"""Downloads of releases, from a real server: only what matches the published checksum is ever unpacked."""

import hashlib
import http.server
import io
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from shopscope_ops.engines.native import ProvideError, find_binary, provide
from shopscope_ops.engines.native import _download as download_module
from shopscope_ops.engines.native import _find as find_module
from shopscope_ops.engines.native._download import download
from shopscope_ops.engines.native._manifest import read_components

PROGRAM = b"#!/bin/sh\necho tempo, version 3.0.3\n"
ARCHIVE = "tempo_3.0.3.tar.gz"
PROVIDE = """
import sys
from dataclasses import replace
from shopscope_ops.engines.native import _find, provide, read_components
part = replace(read_components()["tempo"], release=sys.argv[1], checksums="SHA256SUMS")
_find.read_components, _find.component = lambda: {"tempo": part}, lambda _: part
provide("tempo")
"""


def tarball(names, content=PROGRAM):
    """A gzipped tar archive with a file of this content under each name."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name in names:
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o644
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def checksum(data, name=ARCHIVE):
    return f"{'0' * 64}  another.tar.gz\n{hashlib.sha256(data).hexdigest()}  {name}\n".encode()


class Releases(http.server.ThreadingHTTPServer):
    """Serves ``files``; of those in ``cut`` it promises all bytes and sends half."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.cut, self.asked = {}, set(), []
        self.is_held, self.released = threading.Event(), threading.Event()
        self.released.set()

    def url(self, name):
        """The address of a file."""
        return f"http://127.0.0.1:{self.server_port}/{name}"


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers with the server's files."""

    def do_GET(self):
        """Send the file, all or half of it."""
        name = self.path.lstrip("/")
        self.server.asked.append(name)
        if name not in self.server.files:
            self.send_error(404)
            return
        data = self.server.files[name]
        self.send_response(200)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: len(data) // 2] if name in self.server.cut else data)
        if name in self.server.cut:
            self.wfile.flush()
            self.server.is_held.set()
            self.server.released.wait()

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def releases():
    """A server of releases on this machine."""
    with Releases() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def tempo(releases, tmp_path, monkeypatch):
    """The component Tempo as this server publishes it, with nothing on PATH and an empty cache."""
    part = replace(read_components()["tempo"], release=releases.url(ARCHIVE), checksums="SHA256SUMS")
    monkeypatch.setattr(find_module, "read_components", lambda: {"tempo": part})
    monkeypatch.setattr(find_module, "component", lambda _: part)
    monkeypatch.setenv("SHOPSCOPE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return part


def publish(server, data, checksums=None):
    server.files = {ARCHIVE: data, "SHA256SUMS": checksum(data) if checksums is None else checksums}


def left_in(cache):
    """What a failed attempt has left: the files, but for the locks."""
    return sorted(path.name for path in cache.rglob("*") if path.is_file() and not path.name.endswith(".lock"))


def test_a_verified_release_is_kept_and_downloaded_once(tempo, releases, tmp_path):
    """The program is callable in the folder of its version; the next call asks nobody."""
    publish(releases, tarball(["tempo-3.0.3/LICENSE", "tempo-3.0.3/tempo"]))
    reports = []
    binary = provide("tempo", reports.append)
    assert tmp_path / "cache" / "tempo-3.0.3" / "tempo" == binary
    assert PROGRAM == binary.read_bytes()
    assert binary.stat().st_mode & 0o111
    assert ["SHA256SUMS", ARCHIVE] == releases.asked
    assert ["downloading tempo 3.0.3"] == reports
    assert binary == provide("tempo", reports.append)
    assert 2 == len(releases.asked)
    assert tempo.version == find_module.binary_version(binary)


def test_two_that_need_the_same_program_download_it_once(tempo, releases):
    """Who comes second waits, and takes what the first brought."""
    publish(releases, tarball(["tempo"]))
    with ThreadPoolExecutor() as pool:
        first, second = pool.map(provide, [tempo.name, tempo.name])
    assert first == second
    assert ["SHA256SUMS", ARCHIVE] == releases.asked


def test_a_wrong_checksum_is_thrown_away(tempo, releases, tmp_path):
    """Both digests are named, and nothing of the archive stays."""
    publish(releases, tarball(["tempo"]), checksum(b"what was published"))
    with pytest.raises(
        ProvideError, match=rf"has SHA-256 {hashlib.sha256(releases.files[ARCHIVE]).hexdigest()}, but .*"
    ):
        provide(tempo.name)
    assert [] == left_in(tmp_path / "cache")


@pytest.mark.parametrize("checksums", [b"", b"not a digest  tempo_3.0.3.tar.gz\n", checksum(b"x", "other.tar.gz")])
def test_without_a_checksum_nothing_is_downloaded(tempo, releases, tmp_path, checksums):
    """A checksum file that does not have the archive is an error before the archive is asked for."""
    publish(releases, tarball(["tempo"]), checksums)
    with pytest.raises(
        ProvideError, match=r"has no SHA-256 checksum for tempo_3\.0\.3\.tar\.gz; nothing was downloaded"
    ):
        provide(tempo.name)
    assert ["SHA256SUMS"] == releases.asked
    assert [] == left_in(tmp_path / "cache")


def test_a_missing_checksum_file_is_named(tempo, releases):
    """The message has the address and the answer."""
    with pytest.raises(ProvideError, match=r"SHA256SUMS answers 404 Not Found"):
        provide(tempo.name)
    assert ["SHA256SUMS"] == releases.asked


def test_half_a_download_is_never_used(tempo, releases, tmp_path):
    """A transfer that breaks off leaves nothing, and the next attempt begins anew and succeeds."""
    publish(releases, tarball(["tempo"]))
    releases.cut = {ARCHIVE}
    with pytest.raises(ProvideError, match=r"broke off after \d+ of \d+ bytes"):
        provide(tempo.name)
    assert [] == left_in(tmp_path / "cache")
    releases.cut = set()
    assert PROGRAM == provide("tempo").read_bytes()


def test_a_download_that_was_killed_is_never_used(tempo, releases, tmp_path):
    """What kill -9 leaves behind is no program, and goes with the next attempt."""
    publish(releases, tarball(["tempo"]))
    releases.cut = {ARCHIVE}
    releases.released.clear()
    with subprocess.Popen([sys.executable, "-c", PROVIDE, tempo.release]) as process:
        releases.is_held.wait()
        while not left_in(tmp_path / "cache") and process.poll() is None:
            time.sleep(0.01)
        process.kill()
    releases.released.set()
    assert [ARCHIVE] == left_in(tmp_path / "cache")
    assert find_binary("tempo") is None
    releases.cut = set()
    assert PROGRAM == provide("tempo").read_bytes()
    assert ["tempo"] == left_in(tmp_path / "cache")


def test_an_unreachable_server_is_named_with_all_other_ways(tempo, releases, monkeypatch):
    """The message lists why each way failed: PATH, release, build."""
    gone = replace(tempo, release="http://127.0.0.1:1/tempo.tar.gz")
    monkeypatch.setattr(find_module, "component", lambda _: gone)
    with pytest.raises(ProvideError) as caught:
        provide("tempo")
    lines = str(caught.value).splitlines()
    assert "tempo 3.0.3 cannot be had:" == lines[0]
    assert "    - there is no tempo on PATH" == lines[1]
    assert lines[2].startswith("    - http://127.0.0.1:1/SHA256SUMS cannot be reached: ")
    assert "    - it cannot be built from its Go module" == lines[3]
    assert [] == releases.asked


def test_plain_http_is_refused_but_on_this_machine(tempo, tmp_path):
    """Who can change an archive on its way can change its checksum too."""
    with pytest.raises(ProvideError, match=r"^http://example\.com/SHA256SUMS must begin with https://$"):
        download(replace(tempo, release="http://example.com/tempo.tar.gz"), tmp_path)


def test_a_zip_with_a_suffixed_program_is_unpacked(tempo, releases, tmp_path):
    """Loki's releases are zip files whose program carries system and architecture in its name."""
    suffixed = f"tempo-{download_module.platform.system().lower()}-{download_module.architecture()}"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr(suffixed, PROGRAM)
    publish(releases, buffer.getvalue())
    download(tempo, tmp_path)
    assert PROGRAM == (tmp_path / "tempo").read_bytes()
    assert suffixed == (tmp_path / "tempo").resolve().name


def test_a_checksum_file_with_the_digest_alone_belongs_to_its_archive(tempo, releases, tmp_path):
    """Grafana publishes one such file beside each archive."""
    data = tarball(["tempo"])
    releases.files = {ARCHIVE: data, f"{ARCHIVE}.sha256": hashlib.sha256(data).hexdigest().encode()}
    download(replace(tempo, checksums="{archive}.sha256"), tmp_path)
    assert PROGRAM == (tmp_path / "tempo").read_bytes()


def test_an_archive_without_the_program_is_refused(tempo, releases, tmp_path):
    """A release that was packed otherwise than we know leaves nothing behind."""
    publish(releases, tarball(["tempo-cli"]))
    with pytest.raises(ProvideError, match="the release has no program tempo"):
        provide(tempo.name)
    assert [] == left_in(tmp_path / "cache")


def test_an_archive_that_leads_outside_is_refused(tempo, releases, tmp_path):
    """A verified archive still cannot write anywhere else."""
    publish(releases, tarball(["../escaped", "tempo"]))
    with pytest.raises(ProvideError, match=r"tempo_3\.0\.3\.tar\.gz cannot be unpacked: .*escaped"):
        provide(tempo.name)
    assert [] == list(tmp_path.rglob("escaped"))


def test_something_else_than_an_archive_is_refused(tempo, releases):
    """Also when its checksum is right."""
    publish(releases, b"<html>maintenance</html>")
    with pytest.raises(ProvideError, match="cannot be unpacked"):
        provide(tempo.name)
