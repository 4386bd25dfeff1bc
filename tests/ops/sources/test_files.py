"""A file is what its content says; what it is not, is one clear error."""

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from shopscope_ops.sources import InputError, from_file
from shopscope_ops.store.schema import SPANS

INCIDENTS = Path(__file__).parents[2] / "fixtures" / "incidents"


@pytest.mark.parametrize("name", ["boutique-025", "boutique-025/spans.parquet"])
def test_incident_is_read_as_folder_or_file(name):
    """Recorded spans have the span table's columns; kind and status are unknown."""
    found = from_file(INCIDENTS / name)
    assert (found.spans.schema, len(found.spans)) == (SPANS, 22_215)
    assert found.spans.slice(0, 1).select(["kind", "status", "journey"]).to_pylist() == [
        {"kind": "", "status": "", "journey": ""}
    ]
    raw = pq.read_table(INCIDENTS / "boutique-025" / "spans.parquet")
    window = (pc.min(raw["start_unix_nano"]).as_py(), pc.max(raw["end_unix_nano"]).as_py())
    assert (found.since_unix_nano, found.until_unix_nano) == window


def test_parquet_under_another_name_is_recognised(tmp_path):
    """The suffix does not matter; a span table of our own keeps its columns."""
    row = dict.fromkeys(SPANS.names, "") | {"trace_id": "t", "span_id": "s", "start_unix_nano": 5, "duration_nano": 7}
    table = pa.Table.from_pylist([row | {"kind": "server"}], schema=SPANS)
    pq.write_table(table, tmp_path / "spans.data")
    assert from_file(tmp_path / "spans.data").spans == table


def test_empty_parquet_is_empty_telemetry(tmp_path):
    """No rows is no error: there is just nothing to say."""
    pq.write_table(SPANS.empty_table(), tmp_path / "spans.parquet")
    found = from_file(tmp_path)
    assert (found.is_empty, found.since_unix_nano) == (True, None)


def columns(**changed):
    base = {name: ["x"] for name in ("trace_id", "span_id", "parent_span_id", "service", "name")}
    base |= {"start_unix_nano": [1], "end_unix_nano": [2]}
    return pa.table({name: values for name, values in (base | changed).items() if values})


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (columns(service=None), "columns service must be spans with the columns trace_id, "),
        (columns(start_unix_nano=["noon"]), "column start_unix_nano must be of type int64: 'string'"),
        (columns(start_unix_nano=[None]), "column start_unix_nano, row 0 must be a time in nanoseconds: None"),
    ],
)
def test_wrong_column_is_named(tmp_path, table, words):
    """The error names the column, what it must be and what it is."""
    path = tmp_path / "spans.parquet"
    pq.write_table(table, path)
    with pytest.raises(InputError) as caught:
        from_file(path)
    assert str(caught.value).startswith(f"{path}, {words}")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "must be a file with telemetry: 'an empty file'"),
        (b"service,name\n1,2\n", "line 1, column 1 must be JSON"),
        (b'{"streams": []}', "must be OTLP or Jaeger JSON: ['streams']"),
        (b"[1, 2]", "must be OTLP or Jaeger JSON: 'list'"),
        (b'{\n "data": [\n oops\n]}', "line 3, column 2 must be JSON"),
        (b"PAR1 and no more", "must be a readable Parquet file"),
        (b"\x1f\x8b and no more", "must be a readable file"),
    ],
)
def test_other_content_is_refused(tmp_path, content, words):
    """What is neither Parquet nor a known JSON is said to be so, with what would be right."""
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        from_file(path)
    assert str(caught.value).startswith(str(path))
    assert words in str(caught.value)


def test_folder_without_spans_is_refused(tmp_path):
    """The error lists what is there instead."""
    (tmp_path / "notes.txt").touch()
    with pytest.raises(InputError, match=r"must be a folder with spans\.parquet: \['notes\.txt'\]"):
        from_file(tmp_path)


def test_missing_file_is_refused(tmp_path):
    """A path that leads nowhere is the first thing to get wrong."""
    with pytest.raises(InputError, match="must be a readable file: No such file"):
        from_file(tmp_path / "nowhere")
