"""Locks between processes: waited for within bounds, and gone with whoever held them."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from promptops.config.locks import file_lock, lock_attempt
from promptops.errors import Unavailable
from support.forked_commands import ForkedPopen

HOLDER = """
import sys, time
from pathlib import Path
from promptops.config.locks import file_lock
with file_lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture(params=["file", "folder"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return tmp_path if request.param == "folder" else tmp_path / "lock"


def test_who_waits_too_long_is_told_who_holds_it(path: Path) -> None:
    with file_lock(path):
        began = time.monotonic()
        with pytest.raises(Unavailable) as caught, file_lock(path, 0.05):
            pass
        assert 0.05 <= time.monotonic() - began < 5
    assert caught.value.message == f"{path} has been locked by another process for 0.05 s"
    assert caught.value.hint == f"try again; `fuser '{path}'` names the process"
    with file_lock(path, 0.0):
        pass


def test_a_lock_ends_with_the_process_that_held_it(path: Path) -> None:
    with ForkedPopen([sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(Unavailable), file_lock(path, 0.0):
            pass
        holder.send_signal(signal.SIGKILL)
        with file_lock(path):
            pass


def test_an_attempt_says_whether_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with lock_attempt(path) as first, lock_attempt(path) as second, lock_attempt(path, 0.01) as third:
        assert (first, second, third) == (True, False, False)
    with lock_attempt(path, None) as held:
        assert held


def test_an_error_of_who_holds_it_is_passed_on(path: Path) -> None:
    with pytest.raises(ZeroDivisionError), file_lock(path):
        1 / 0  # noqa: B018 - whatever fails
    with file_lock(path, 0.0):
        pass
