"""A container made by hand: runs one program as the compose file would, and prints what became of it as JSON.

Started in mount and network namespaces of its own (unshare). Argument: a JSON object with the program, its arguments,
environment, user, volumes, an empty folder for its root, and the address of its health.
"""

import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

_DROP_BOUND, _NO_NEW_PRIVILEGES = 24, 38
_SET_ID_CAPABILITIES = (6, 7, 8)  # needed until the end: those that change user, group and this very set
_READY_SECONDS = 60.0


def mount(*arguments):
    subprocess.run(["mount", *map(str, arguments)], check=True)


def make_root(task):
    """A root folder with the program, its volumes and nothing else; read-only but for the volumes."""
    root = Path(task["root"])
    mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", root)
    for name in ("etc", "dev/shm", "proc", "tmp"):
        (root / name).mkdir(parents=True)
    (root / "etc/hosts").write_text(f"127.0.0.1 localhost {' '.join(task['hosts'])}\n", encoding="utf-8")
    (root / "etc/nsswitch.conf").write_text("hosts: files\n", encoding="utf-8")
    for name in ("null", "urandom"):
        (root / "dev" / name).touch()
        mount("--bind", f"/dev/{name}", root / "dev" / name)
    mount("--bind", "/proc", root / "proc")
    shutil.copy(task["program"], root / "program")
    (root / "program").chmod(0o755)
    for source, target, is_read_only in task["volumes"]:
        place = root / target.lstrip("/")
        place.mkdir(parents=True)
        mount("--bind", source, place)
        if is_read_only:
            mount("-o", "remount,bind,ro", place)
    mount("-o", "remount,ro", root)
    return root


def become(root, task):
    """In the child: leave everything behind that a container does not have, then become the program."""
    library = ctypes.CDLL(None)
    last = int(Path("/proc/sys/kernel/cap_last_cap").read_text(encoding="utf-8"))
    os.chroot(root)
    os.chdir("/")
    for capability in (*(set(range(last + 1)) - {*_SET_ID_CAPABILITIES}), *_SET_ID_CAPABILITIES):
        library.prctl(_DROP_BOUND, capability, 0, 0, 0)
    os.setgroups([])
    os.setgid(task["user"])
    os.setuid(task["user"])
    library.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    os.execve("/program", ["/program", *task["command"]], task["environment"])  # noqa: S606  # becoming it is the point


def is_healthy(address):
    try:
        with urllib.request.urlopen(address, timeout=1) as answer:  # noqa: S310  # of our own program
            return answer.status == 200
    except OSError:
        return False


def main():
    """Start the program, wait for its health, look at its rights, stop it."""
    task = json.loads(sys.argv[1])
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    root = make_root(task)
    child = os.fork()
    if child == 0:
        os.dup2(2, 1)  # standard output is for the answer
        become(root, task)
    deadline = time.monotonic() + _READY_SECONDS
    ended = 0
    while not (healthy := is_healthy(task["health"])) and not ended and time.monotonic() < deadline:
        time.sleep(0.1)
        ended = os.waitpid(child, os.WNOHANG)[0]
    found = {"healthy": healthy}
    if not ended:
        status = Path(f"/proc/{child}/status").read_text(encoding="utf-8").splitlines()
        found |= {key: rest.split() for key, _, rest in (line.partition(":") for line in status)}
        os.kill(child, signal.SIGTERM)
        os.waitpid(child, 0)
    print(json.dumps(found))  # noqa: T201  # the answer


if __name__ == "__main__":
    main()
