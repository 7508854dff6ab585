"""The programs that this process has started."""

import os
import sys
from typing import Any

STARTED: list[list[str]] = []  # each with its arguments


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "subprocess.Popen":
        STARTED.append([os.fspath(word) for word in arguments[1]])


sys.addaudithook(_note)
