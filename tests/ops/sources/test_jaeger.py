"""Jaeger's JSON as its API and UI write it."""

import copy
import json

import pytest

from shopscope_ops.sources import InputError, from_file

SPAN = {
    "traceID": "1f",
    "spanID": "b",
    "operationName": "GET",
    "references": [{"refType": "CHILD_OF", "traceID": "1f", "spanID": "a"}],
    "startTime": 1_790_000_000_000_010,
    "duration": 40_000,
    "tags": [
        {"key": "span.kind", "type": "string", "value": "client"},
        {"key": "peer.service", "type": "string", "value": "bank"},
        {"key": "shopscope.journey", "type": "string", "value": "checkout"},
        {"key": "error", "type": "bool", "value": True},
        {"key": "http.status_code", "type": "int64", "value": 503},
    ],
    "logs": [],
    "processID": "p1",
}
ROOT = {"traceID": "1f", "spanID": "a", "operationName": "POST /pay", "startTime": 1_790_000_000_000_000} | {
    "duration": 50_000,
    "processID": "p1",
    "tags": [{"key": "span.kind", "value": "server"}, {"key": "server.address", "value": "me"}],
}
TRACE = {
    "traceID": "1f",
    "spans": [ROOT, SPAN],
    "processes": {"p1": {"serviceName": "payment", "tags": [{"key": "hostname", "value": "host-1"}]}},
}


def write(tmp_path, document):
    path = tmp_path / "trace.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def rows(tmp_path, document):
    return from_file(write(tmp_path, document)).spans.to_pylist()


@pytest.mark.parametrize("document", [{"data": [TRACE], "total": 0}, [TRACE], TRACE])
def test_tags_and_processes_become_columns(tmp_path, document):
    """Ids get their zeros back, microseconds become nanoseconds, tags become kind, peer, journey and status."""
    root, span = rows(tmp_path, document)
    attributes = json.loads(span.pop("attributes"))
    assert attributes["http.status_code"] == 503
    expected = {
        "trace_id": "1f".zfill(32),
        "span_id": "b".zfill(16),
        "parent_span_id": "a".zfill(16),
        "service": "payment",
        "instance": "host-1",
        "name": "GET",
        "kind": "client",
        "peer": "bank",
        "journey": "checkout",
        "start_unix_nano": 1_790_000_000_000_010_000,
        "duration_nano": 40_000_000,
        "status": "error",
    }
    assert {name: span[name] for name in expected} == expected
    assert (root["parent_span_id"], root["peer"], root["status"]) == ("", "", "unset")


def test_process_may_be_written_into_the_span(tmp_path):
    """Jaeger's storage writes the process beside each span."""
    span = SPAN | {"process": {"serviceName": "inline", "tags": []}, "processID": None}
    assert [row["service"] for row in rows(tmp_path, {"data": [{"spans": [span]}]})] == ["inline"]


def test_what_follows_from_is_not_waited_for(tmp_path):
    """FOLLOWS_FROM says that the parent did not wait: the span becomes a consumer."""
    span = SPAN | {"tags": [], "references": [{"refType": "FOLLOWS_FROM", "traceID": "1f", "spanID": "a"}]}
    (row,) = rows(tmp_path, TRACE | {"spans": [span]})
    assert (row["parent_span_id"], row["kind"]) == ("a".zfill(16), "consumer")


def test_status_code_of_opentelemetry_wins(tmp_path):
    """otel.status_code says it better than the error flag."""
    span = SPAN | {"tags": [{"key": "otel.status_code", "value": "OK"}]}
    assert [row["status"] for row in rows(tmp_path, TRACE | {"spans": [span]})] == ["ok"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"startTime": "soon"}, "data[0].spans[0].startTime must be whole microseconds: 'soon'"),
        ({"duration": None}, "data[0].spans[0].duration must be whole microseconds: None"),
        ({"startTime": 2**60}, "data[0].spans[0].startTime must be whole microseconds"),
        ({"spanID": ""}, "data[0].spans[0].spanID must be an id as text: ''"),
        ({"processID": "p9"}, "data[0].spans[0].processID must be a process of the trace: 'p9'"),
        ({"tags": "many"}, "data[0].spans[0].tags must be a list: 'many'"),
        ({"tags": [1]}, "data[0].spans[0].tags[0] must be an object with a key: 1"),
        ({"references": [{}]}, "data[0].spans[0].references[0] must be an object with a spanID: {}"),
    ],
)
def test_wrong_field_is_named(tmp_path, change, words):
    """One clear error: file, field, rule, value, fix."""
    path = write(tmp_path, {"data": [copy.deepcopy(TRACE) | {"spans": [SPAN | change]}]})
    with pytest.raises(InputError) as caught:
        from_file(path)
    assert words in str(caught.value)
    assert str(caught.value).startswith(f"{path}, ")
    assert str(caught.value).endswith("; export the trace again as JSON from Jaeger")


def test_span_must_be_an_object(tmp_path):
    """A list of numbers is no list of spans."""
    with pytest.raises(InputError, match=r"data\[0\]\.spans\[0\] must be an object: 7"):
        rows(tmp_path, {"data": [TRACE | {"spans": [7]}]})
