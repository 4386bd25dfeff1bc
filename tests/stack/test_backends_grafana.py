"""What Grafana is given: data sources with every link between them, and nothing that leaves the machine."""

import configparser
from pathlib import Path

import pytest
import yaml

from shopscope_ops.engines.native import read_components
from shopscope_ops.engines.native._configuration import Configuration
from shopscope_ops.engines.native._stack import default_ports

ROOT = Path(__file__).parents[2]
GRAFANA = ROOT / "stack/grafana"


def provisioned(kind, key):
    """What a folder of provisioning holds under a key."""
    files = (GRAFANA / "provisioning" / kind).glob("*.yaml")
    return [one for path in files for one in yaml.safe_load(path.read_text(encoding="utf-8"))[key]]


SOURCES = {source["uid"]: source for source in provisioned("datasources", "datasources")}
LINKS = {
    "exemplar to trace": ("prometheus", ("exemplarTraceIdDestinations", 0, "datasourceUid"), "tempo"),
    "trace to logs": ("tempo", ("tracesToLogsV2", "datasourceUid"), "loki"),
    "trace to metrics": ("tempo", ("tracesToMetrics", "datasourceUid"), "prometheus"),
    "service graph": ("tempo", ("serviceMap", "datasourceUid"), "prometheus"),
    "log to trace": ("loki", ("derivedFields", 0, "datasourceUid"), "tempo"),
    "metric to its alerts": ("prometheus", ("alertmanagerUid",), "alertmanager"),
}


def test_data_sources_have_the_uids_that_boards_name():
    """And each is of the type that its uid says, at the address that the component has."""
    assert ["alertmanager", "loki", "prometheus", "tempo"] == sorted(SOURCES)
    assert sorted(SOURCES) == sorted(source["type"] for source in SOURCES.values())
    components = {uid: source["url"].removeprefix("http://").partition(":")[0] for uid, source in SOURCES.items()}
    assert {uid: uid for uid in SOURCES} == components
    assert ["prometheus"] == [uid for uid, source in SOURCES.items() if source.get("isDefault")]


@pytest.mark.parametrize("link", LINKS)
def test_every_link_leads_to_a_data_source(link):
    """A click on an exemplar, a span, a line or a node ends at the right place."""
    source, path, target = LINKS[link]
    found = SOURCES[source]["jsonData"]
    for step in path:
        found = found[step]
    assert target == found


def test_logs_of_a_span_are_found_by_the_labels_that_loki_keeps():
    """The label of the query is an index label of Loki's; the id is structured metadata, which is filtered for."""
    link = SOURCES["tempo"]["jsonData"]["tracesToLogsV2"]
    loki = yaml.safe_load((ROOT / "stack/loki/loki.yaml").read_text(encoding="utf-8"))
    kept = loki["distributor"]["otlp_config"]["default_resource_attributes_as_index_labels"]
    assert [(tag["key"], tag["key"].replace(".", "_")) for tag in link["tags"]] == [
        (tag["key"], tag["value"]) for tag in link["tags"]
    ]
    assert {tag["key"] for tag in link["tags"]} <= set(kept)
    assert '{$${__tags}} | trace_id="$${__trace.traceId}"' == link["query"]


def test_lines_do_not_break_into_dots():
    """The shortest step of a panel is no shorter than the interval of scrapes, nor than that of pushes (10 s)."""
    prometheus = yaml.safe_load((ROOT / "stack/prometheus/prometheus.yml").read_text(encoding="utf-8"))
    assert prometheus["global"]["scrape_interval"] == SOURCES["prometheus"]["jsonData"]["timeInterval"] == "15s"


def test_boards_come_from_files_alone():
    """Changes are made where boards are generated, not in the browser."""
    (provider,) = provisioned("dashboards", "providers")
    assert ("/etc/grafana/generated", False, True) == (
        provider["options"]["path"],
        provider["allowUiUpdates"],
        provider["disableDeletion"],
    )


def test_the_native_engine_reads_the_same_boards(tmp_path):
    """They are copied to where its Grafana looks for them, as they are."""
    Configuration(tmp_path, read_components(), default_ports(), {}).write(["grafana"], [])
    files = tmp_path / "config/grafana"
    (provider,) = yaml.safe_load((files / "provisioning/dashboards/shopscope.yaml").read_text("utf-8"))["providers"]
    boards = sorted((ROOT / "dashboards/generated").glob("*.json"))
    assert len(boards) > 5
    assert str(files / "generated") == provider["options"]["path"]
    assert [path.read_text("utf-8") for path in boards] == [
        (files / "generated" / path.name).read_text("utf-8") for path in boards
    ]


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("analytics", "reporting_enabled", "false"),
        ("analytics", "check_for_updates", "false"),
        ("analytics", "check_for_plugin_updates", "false"),
        ("plugins", "preinstall_disabled", "true"),
        ("plugins", "preinstall_auto_update", "false"),
        ("plugins", "public_key_retrieval_disabled", "true"),
        ("news", "news_feed_enabled", "false"),
        ("security", "disable_gravatar", "true"),
        ("snapshots", "external_enabled", "false"),
        ("auth.anonymous", "org_role", "Viewer"),
        ("users", "allow_sign_up", "false"),
    ],
)
def test_nothing_leaves_and_nobody_is_admin(section, key, value):
    """The settings whose defaults would call home or let in too many."""
    settings = configparser.ConfigParser(interpolation=None)
    settings.read(GRAFANA / "grafana.ini", encoding="utf-8")
    assert value == settings[section][key]


def test_viewers_may_follow_links_to_traces():
    """Exemplars, trace and log links of boards open Explore: without this a click leads nobody but editors anywhere."""
    settings = configparser.ConfigParser(interpolation=None)
    settings.read(GRAFANA / "grafana.ini", encoding="utf-8")
    assert settings["users"].getboolean("viewers_can_edit")
