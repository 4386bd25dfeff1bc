"""A thousand hostile inputs through a real application: nothing breaks, nothing changes, nothing secret leaves."""

import itertools
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
from corpus import COUNT, corpus  # noqa: E402 (found by the line above)

_WORD = re.compile(rb"Zq[A-Za-z0-9]{6,}")
_DIGITS = re.compile(rb"\d[\d .-]{11,}")
_ACCOUNT = re.compile(rb"(?:DE|GB)\d\d[A-Z\d ]{14,}")
_SEPARATORS = re.compile(rb"[ .-]")
_LARGEST_PEAK_KIB = 300 * 1024


@pytest.fixture
def run(sink, environment, tmp_path):
    """A function that runs the service and returns its answers, its peak memory, and every byte that left it."""
    bodies = []
    accept = sink.accept

    def keep(path, body):
        bodies.append(body)
        accept(path, body)

    def start(log_format, count):
        sink.accept = keep
        (tmp_path / "shopscope.toml").write_text("", encoding="utf-8")
        done = subprocess.run(
            [sys.executable, str(HERE / "service.py"), str(tmp_path / "answers.json"), str(count)],
            env={**os.environ, **environment, "SHOPSCOPE_LOG_FORMAT": log_format, "SHOPSCOPE_LOG_REPEATS": "off"},
            capture_output=True,
            timeout=120,
            check=False,
        )
        assert (0, b"") == (done.returncode, done.stderr)
        return json.loads((tmp_path / "answers.json").read_text("utf-8")), done.stdout, bodies

    return start


def expected_answer(hostile):
    if hostile.action == "raise" and hostile.key != "user_password":
        return [hostile.number, 500, "Internal Server Error", "refused"]
    return [hostile.number, 200]


def check_that_nothing_leaked(inputs, left):
    assert [] == [word for one in left for word in _WORD.findall(one)]
    numbers = b"|".join({_SEPARATORS.sub(b"", match) for one in left for match in _DIGITS.findall(one)})
    secrets = {secret for hostile in inputs for secret in hostile.secrets}
    assert [] == [card for card in secrets if card.isdigit() and card in numbers]
    accounts = b"|".join({match for one in left for match in _ACCOUNT.findall(one)})
    assert [] == [secret for secret in secrets if secret[:2] in {b"DE", b"GB"} and secret in accounts]


@pytest.mark.parametrize(("log_format", "count"), [("json", COUNT), ("console", 200)])
def test_hostile_inputs(run, log_format, count):
    """Every request is answered as without telemetry; no planted secret is in any byte; memory stays small."""
    result, output, bodies = run(log_format, count)
    inputs = list(itertools.islice(corpus(), count))
    answers = [
        answer[: len(expected_answer(hostile))] for hostile, answer in zip(inputs, result["answers"], strict=True)
    ]
    assert [expected_answer(hostile) for hostile in inputs] == answers
    check_that_nothing_leaked(inputs, [output, *bodies])
    assert result["peak_kib"] < _LARGEST_PEAK_KIB
    lines = output.splitlines()
    if log_format == "json":
        events = [json.loads(line)["event"] for line in lines]
        assert (count, False) == (events.count("request"), "forged" in events)
    else:
        # Each line is one of ours, or the indented line of a stack trace.
        assert [] == [line for line in lines if not line.startswith((b"\x1b[2m20", b"    "))]


def test_corpus_is_the_same_each_time():
    """A failure can be repeated: path, headers, keys and secrets come in the same order."""
    first, second = ([(one.path, one.headers, one.key, one.secrets) for one in corpus()] for _ in range(2))
    assert first == second
    assert COUNT == len(first)
