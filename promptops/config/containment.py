"""Files that a branch names, or puts symbolic links in the place of, stay inside the repository."""

import os
from pathlib import Path

from promptops.config.worktree import find_worktree
from promptops.errors import Invalid

_GIT_FOLDERS = frozenset({".git", "git~1"})  # the second is what Windows calls the first


def outside_problem(path: Path, top: Path) -> str:
    """Say why a path may not be opened, all links on the way followed; "" when it may.

    What lies in a git folder is as bad as what lies outside: hooks are run, and settings obeyed.
    """
    return _outside_problem(path, _real_path(path), _real_path(top))


def _outside_problem(path: Path, real: Path, inside: Path) -> str:
    if not real.is_relative_to(inside):
        return f"{path} lies outside of the repository" + ("" if real == path else f": it is {real}")
    if any(part.lower().rstrip(". ") in _GIT_FOLDERS for part in real.relative_to(inside).parts):
        return f"{path} lies in a git folder"
    return ""


def resolve_inside(path: Path, top: Path) -> Path:
    """Give the path without links. Raises Invalid where one leads out of the repository."""
    real = _real_path(path)
    if problem := _outside_problem(path, real, _real_path(top)):
        raise Invalid(problem, hint="replace the symbolic link by a file or folder")
    return real


def resolve_output(path: Path) -> tuple[Path, Path | None]:
    """Give a path that a person has named to be written without links, and the work tree that it is in.

    It may lie anywhere. Raises Invalid where a link of the work tree, which a branch brings, leads elsewhere.
    """
    written = Path(os.path.abspath(path))  # noqa: PTH100 - without links being followed
    top = _current_top()
    tree = next((folder for folder in written.parents if top and _is_folder(folder, top)), None)
    if tree is None or top is None:
        return _real_path(written), None
    plain = top / written.relative_to(tree)
    real = _real_path(plain)
    return real if real == plain else resolve_inside(plain, top), top


def _current_top() -> Path | None:
    try:
        top = find_worktree(Path.cwd(), os.environ).top
    except Invalid:
        return None
    return top and _real_path(top)


def _is_folder(folder: Path, other: Path) -> bool:
    return folder.exists() and folder.samefile(other)


def _real_path(path: Path) -> Path:
    return Path(os.path.realpath(path))


def open_unlinked(path: str, flags: int) -> int:
    """An opener of files whose links were followed and looked at: none is left."""
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0))
