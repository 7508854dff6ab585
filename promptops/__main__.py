"""Where the program starts: the command ``promptops``, and ``python -m promptops``."""

import os
import signal
import sys


def start() -> None:
    _open_closed_streams()
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # until a verb runs: Ctrl-C would end in a traceback
    from promptops.cli.main import entry

    entry()


def _open_closed_streams() -> None:
    """What a caller has closed (``>&-``) is lost; else it would go into the next file that is opened."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode, encoding="utf-8"))


if __name__ == "__main__":
    start()
