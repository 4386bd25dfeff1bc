"""The state folder."""

import os
import subprocess
import sys

import pytest

from shopscope_ops.engines._state import StateError, held_lock, require_room, state_folder


def test_the_state_folder_is_where_the_user_says(tmp_path):
    """SHOPSCOPE_HOME wins over XDG_STATE_HOME, which wins over the default."""
    environment = {"SHOPSCOPE_HOME": str(tmp_path / "a"), "XDG_STATE_HOME": str(tmp_path / "b")}
    assert state_folder(environment) == tmp_path / "a"
    assert state_folder({"XDG_STATE_HOME": str(tmp_path / "b")}) == tmp_path / "b" / "shopscope"
    assert state_folder({}).parts[-3:] == (".local", "state", "shopscope")


def test_a_second_process_is_told_who_holds_the_lock(tmp_path):
    """The message names the holder's pid and the way out."""
    code = (
        "import sys\nfrom pathlib import Path\nfrom shopscope_ops.engines._state import held_lock\n"
        f"with held_lock(Path({str(tmp_path)!r}), 'demo'):\n    print('held', flush=True)\n    sys.stdin.read()"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", code], **pipes) as holder:
        holder.stdout.readline()
        message = rf"another demo is running \(pid {holder.pid}\)"
        with pytest.raises(StateError, match=message), held_lock(tmp_path, "demo"):
            pass
        holder.kill()


def test_the_lock_of_an_ended_process_is_free(tmp_path):
    """A lock is no file that stays behind: it can be taken again."""
    for _ in range(2):
        with held_lock(tmp_path, "demo"):
            assert (tmp_path / "lock").read_text() == str(os.getpid())


def test_a_folder_that_cannot_be_made_is_an_error_that_says_what_to_do(tmp_path):
    """The state folder below a file is named with the reason."""
    (tmp_path / "file").touch()
    with (
        pytest.raises(StateError, match=r"cannot be written: Not a directory.*SHOPSCOPE_HOME"),
        held_lock(tmp_path / "file" / "state", "demo"),
    ):
        pass


def test_a_full_disk_is_an_error_that_says_how_much_is_needed(tmp_path):
    """No disk has an exbibyte free."""
    with pytest.raises(StateError, match=r"is full: \d+ MiB are free and 1099511627776 MiB are needed"):
        require_room(tmp_path, 2**60)


def test_a_disk_with_room_is_fine(tmp_path):
    """One byte is there."""
    assert require_room(tmp_path, 1) is None
