"""The tutorial is executed as a newcomer would: its files written, its commands typed, in one shell."""

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

TUTORIAL = Path(__file__).parents[2] / "docs" / "tutorial.md"
_FILE = re.compile(r"<!-- file: (\S+) -->\n```\w+\n(.*?)```", re.DOTALL)
_CONSOLE = re.compile(r"```console\n(.*?)```", re.DOTALL)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def tutorial_commands(text: str) -> list[str]:
    return [line.removeprefix("$ ") for block in _CONSOLE.findall(text) for line in block.splitlines()]


def test_tutorial_does_what_it_says(tmp_path):
    """Every command succeeds, and the answers are the ones that the page promises."""
    text = TUTORIAL.read_text(encoding="utf-8")
    otlp, page, service = free_port(), free_port(), free_port()
    for name, content in _FILE.findall(text):
        (tmp_path / name).write_text(content, encoding="utf-8")
    script = "\n".join(["set -e -o pipefail", *tutorial_commands(text)])
    # The machine's own ports may be taken by a running demo; nothing else of the page is changed.
    script = script.replace("8700", str(service))
    script = script.replace("shopscope up", f"shopscope up --port {otlp} --page-port {page}")
    script = script.replace("shopscope diagnose", f"shopscope diagnose --endpoint http://127.0.0.1:{otlp}")
    bin_folder = Path(sys.executable).parent
    environment = os.environ | {
        "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}",
        "SHOPSCOPE_HOME": str(tmp_path / "state"),
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{otlp}",
        "OTEL_BSP_SCHEDULE_DELAY": "200",
        "OTEL_METRIC_EXPORT_INTERVAL": "200",
    }
    try:
        done = subprocess.run(
            ["bash", "-c", f"set -m\n{script}"],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=150,
            check=False,
        )
    finally:
        subprocess.run([bin_folder / "shopscope", "down"], env=environment, capture_output=True, check=False)
    assert 0 == done.returncode, done.stdout + done.stderr
    assert '"event":"order placed"' in done.stdout
    document = json.loads(done.stdout[done.stdout.index("\n{\n") :].partition("\n}\n")[0] + "\n}")
    latency = {journey["journey"]: journey for journey in document["latency"]["journeys"]}
    assert latency["checkout"]["spans"]["quantiles"]["p99"]["seconds"] > 0.12
    assert "supplier-check" in json.dumps(document["chains"])
