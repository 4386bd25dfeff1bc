"""Printing the ends of logs and what is added to them."""

import subprocess
import sys

import pytest

from shopscope_ops.engines._logs import print_logs

FOLLOW = """
import sys
from pathlib import Path
from shopscope_ops.engines._logs import print_logs
print_logs({"one": Path(sys.argv[1])}, 1, follow=True)
"""


def test_the_last_lines_of_each_stand_under_its_name(tmp_path, capsys):
    """Names are of one width; what is not UTF-8 does not matter."""
    one, another = tmp_path / "one.log", tmp_path / "another.log"
    one.write_bytes(b"a\nb\n\xff\n")
    another.write_text("c\n")
    print_logs({"one": one, "another": another}, 2, follow=False)
    assert ["one     | b", "one     | \N{REPLACEMENT CHARACTER}", "another | c"] == capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("lines", [0, 5])
def test_more_or_fewer_lines_than_there_are(tmp_path, capsys, lines):
    """None are asked for, or all are shown."""
    log = tmp_path / "one.log"
    log.write_text("a\nb\n")
    print_logs({"one": log}, lines, follow=False)
    assert ["one | a", "one | b"][:lines] == capsys.readouterr().out.splitlines()


def test_added_lines_are_followed_also_into_a_fresh_log(tmp_path):
    """A line is shown when it is complete; a log that was set aside is read from its beginning."""
    log = tmp_path / "one.log"
    log.write_bytes(b"old\nlast\n")
    with subprocess.Popen([sys.executable, "-c", FOLLOW, log], stdout=subprocess.PIPE, text=True) as process:
        shown = [process.stdout.readline()]
        with log.open("ab") as file:
            file.write(b"\xffdded\nhal")
        shown.append(process.stdout.readline())
        with log.open("ab") as file:
            file.write(b"f\n")
        shown.append(process.stdout.readline())
        log.write_bytes(b"new\n")
        shown.append(process.stdout.readline())
        process.terminate()
    assert ["one | last\n", "one | \N{REPLACEMENT CHARACTER}dded\n", "one | half\n", "one | new\n"] == shown
