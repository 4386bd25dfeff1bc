"""What `make bench-stack` compares: agent.yaml as it is shipped and the contrib defaults, sending to the sink alone."""

import importlib
import re
import sys
from pathlib import Path

import pytest
import yaml

sys.path.insert(0, str(Path(__file__).parents[2]))
module = importlib.import_module("bench.stack.collectors")
sys.path.pop(0)

COLLECTORS = {each.name: each for each in module.collectors()}
BACKENDS = (50001, 50002, 50003)


def merged(each, folder):
    """The configuration that the collector reads, and where it was said to listen."""
    arguments, port, health = module.prepare(each, folder, BACKENDS[: each.copies + 1])
    paths = [Path(argument.removeprefix("--config=")) for argument in arguments]
    documents = [yaml.safe_load(path.read_text()) for path in paths]
    config = documents[0]
    for document in documents[1:]:
        for signal, pipeline in document["service"]["pipelines"].items():
            config["service"]["pipelines"][signal] |= pipeline
    return config, port, health


@pytest.mark.parametrize("each", COLLECTORS.values(), ids=COLLECTORS)
def test_spans_go_to_their_backends_and_nowhere_else(each, tmp_path):
    """One exporter of spans for each backend, at the sink's ports in turn."""
    config, _, _ = merged(each, tmp_path)
    used = [config["exporters"][name]["endpoint"] for name in config["service"]["pipelines"]["traces"]["exporters"]]

    assert {f"http://127.0.0.1:{port}" for port in BACKENDS[: each.copies]} == set(used)
    assert each.copies == len(used)


@pytest.mark.parametrize("each", COLLECTORS.values(), ids=COLLECTORS)
def test_it_listens_where_the_sender_sends(each, tmp_path):
    """Receiver and health check at the ports that were told, on the loopback interface."""
    config, port, health = merged(each, tmp_path)

    assert (f"127.0.0.1:{port}", f"127.0.0.1:{health}") == (
        config["receivers"]["otlp"]["protocols"]["http"]["endpoint"],
        config["extensions"]["health_check"]["endpoint"],
    )


@pytest.mark.parametrize("each", COLLECTORS.values(), ids=COLLECTORS)
def test_nothing_of_a_container_is_left(each, tmp_path):
    """No host of a container's network, and no folder outside of the run's own."""
    config, _, _ = merged(each, tmp_path)
    text = yaml.safe_dump(config["exporters"]) + yaml.safe_dump(config["extensions"])
    folders = [path for path in re.findall(r"(?<=: )/\S+", text) if not path.startswith(str(tmp_path))]

    assert ([], []) == (re.findall(r"//(?!127\.0\.0\.1:)\S+", text), folders)


def test_only_the_plain_one_has_the_defaults(tmp_path):
    """Ours keeps redaction and its queue on the disk, or the comparison would flatter it."""
    ours, plain = (merged(COLLECTORS[name], tmp_path / name)[0] for name in ("agent.yaml", "contrib defaults"))

    assert (True, ["batch"]) == (
        any(name.startswith("redaction") for name in ours["service"]["pipelines"]["traces"]["processors"]),
        plain["service"]["pipelines"]["traces"]["processors"],
    )
    assert ("file_storage", None) == (
        ours["exporters"]["otlp_http/answers"]["sending_queue"]["storage"],
        plain["exporters"]["otlp_http"].get("sending_queue"),
    )
