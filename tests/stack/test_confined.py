"""The components under the compose file's restrictions, where no Docker is: read-only, without root, on its paths.

A container made by hand of the same parts (confine.py); the real images are not needed, only the components' programs.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from shopscope_ops.engines.native import read_components

ROOT = Path(__file__).parents[2]
CONFINE = Path(__file__).with_name("confine.py")
NAMESPACES = ["unshare", "--mount", "--net", "--propagation", "private"]
# Of the images; docs/how-to/docker.md has them too.
USERS = {"collector": 10001, "prometheus": 65534, "alertmanager": 65534}
COMPOSE = yaml.safe_load(
    re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", (ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
)["services"]


def can_confine():
    """Whether this user may have namespaces of their own."""
    try:
        tried = subprocess.run([*NAMESPACES, "ip", "link"], capture_output=True, check=False)
    except OSError:
        return False
    return tried.returncode == 0


pytestmark = pytest.mark.skipif(not can_confine(), reason="needs root, unshare and ip")


def volumes(name, folder):
    """Bind mounts as they are; for the named volume a folder that its user owns and nobody else may enter."""
    for volume in COMPOSE[name]["volumes"]:
        source, target, *options = volume.split(":")
        if not source.startswith("."):
            owned = folder / source
            owned.mkdir(mode=0o700)
            os.chown(owned, USERS[name], USERS[name])
            yield str(owned), target, False
        else:
            yield str(ROOT / source), target, options == ["ro"]


@pytest.mark.parametrize("name", USERS)
def test_component_is_healthy_without_any_rights(name, binaries, tmp_path):
    """With the compose file's arguments, mounts and memory setting; nothing to write but its volume."""
    service, component = COMPOSE[name], read_components()[name]
    (tmp_path / "root").mkdir()
    task = {
        "root": str(tmp_path / "root"),
        "program": str(binaries[name]),
        "command": service["command"],
        "environment": {key: value for key, value in service["environment"].items() if value is not None},
        "user": USERS[name],
        "hosts": sorted(COMPOSE),
        "volumes": list(volumes(name, tmp_path)),
        "health": f"http://127.0.0.1:{component.ports[component.health.port]}{component.health.path}",
    }
    command = [*NAMESPACES, sys.executable, str(CONFINE), json.dumps(task)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    found = json.loads(done.stdout or "{}")
    assert found.get("healthy"), done.stderr[-2000:]
    assert [str(USERS[name])] * 4 == found["Uid"]
    assert (["0" * 16], ["0" * 16], ["1"]) == (found["CapEff"], found["CapBnd"], found["NoNewPrivs"])
