"""The store on a real DuckDB file: what is acknowledged stays, what is asked comes, what is too old or much goes."""

import os
import random
import subprocess
import sys
import threading
import time

import duckdb
import pyarrow as pa
import pytest

from shopscope._errors import ConfigError
from shopscope_ops.store import Limits, QueueFullError, Store, StoreError, StoreLockedError, StoreUnavailableError
from shopscope_ops.store.otlp import decode_logs, decode_metrics, decode_traces
from shopscope_ops.store.schema import TABLES

FAST = Limits(flush_seconds=0.005)
FOREVER = Limits(flush_seconds=0.005, max_age_seconds=100 * 365 * 86400.0)


def keep(store, message, decode=decode_traces):
    """Store a request and wait for its commit."""
    decoded = decode(message.SerializeToString())
    store.submit(decoded.tables).result(timeout=30)
    return decoded


@pytest.fixture
def store(tmp_path):
    with Store(tmp_path / "data", FOREVER) as opened:
        yield opened


def test_rows_come_back_as_they_went_in(store, otlp):
    """All four tables, with the schema, every column equal."""
    sent = [
        keep(store, otlp.traces(3)),
        keep(store, otlp.metrics(), decode_metrics),
        keep(store, otlp.logs(), decode_logs),
    ]
    expected = {name: table for decoded in sent for name, table in decoded.tables.items()}
    assert {name: store.read(name) for name in TABLES} == expected


def test_rows_survive_a_restart(tmp_path, otlp):
    """Closing and opening keeps rows, and when each service was last heard."""
    with Store(tmp_path, FOREVER) as store:
        keep(store, otlp.traces(3))
    with Store(tmp_path, FOREVER) as store:
        status = store.status()
    assert (status.rows["spans"], status.oldest_unix_nano) == (3, otlp.NOW)
    assert status.last_seen_unix_nano == {"checkout": otlp.NOW + 2_000_000}


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, [0, 1, 2, 3]),
        ({"since_nano": 1}, [1, 2, 3]),
        ({"until_nano": 2}, [0, 1]),
        ({"since_nano": 1, "until_nano": 3}, [1, 2]),
        ({"service": "checkout"}, [0, 1, 2, 3]),
        ({"service": "' OR 1=1 --"}, []),
        ({"name": "POST /payments", "limit": 2}, [2, 3]),
        ({"name": "GET"}, []),
        ({"trace_id": "00"}, []),
        ({"limit": 9}, [0, 1, 2, 3]),
        ({"until_nano": 3, "limit": 1}, [2]),
    ],
)
def test_read_filters(store, otlp, filters, expected):
    """Since is included, until is not, and a limit keeps the newest."""
    keep(store, otlp.traces(4))
    times = {key: otlp.NOW + value * 1_000_000 for key, value in filters.items() if key.endswith("nano")}
    starts = store.read("spans", **filters | times)["start_unix_nano"].to_pylist()
    assert sorted((start - otlp.NOW) // 1_000_000 for start in starts) == expected


def test_stream_gives_what_read_gives(store, otlp):
    """Batch by batch, the same rows."""
    keep(store, otlp.traces(4))
    with store.stream("spans", limit=3) as batches:
        rows = [row for batch in batches for row in batch.to_pylist()]
    assert rows == store.read("spans", limit=3).to_pylist()


def test_wrong_questions_are_errors_of_the_store(store):
    """An unknown table, a column that a table lacks, and wrong SQL."""
    with pytest.raises(StoreError, match="table must be one of spans, metric_points, exemplars, logs: 'meta'"):
        store.read("meta")
    with pytest.raises(StoreError, match="table metric_points has no column trace_id: 'ab'; leave it out"):
        store.read("metric_points", trace_id="ab")
    with pytest.raises(StoreError, match="the query failed"):
        store.sql("SELECT nothing")


def test_rows_of_another_shape_are_refused(store, otlp):
    """Only tables with the schema's columns are stored."""
    spans = decode_traces(otlp.traces().SerializeToString()).tables["spans"]
    with pytest.raises(StoreError, match="table logs must have the columns"):
        store.submit({"logs": spans})


def test_sql_takes_parameters(store, otlp):
    """By position and by name."""
    keep(store, otlp.traces(2))
    by_position = store.sql("SELECT count(*) AS n FROM spans WHERE service = ?", ["checkout"])
    by_name = store.sql("SELECT count(*) AS n FROM spans WHERE service = $service", {"service": "checkout"})
    assert [by_position.to_pylist(), by_name.to_pylist()] == [[{"n": 2}], [{"n": 2}]]


def test_readers_work_while_rows_arrive(store, otlp):
    """Four readers and four senders at once: every commit is whole, and nothing is lost."""
    faults, counts = [], []

    def send(number):
        for turn in range(10):
            keep(store, otlp.traces(64, service=f"service-{number}", start=otlp.NOW + turn))

    def ask():
        query = "SELECT count(*) AS n FROM spans"
        counts.extend(store.sql(query).to_pylist()[0]["n"] for _ in range(20))

    def guarded(work, *arguments):
        try:
            work(*arguments)
        except Exception as error:  # noqa: BLE001  # reported by the assertion
            faults.append(error)

    threads = [threading.Thread(target=guarded, args=(send, number)) for number in range(4)]
    threads += [threading.Thread(target=guarded, args=(ask,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert {count % 64 for count in counts} == {0}
    assert store.status().rows["spans"] == 4 * 10 * 64


def test_full_queue_refuses_more(tmp_path, otlp):
    """A request that is alone is let in, whatever its size; the next is asked to wait."""
    tables = decode_traces(otlp.traces(2).SerializeToString()).tables
    with Store(tmp_path, Limits(queue_bytes=1, flush_seconds=60)) as store:
        first = store.submit(tables)
        with pytest.raises(QueueFullError, match="queue must hold at most 1 bytes") as caught:
            store.submit(tables)
    assert (caught.value.retry_after_seconds, first.result(timeout=0)) == (1, None)


def test_close_commits_what_waits(tmp_path, otlp):
    """Rows that wait for company are written at once when the store closes; later ones are refused."""
    tables = decode_traces(otlp.traces(2).SerializeToString()).tables
    store = Store(tmp_path, Limits(flush_seconds=60, max_age_seconds=FOREVER.max_age_seconds))
    future = store.submit(tables)
    assert store.close() is True
    assert future.result(timeout=0) is None
    with pytest.raises(StoreUnavailableError, match="the store is closing"):
        store.submit(tables)
    with Store(tmp_path, FOREVER) as store:
        assert store.status().rows["spans"] == 2


def test_second_process_is_told_who_has_the_folder(store, tmp_path):
    """One process owns the file; the error names it."""
    code = "import sys; from pathlib import Path; from shopscope_ops.store import Store; Store(Path(sys.argv[1]))"
    folder = str(tmp_path / "data")
    done = subprocess.run([sys.executable, "-c", code, folder], capture_output=True, text=True, check=False)
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith(f"{StoreLockedError.__module__}.StoreLockedError: data folder {folder} must belong to one")
    assert f"process {os.getpid()} (" in last
    assert store.status().rows["spans"] == 0


def _truncated(content):
    return content[: len(content) // 2]


def _scribbled(content):
    return content[:20_000] + b"\x55" * 50_000 + content[70_000:]


@pytest.mark.parametrize("damage", [_truncated, _scribbled, lambda _: b"not a database" * 1000, lambda _: b""])
def test_damaged_file_is_set_aside(tmp_path, otlp, caplog, damage):
    """The engine starts with a new file, keeps the old one, and says so."""
    with Store(tmp_path, FOREVER) as store:
        keep(store, otlp.traces(512))
    file = tmp_path / "shopscope.duckdb"
    damaged = damage(file.read_bytes())
    file.write_bytes(damaged)
    with Store(tmp_path, FOREVER) as store:
        keep(store, otlp.traces(2))
        status = store.status()
    aside = tmp_path / "shopscope.duckdb.bak"
    assert (status.rows["spans"], status.set_aside, aside.read_bytes()) == (2, str(aside), damaged)
    assert "was set aside as shopscope.duckdb.bak and a new file begun: it cannot be read" in caplog.text


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("UPDATE shopscope_meta SET schema_version = 99", "its schema version is 99, this program's is 1"),
        ("DROP TABLE shopscope_meta", "it holds other tables than ours"),
    ],
)
def test_file_of_another_version_is_set_aside(tmp_path, caplog, statement, reason):
    """Twice: the second does not overwrite the first."""
    for _ in range(2):
        with Store(tmp_path):
            pass
        with duckdb.connect(str(tmp_path / "shopscope.duckdb")) as connection:
            connection.execute(statement)
    with Store(tmp_path):
        names = sorted(path.name for path in tmp_path.iterdir() if not path.name.endswith(".wal"))
    assert names == ["shopscope.duckdb", "shopscope.duckdb.bak", "shopscope.duckdb.bak2"]
    assert reason in caplog.text


def test_folder_that_cannot_be_made_is_an_error(tmp_path):
    """A file stands where the folder should be."""
    (tmp_path / "data").write_text("")
    with pytest.raises(StoreError, match=r"data folder must be a writable folder: .*; give another one"):
        Store(tmp_path / "data")


def test_wrong_limits_are_one_error():
    """Every fault is listed."""
    with pytest.raises(ConfigError) as caught:
        Limits(max_age_seconds=0, max_bytes=1)
    assert caught.value.problems == (
        "max age must be positive: 0 s; give for example 24h",
        "max bytes must be at least 256000000: 1; give for example 2GB",
    )


def test_rows_beyond_their_age_go(tmp_path, otlp):
    """Old rows of every table are removed, those within the age stay."""
    now = time.time_ns()
    with Store(tmp_path, Limits(flush_seconds=0.005, max_age_seconds=3.0)) as store:
        keep(store, otlp.traces(5, start=now - 60 * 10**9))
        keep(store, otlp.logs(), decode_logs)
        keep(store, otlp.traces(2, start=now + 60 * 10**9))
        deadline = time.monotonic() + 30
        while sum(store.status().rows.values()) > 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert store.status().rows == {"spans": 2, "metric_points": 0, "exemplars": 0, "logs": 0}


def _random_spans(otlp, rows):
    """Spans with ids and texts that no compression makes smaller; as many as DuckDB compresses together."""
    rng = random.Random(7)
    sample = decode_traces(otlp.traces().SerializeToString()).tables["spans"]
    spans = sample.take(pa.array([0] * rows))
    for name, size in (("trace_id", 16), ("span_id", 8), ("status_message", 128)):
        texts = pa.array(rng.randbytes(size).hex() for _ in range(rows))
        spans = spans.set_column(spans.schema.get_field_index(name), name, texts)
    return spans


def test_file_stops_growing_at_its_limit(tmp_path, otlp):
    """More than twice the limit is written: the files stay below it, the newest rows are there, the oldest are gone."""
    rows, turns = 122_880, 30
    spans = _random_spans(otlp, rows)
    where = spans.schema.get_field_index("start_unix_nano")
    sizes = []
    with Store(tmp_path, Limits(flush_seconds=0, max_bytes=256_000_000, max_age_seconds=1e10)) as store:
        for turn in range(turns):
            starts = pa.array(range(turn * rows, (turn + 1) * rows), pa.int64())
            store.submit({"spans": spans.set_column(where, "start_unix_nano", starts)}).result(timeout=60)
            sizes.append(sum(path.stat().st_size for path in tmp_path.iterdir()))
        status = store.status()
        newest = store.read("spans", limit=1)["start_unix_nano"].to_pylist()
    assert max(sizes) <= 256_000_000
    assert newest == [rows * turns - 1]
    assert status.oldest_unix_nano == rows * turns - status.rows["spans"]
    assert rows * turns // 8 < status.rows["spans"] < rows * turns // 2
