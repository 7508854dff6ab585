"""Files that a branch names, or puts symbolic links in the place of, stay inside the repository."""

import os
from collections.abc import Mapping
from pathlib import Path

from promptops.config.worktree import find_worktree
from promptops.errors import Invalid

_GIT_FOLDERS = frozenset({".git", "git~1"})  # the second is what Windows calls the first


def outside_problem(path: Path, top: Path) -> str:
    """Say why a path may not be opened, all links on the way followed; "" when it may.

    What lies in a git folder is as bad as what lies outside: hooks are run, and settings obeyed.
    """
    real, inside = Path(os.path.realpath(path)), Path(os.path.realpath(top))
    if not real.is_relative_to(inside):
        return f"{path} lies outside of the repository" + ("" if real == path else f": it is {real}")
    if any(part.lower().rstrip(". ") in _GIT_FOLDERS for part in real.relative_to(inside).parts):
        return f"{path} lies in a git folder"
    return ""


def check_inside(path: Path, top: Path) -> Path:
    """Give the path, for writing or reading. Raises Invalid where a link leads out of the repository."""
    if problem := outside_problem(path, top):
        raise Invalid(problem, hint="replace the symbolic link by a file or folder")
    return path


def check_output(path: Path, env: Mapping[str, str]) -> Path:
    """Give the path that a person has named to be written, which may lie anywhere.

    Raises Invalid where a link that stands in the repository leads it elsewhere: a branch brings links.
    """
    written = Path(os.path.abspath(path))  # noqa: PTH100 - without links being followed
    top = find_worktree(Path.cwd(), env).top
    real = Path(os.path.realpath(written))
    if top and written.is_relative_to(top) and real != written:
        check_inside(written, top)
    return path


def open_unlinked(path: str, flags: int) -> int:
    """An opener of files whose links were followed and looked at: none is left."""
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0))


def write_unlinked(file: Path, data: bytes, mode: int) -> None:
    """Write a new file, in the place of whatever stands there, a link above all."""
    file.unlink(missing_ok=True)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as stream:
        stream.write(data)
