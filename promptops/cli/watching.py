"""``--watch``: the same again whenever a file is saved, until Ctrl-C."""

import os
import time
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from pathlib import Path

from promptops.config.clock import utc_now
from promptops.config.settings import Settings
from promptops.console import note, note_dimly, note_error, stderr_is_terminal
from promptops.errors import Invalid, OverBudget, PromptopsError, WrongUsage
from promptops.reports.numbers import pluralize
from promptops.versions.references import parse_reference

_POLL_S = 0.2
_SETTLED_S = 0.1  # without another change, as editors save in several steps
_MAX_SETTLING_S = 2.0  # a file that is always being written must not hold up the others
_MAX_FILES = 10_000

_Stamp = tuple[int, int, int] | None


class UnchangedRequest(Exception):
    """What was saved changes nothing that is sent."""


class WatchedFiles:
    """The files behind one prompt of the working tree and its inputs, and how they were when last read."""

    def __init__(
        self, settings: Settings, reference: str, pairs: Sequence[str] | None, inputs_file: str | None
    ) -> None:
        parsed = parse_reference(reference, settings)
        if parsed.rev is not None or parsed.channel is not None:
            raise WrongUsage(
                f"--watch: no file that is saved changes {reference}",
                hint=f"--watch {parsed.name} watches the working tree",
            )
        values = [pair.partition("=")[2] for pair in pairs or ()]
        if inputs_file == "-" or "@-" in values:
            raise WrongUsage("--watch: stdin can be read once only", hint="give a file: -i NAME=@FILE")
        files = [value[1:] for value in values if value[:1] == "@" and value[:2] != "@@"]
        self._inputs = [Path(file) for file in (*files, *([inputs_file] if inputs_file else ()))]
        self._folder = settings.prompts
        self._prompt = [self._folder / f"{parsed.name}{suffix}" for suffix in (".yaml", ".yml")]
        self._known: set[Path] = set()
        self._stamps: dict[Path, _Stamp] = {}
        self._whole_folder = False

    def begin(self) -> None:
        """Note how the files are before they are read."""
        self._whole_folder = False
        self._stamps = {file: _stamp(file) for file in (*self._prompt, *self._inputs, *self._known)}

    def loaded(self, closure: Iterable[str]) -> None:
        """The prompt has been read, and is made of these files."""
        self._known = {self._folder / path for path in closure}
        for file in self._known:
            self._stamps.setdefault(file, _stamp(file))

    def broken(self) -> None:
        """The prompt cannot be read: whatever is saved beside it may be what it lacks."""
        self._whole_folder = True
        for file in self._files_of_folder():
            self._stamps.setdefault(file, _stamp(file))

    def __len__(self) -> int:
        return sum(stamp is not None for stamp in self._stamps.values())

    def wait(self) -> str:
        """Wait until one of them has been saved, and nothing more is being written; its name."""
        while not (changed := self._changed()):
            time.sleep(_POLL_S)
        deadline = time.monotonic() + _MAX_SETTLING_S
        now = {file: _stamp(file) for file in self._stamps}
        while time.monotonic() < deadline:
            time.sleep(_SETTLED_S)
            later = {file: _stamp(file) for file in self._stamps}
            if later == now:
                break
            now = later
        return os.path.relpath(changed)

    def _changed(self) -> Path | None:
        changed = (file for file, stamp in self._stamps.items() if _stamp(file) != stamp)
        new = (file for file in self._files_of_folder() if file not in self._stamps)
        return next(chain(changed, new), None)

    def _files_of_folder(self) -> list[Path]:
        return _files_below(self._folder) if self._whole_folder else []


def watch(files: WatchedFiles, work: Callable[[], object]) -> int:
    """Do it now and after each save. What is wrong is said, and waits for the next save; 0 at Ctrl-C."""
    told = False
    try:
        while True:
            files.begin()
            try:
                work()
            except UnchangedRequest:
                note("nothing that is sent has changed: not run again")
            except OverBudget:
                raise
            except PromptopsError as error:
                note_error(error)
                if isinstance(error, Invalid):
                    files.broken()
            if not told:
                note(f"watching {pluralize(len(files), 'file')}; Ctrl-C ends")
                told = True
            note_dimly(f"-- {files.wait()} saved, {utc_now()[11:19]} UTC")
    except KeyboardInterrupt:
        if stderr_is_terminal():
            note("")  # behind the ^C
        return 0


def _stamp(file: Path) -> _Stamp:
    try:
        found = file.stat()
    except (OSError, ValueError):
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _files_below(folder: Path) -> list[Path]:
    found = []
    for where, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(where) / name for name in names]
        if len(found) >= _MAX_FILES:
            break
    return found[:_MAX_FILES]
