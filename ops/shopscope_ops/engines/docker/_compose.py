"""``docker compose`` as a program: whether it can be used here, and how it is called."""

import json
import os
import re
import shutil
import subprocess
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from shopscope_ops.engines._bundle import COMPOSE_FILE
from shopscope_ops.engines._processes import ProcessError

# `ps` prints one JSON object a line since this one; `--wait` knows containers that only run once.
_LEAST_VERSION: Final = (2, 21)
_ANSWER_SECONDS: Final = 30.0
_TAIL_LINES: Final = 12
_OTHER_ENGINES: Final = "or use --engine embedded or --engine native, which need no Docker"


class DockerError(ProcessError):
    """Docker or Compose is missing, does not answer, or could not do what was asked."""


@dataclass(frozen=True, slots=True)
class Compose:
    """Compose for the project in one folder.

    Attributes:
        folder: has the compose file.
        environment: all environment variables that Compose gets; it reads the file's variables from them.
    """

    folder: Path
    environment: Mapping[str, str]

    def read(self, *arguments: str) -> str:
        """What a command prints.

        Raises:
            DockerError: it failed; the message has its last words.
        """
        done = _run([*self._command(), *arguments], self.environment)
        if done.returncode:
            raise DockerError(f"docker compose {arguments[0]} failed: {_last_lines(done.stderr)}")
        return done.stdout

    def follow(self, *arguments: str, report: Callable[[str], None]) -> None:
        """Run a command that takes its time; ``report`` gets every line that it prints.

        Raises:
            DockerError: it failed; the message has its last words.
        """
        last: deque[str] = deque(maxlen=_TAIL_LINES)
        with subprocess.Popen(
            [*self._command("--progress", "plain"), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=dict(self.environment),
            text=True,
            errors="replace",
        ) as process:
            for line in process.stdout or ():
                if line := line.strip():
                    last.append(line)
                    report(line)
        if process.returncode:
            raise DockerError("\n".join([f"docker compose {arguments[0]} failed:", *(f"  {line}" for line in last)]))

    def show(self, *arguments: str) -> int:
        """Run a command on this terminal; its exit code."""
        try:
            return subprocess.run([*self._command(), *arguments], env=dict(self.environment), check=False).returncode
        except KeyboardInterrupt:  # how one stops to follow
            return 0

    def containers(self) -> list[dict[str, Any]]:
        """One object for each container of the project, also of those that have ended."""
        lines = self.read("ps", "--all", "--format", "json").splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def _command(self, *options: str) -> list[str]:
        return ["docker", "compose", *options, "--file", str(self.folder / COMPOSE_FILE)]


def require_docker(environment: Mapping[str, str] = os.environ) -> None:
    """Make sure that Docker, its Compose and its daemon are there.

    Raises:
        DockerError: says what is missing, and what to do.
    """
    if shutil.which("docker", path=environment.get("PATH")) is None:
        raise DockerError(
            f"the program docker is not on PATH; install Docker (https://docs.docker.com/get-docker/), {_OTHER_ENGINES}"
        )
    version = _run(["docker", "compose", "version", "--short"], environment)
    if version.returncode:
        raise DockerError(
            "docker has no compose: install the Compose plugin (https://docs.docker.com/compose/install/), "
            f"{_OTHER_ENGINES}"
        )
    found = re.match(r"v?(\d+)\.(\d+)", version.stdout.strip())
    if found and (int(found[1]), int(found[2])) < _LEAST_VERSION:
        least = ".".join(map(str, _LEAST_VERSION))
        raise DockerError(f"Docker Compose must be {least} or newer: {version.stdout.strip()}; install a newer one")
    daemon = _run(["docker", "version", "--format", "{{.Server.Version}}"], environment)
    if daemon.returncode:
        raise DockerError(
            f"the Docker daemon does not answer: {_last_lines(daemon.stderr, 1)}; start Docker, {_OTHER_ENGINES}"
        )


def _run(command: list[str], environment: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
    try:
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=dict(environment),
            text=True,
            errors="replace",
            timeout=_ANSWER_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise DockerError(
            f"{' '.join(command[:3])} did not answer within {_ANSWER_SECONDS:.0f} s; restart Docker"
        ) from error
    except OSError as error:
        raise DockerError(f"docker cannot be run: {error.strerror}; install it again, {_OTHER_ENGINES}") from error


def _last_lines(text: str, count: int = _TAIL_LINES) -> str:
    return "\n".join(text.strip().splitlines()[-count:]) or "it printed no reason"
