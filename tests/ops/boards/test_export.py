"""``shopscope export``: files that Grafana's provisioning, its sidecar and the Prometheus operator read."""

import json

import pytest
import yaml

BOARD = "shopscope-journey-pay"
# What kubectl apply remembers of an object may be no longer.
ANNOTATION_BYTES = 262_144


def documents(path):
    return list(yaml.safe_load_all(path.read_text(encoding="utf-8")))


def test_provisioning(run, team):
    """A provider, the boards as they are generated, and the rules."""
    made = team / "made"
    arguments = ("export", made, "--boards-path", "/srv/boards", "--folder", "pay", "--folder-title", "Payments")
    assert 0 == run(*arguments)[0]
    run("generate")
    (document,) = documents(made / "provisioning/dashboards/shopscope.yml")
    (provider,) = document["providers"]
    assert (1, "/srv/boards", "pay", "Payments", "file") == (
        document["apiVersion"],
        provider["options"]["path"],
        provider["folderUid"],
        provider["folder"],
        provider["type"],
    )
    boards = {path.name: path.read_text(encoding="utf-8") for path in (made / "boards").iterdir()}
    generated = {path.name: path.read_text(encoding="utf-8") for path in (team / "dashboards/generated").iterdir()}
    assert generated == boards
    assert (made / "rules/slo.yml").read_text(encoding="utf-8") == (team / "stack/prometheus/rules/slo.yml").read_text(
        encoding="utf-8"
    )
    assert (0, "everything is as it has to be\n") == run(*arguments)


def test_a_board_that_is_no_more(run, team):
    """Goes, as with generate; a board of others stays."""
    run("export", team / "made")
    (team / "made/boards/theirs.json").write_text("{}", encoding="utf-8")
    text = (team / "shopscope.toml").read_text(encoding="utf-8").replace("journeys.pay", "journeys.buy")
    (team / "shopscope.toml").write_text(text, encoding="utf-8")
    code, output = run("export", team / "made")
    assert (0, True) == (code, f"removed {team}/made/boards/{BOARD}.json" in output)
    left = {path.name for path in (team / "made/boards").iterdir()}
    assert {"theirs.json", "shopscope-journey-buy.json"} <= left


def test_a_cluster(run, team):
    """A ConfigMap for each board with the sidecar's label, and the rules with the operator's."""
    made = team / "made"
    labels = ("--label", "release=kube-prometheus-stack", "--label", "prometheus=main")
    assert 0 == run("export", made, "--as", "kubernetes", "--namespace", "monitoring", *labels)[0]
    run("generate")
    maps = {one["metadata"]["name"]: one for one in documents(made / "shopscope-boards.yml")}
    assert {path.stem for path in (team / "dashboards/generated").iterdir()} == set(maps)
    for uid, one in maps.items():
        assert ("v1", "ConfigMap", "monitoring") == (one["apiVersion"], one["kind"], one["metadata"]["namespace"])
        assert {"grafana_dashboard": "1"} == one["metadata"]["labels"]
        ((name, text),) = one["data"].items()
        generated = (team / f"dashboards/generated/{uid}.json").read_text(encoding="utf-8")
        assert (f"{uid}.json", json.loads(generated)) == (name, json.loads(text))
        assert len(json.dumps(one)) < ANNOTATION_BYTES
    (rules,) = documents(made / "shopscope-rules.yml")
    assert ("monitoring.coreos.com/v1", "PrometheusRule", "shopscope-slo") == (
        rules["apiVersion"],
        rules["kind"],
        rules["metadata"]["name"],
    )
    assert {"release": "kube-prometheus-stack", "prometheus": "main"} == rules["metadata"]["labels"]
    text = (team / "stack/prometheus/rules/slo.yml").read_text(encoding="utf-8")
    assert yaml.safe_load(text) == rules["spec"]


def test_names_that_a_cluster_takes(run, team):
    """A journey's name may have an underscore, the name of an object not."""
    text = (team / "shopscope.toml").read_text(encoding="utf-8").replace("journeys.pay", "journeys.pay_later")
    (team / "shopscope.toml").write_text(text, encoding="utf-8")
    run("export", team / "made", "--as", "kubernetes")
    maps = {one["metadata"]["name"]: one for one in documents(team / "made/shopscope-boards.yml")}
    assert ["shopscope-journey-pay_later.json"] == list(maps["shopscope-journey-pay--later"]["data"])


@pytest.mark.parametrize("pair", ["release", "=x", "release="])
def test_a_label_that_is_none(run, team, pair):
    """Name and value."""
    code, output = run("export", team / "made", "--as", "kubernetes", "--label", pair)
    assert (1, True) == (code, f"--label must be name=value: '{pair}'" in output)
    assert not (team / "made").exists()
