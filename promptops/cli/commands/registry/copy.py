"""``promptops registry copy``: the registry in another place, such as a database."""

import time
from dataclasses import asdict
from typing import Annotated

import typer

from promptops.cli.options.common import JsonOption
from promptops.config.settings import named_registry
from promptops.console import note, print_json, print_text, show_status_line, stderr_is_terminal
from promptops.registry import copy_registry
from promptops.reports.numbers import pluralize

FromArgument = Annotated[
    str, typer.Argument(metavar="FROM", help="A registry: a file, or the URL of a PostgreSQL database.")
]
ToArgument = Annotated[
    str, typer.Argument(metavar="TO", help="The copy: a new or empty place, or an earlier copy of FROM.")
]


def registry_copy(source: FromArgument, target: ToArgument, as_json: JsonOption = False) -> None:
    """Copy a registry to a file or to a database, whole and compared row by row.

    FROM may be in use: the copy is what it held when the command began. Run it again to continue a copy that
    was stopped, or to add what is new. TO cannot be opened until a copy is complete.
    """
    to = named_registry(target)
    progress = _Progress() if stderr_is_terminal() else None
    try:
        copied = copy_registry(named_registry(source), to, progress)
    finally:
        if progress:
            show_status_line("")
    if as_json:
        print_json(asdict(copied))
        return
    print_text(
        f"{pluralize(copied.runs, 'run')}, {copied.rows:,} rows of all tables; {copied.written:,} written now"
    )
    print_text(f"read back and the same: blake2b {copied.digest}")
    if copied.arrived or copied.unfinished:
        note(
            f"{copied.arrived:,} were added to the source meanwhile, {copied.unfinished:,} had not ended: "
            "the same command copies them"
        )
    note(f"when nothing logs to the source any more: registry: {to} in promptops.yaml")


class _Progress:
    """One line on a terminal, a few times a second."""

    def __init__(self) -> None:
        self._began = self._shown = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self._shown > 0.2 and done:
            self._shown = now
            left = (now - self._began) * max(0, total - done) / done
            show_status_line(f"{done:,} of {total:,} runs, {left:.0f} s left")
