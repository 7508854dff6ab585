"""The first-parent line of a branch, as ``git log`` tells it."""

import re
from collections.abc import Iterator, Sequence

from promptops.config.clock import format_timestamp
from promptops.config.settings import Settings
from promptops.dataclass import dataclass
from promptops.git.process import run_git

_NO_OBJECT = re.compile(r"^0+$")
_LOG_FORMAT = "%H%x00%at%x00%an%x00%s"


@dataclass(frozen=True, slots=True)
class BlobChange:
    """One path that a commit changed against its first parent; None where it was or is absent."""

    path: str
    old_oid: str | None
    new_oid: str | None


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit of the first-parent line and what it changed."""

    sha: str
    authored_at: str  # ISO-8601 UTC
    author: str
    subject: str
    changes: tuple[BlobChange, ...]


def commit_authors(
    settings: Settings, base: str | None, commit: str, paths: Sequence[str]
) -> tuple[str, ...]:
    """Authors and co-authors of the commits after ``base`` that changed one of the paths, newest first.

    Where there is none, as for a version older than ``base``: those of the last commit that did.
    """
    since = [f"^{base}"] if base else []
    return _authors(settings, [commit, *since, "--", *paths]) or _authors(
        settings, ["-1", commit, "--", *paths]
    )


def _authors(settings: Settings, words: Sequence[str]) -> tuple[str, ...]:
    co_authors = "%(trailers:key=Co-authored-by,valueonly,separator=%x00)"
    stdout = run_git(settings, "log", f"--format=%an <%ae>%x00{co_authors}", *words)
    lines = stdout.decode("utf-8", "replace").replace("\0", "\n").splitlines()
    return tuple(dict.fromkeys(line.strip() for line in lines if line.strip()))


def is_on_first_parent_line(settings: Settings, older: str, newer: str) -> bool:
    """Whether the first-parent line of ``newer`` goes through ``older``."""
    lines = run_git(settings, "rev-list", "--first-parent", "--parents", newer, f"^{older}").split(b"\n")
    parents = lines[-2].split()[1:2] if len(lines) > 1 else []
    return older == newer or parents == [older.encode()]


def first_parent_log(settings: Settings, tip: str, after: str | None, folder: str) -> Iterator[Commit]:
    """Commits of the first-parent line that change ``folder``, newest first; merges by their first parent."""
    span = [tip, f"^{after}"] if after else [tip]
    args = "log --first-parent --diff-merges=first-parent --raw -z --no-abbrev --no-renames --encoding=UTF-8"
    stdout = run_git(settings, *args.split(), f"--format={_LOG_FORMAT}", *span, "--", folder or ".")
    tokens = iter(stdout.decode("utf-8", "surrogateescape").split("\0"))
    header: list[str] = []
    changes: list[BlobChange] = []
    for token in tokens:
        text = token.lstrip("\n")
        if text.startswith(":"):
            changes.append(_change(text, next(tokens)))
        elif text:
            if header:
                yield _commit(header, changes)
            header, changes = [text, next(tokens), next(tokens), next(tokens)], []
    if header:
        yield _commit(header, changes)


def _change(raw: str, path: str) -> BlobChange:
    _, _, old, new, _ = raw.split(" ")
    return BlobChange(path, None if _NO_OBJECT.match(old) else old, None if _NO_OBJECT.match(new) else new)


def _commit(header: Sequence[str], changes: Sequence[BlobChange]) -> Commit:
    sha, seconds, author, subject = header
    return Commit(sha, format_timestamp(int(seconds or 0)), _plain(author), _plain(subject), tuple(changes))


def _plain(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
