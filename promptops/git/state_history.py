"""The commits of the state branch, oldest first: who made each, what it says and which files it changes."""

import re
from collections.abc import Iterator, Mapping

from promptops.config.settings import Settings
from promptops.dataclass import dataclass
from promptops.git.process import run_git

_TRAILER = re.compile(r"^Promptops-([A-Za-z-]+): (.*)$", re.MULTILINE)
_FORMAT = "%x01%H%x1f%P%x1f%an <%ae>%x1f%B"
_ABSENT = "0"
_FILE_MODE = "100644"


@dataclass(frozen=True, slots=True)
class FileChange:
    """``old`` and ``new`` are blobs; "" where the file is not there. ``mode``: as git writes it."""

    path: str
    old: str
    new: str
    mode: str

    @property
    def is_plain(self) -> bool:
        """Neither a link nor a program nor a submodule."""
        return not self.new or self.mode == _FILE_MODE


@dataclass(frozen=True, slots=True)
class StateCommit:
    """``changes`` are against the first parent. ``message`` of a merge holds those of what it merges."""

    oid: str
    parents: tuple[str, ...]
    author: str
    message: str
    changes: tuple[FileChange, ...]

    @property
    def trailers(self) -> Mapping[str, str]:
        return {key: value.strip() for key, value in _TRAILER.findall(self.message)}


def read_state_commits(settings: Settings, base: str | None, head: str) -> Iterator[StateCommit]:
    """Commits from ``base``, left out, to ``head``; with one process, and one more for each merge."""
    options = ("--reverse", "--topo-order", "--first-parent", "-m", "--raw", "--no-abbrev", "--no-renames")
    limits = [head, *([f"^{base}"] if base else [])]
    stdout = run_git(settings, "log", *options, "-z", f"--format={_FORMAT}", *limits, "--")
    for block in stdout.decode("utf-8", "surrogateescape").split("\x01")[1:]:
        yield _parse_commit(settings, block)


def _parse_commit(settings: Settings, block: str) -> StateCommit:
    head, _, rest = block.partition("\0")
    oid, parents, author, message = head.split("\x1f", 3)
    sides = tuple(parents.split())
    if len(sides) > 1:
        message += "\n" + _merged_messages(settings, sides)
    return StateCommit(oid, sides, author, message, tuple(_parse_changes(rest)))


def _parse_changes(text: str) -> Iterator[FileChange]:
    words = [word for word in text.split("\0") if word.strip()]
    for facts, path in zip(words[::2], words[1::2], strict=False):
        _, mode, old, new, _ = facts.strip().split(" ")
        yield FileChange(path, old if old.strip(_ABSENT) else "", new if new.strip(_ABSENT) else "", mode)


def _merged_messages(settings: Settings, parents: tuple[str, ...]) -> str:
    stdout = run_git(settings, "log", "--format=%B", *parents[1:], f"^{parents[0]}", "--")
    return stdout.decode("utf-8", "replace")
