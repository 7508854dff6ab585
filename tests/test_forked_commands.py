"""A fork of the server ends as a start of Python does, and has the surroundings that it was given."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from support.forked_commands import ForkedPopen, run_forked, write_program

LATE = "import threading, time; threading.Thread(target=lambda: time.sleep(0.1) or print('late')).start()"


CODES = ("", "sys.exit(3)", "sys.exit('words')", "1 / 0", LATE, "os.kill(os.getpid(), 9)")
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)


@pytest.mark.parametrize(
    ("code", "sent"), [*((code, None) for code in CODES), *(("time.sleep(60)", number) for number in SIGNALS)]
)
def test_it_ends_as_python_does(code: str, sent: signal.Signals | None) -> None:
    goodbye = "import atexit, os, sys, time; atexit.register(lambda: print('bye'))"
    program = f"{goodbye}; print('up', flush=True); {code}"
    ends = []
    for popen in (ForkedPopen, subprocess.Popen):
        command = [sys.executable, "-c", program]
        with popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8") as child:
            assert child.stdout
            assert child.stderr
            assert child.stdout.readline() == "up\n"
            assert not sent or child.poll() is None
            if sent:
                child.send_signal(sent)
            out, err = child.stdout.read(), child.stderr.read()
            ends.append((child.wait(60), out, err.splitlines()[-1:]))
    assert ends[0] == ends[1]


def test_it_has_the_surroundings_that_it_was_given(tmp_path: Path) -> None:
    code = (
        "import os, sys; del os.environ['LC_CTYPE']; "  # which Python may set itself
        "print(os.getcwd(), os.environ, sys.argv, sys.path[0], os.getsid(0) == os.getpid(), input())"
    )
    said = [
        run(
            [sys.executable, "-c", code, "a b"],
            cwd=tmp_path,
            env={"ONLY": "this", "LC_CTYPE": "C.UTF-8"},
            start_new_session=True,
            input="given",
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for run in (run_forked, subprocess.run)
    ]
    assert said[0] == said[1]


def test_one_that_takes_too_long(tmp_path: Path) -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        run_forked([sys.executable, "-c", "import time; time.sleep(60)"], check=True, timeout=0.1)


def test_a_program_ends_as_its_command_line_does(tmp_path: Path) -> None:
    write_program(tmp_path / "program", "-c", "'import os; os.kill(os.getpid(), 15)'")
    assert subprocess.run([tmp_path / "program"], check=False).returncode == -signal.SIGTERM
    write_program(tmp_path / "promptops", "-m", "promptops")
    shown = subprocess.run([tmp_path / "promptops", "--version"], check=True, capture_output=True, text=True)
    assert shown.stdout.startswith("promptops ")
    assert os.access(tmp_path / "promptops", os.X_OK)
