"""OTLP JSON lines, as the collector's file exporter writes them."""

import gzip
import json

import pytest

from shopscope_ops.sources import InputError, from_file

BEGIN = 1_790_000_000_000_000_000
RESOURCE = {
    "attributes": [
        {"key": "service.name", "value": {"stringValue": "storefront"}},
        {"key": "service.instance.id", "value": {"stringValue": "i-1"}},
    ]
}
SPANS = {
    "resourceSpans": [
        {
            "resource": RESOURCE,
            "scopeSpans": [
                {
                    "spans": [
                        {
                            "traceId": "5b8efff798038103d269b633813fc60c",
                            "spanId": "eee19b7ec3c1b174",
                            "name": "POST /checkout",
                            "kind": 2,
                            "startTimeUnixNano": str(BEGIN),
                            "endTimeUnixNano": str(BEGIN + 250_000_000),
                            "attributes": [{"key": "shopscope.journey", "value": {"stringValue": "checkout"}}],
                        }
                    ]
                }
            ],
        }
    ]
}
METRICS = {
    "resourceMetrics": [
        {
            "resource": RESOURCE,
            "scopeMetrics": [
                {
                    "metrics": [
                        {
                            "name": "shopscope.journey.duration",
                            "unit": "s",
                            "histogram": {
                                "aggregationTemporality": 2,
                                "dataPoints": [
                                    {
                                        "startTimeUnixNano": str(BEGIN - 20 * 10**9),
                                        "timeUnixNano": str(BEGIN + 5 * 10**9),
                                        "count": "1",
                                        "sum": 0.25,
                                        "bucketCounts": ["0", "1", "0"],
                                        "explicitBounds": [0.1, 0.5],
                                        "attributes": [{"key": "journey", "value": {"stringValue": "checkout"}}],
                                    }
                                ],
                            },
                        }
                    ]
                }
            ],
        }
    ]
}
LOGS = {"resourceLogs": [{"resource": RESOURCE, "scopeLogs": [{"logRecords": [{"body": {"stringValue": "hi"}}]}]}]}


def write(tmp_path, *lines):
    path = tmp_path / "telemetry.jsonl"
    path.write_text("".join(line if isinstance(line, str) else json.dumps(line) + "\n" for line in lines))
    return path


def test_lines_of_all_signals_are_read(tmp_path):
    """Spans and metric points are taken, logs are passed over, empty lines too."""
    found = from_file(write(tmp_path, SPANS, "\n", METRICS, LOGS))
    assert [(row["service"], row["kind"], row["journey"]) for row in found.spans.to_pylist()] == [
        ("storefront", "server", "checkout")
    ]
    assert found.metric_points["bucket_counts"].to_pylist() == [[0, 1, 0]]


def test_window_begins_with_the_service(tmp_path):
    """A service that started shortly before its first span counts from zero; the window says so."""
    found = from_file(write(tmp_path, SPANS, METRICS))
    assert (found.since_unix_nano, found.until_unix_nano) == (BEGIN - 20 * 10**9, BEGIN + 5 * 10**9)


@pytest.mark.parametrize("pretty", [None, 2])
def test_one_document_is_read_too(tmp_path, pretty):
    """A single request, on one line or pretty-printed, is a file as well."""
    path = tmp_path / "trace.json"
    path.write_text(json.dumps(SPANS, indent=pretty))
    assert len(from_file(path).spans) == 1


def test_content_decides_not_the_name(tmp_path):
    """Gzip'd lines under any name are recognised."""
    path = tmp_path / "data.bin"
    path.write_bytes(gzip.compress(json.dumps(SPANS).encode()))
    assert len(from_file(path).spans) == 1


def test_wrong_line_is_named(tmp_path):
    """The error names file and line, rule and value."""
    path = write(tmp_path, SPANS, "{broken\n", SPANS)
    with pytest.raises(InputError) as caught:
        from_file(path)
    assert str(caught.value).startswith(f"{path}, line 2 must be OTLP JSON (no JSON: ")


def test_other_json_between_the_lines_is_named(tmp_path):
    """A line of something else is an error, whatever its JSON says."""
    with pytest.raises(InputError, match=r"line 2 must be an object with resourceSpans.*: \['hello'\]"):
        from_file(write(tmp_path, SPANS, {"hello": 1}))


def test_wrong_field_within_a_line_is_named(tmp_path):
    """What the OTLP decoder refuses is reported with its line."""
    wrong = json.loads(json.dumps(SPANS).replace("eee19b7ec3c1b174", "no hex"))
    with pytest.raises(InputError, match=r"line 1 must be OTLP JSON .*span_id must be hexadecimal text: 'no hex'"):
        from_file(write(tmp_path, wrong))


def test_cut_off_last_line_is_left_out_and_said(tmp_path):
    """A collector that was killed in mid-write does not cost the recording."""
    found = from_file(write(tmp_path, SPANS, json.dumps(SPANS)[:50]))
    assert (len(found.spans), found.notes) == (1, ("line 2 is cut off and was left out",))


def test_invalid_spans_are_left_out_and_said(tmp_path):
    """A span that ends before it starts is refused as OTLP's partial success would, and a note says so."""
    wrong = json.loads(json.dumps(SPANS).replace(str(BEGIN + 250_000_000), str(BEGIN - 1)))
    found = from_file(write(tmp_path, SPANS, wrong))
    assert (len(found.spans), found.notes[0].startswith("1 spans or points are not valid OTLP")) == (1, True)
