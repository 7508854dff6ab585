"""Files that a branch names, or puts symbolic links in the place of, stay inside the repository."""

import os
from pathlib import Path

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
