"""Whether the programs that promptops starts are on PATH, and promptops itself."""

import importlib.metadata
import platform
import shutil
from collections.abc import Iterator
from pathlib import Path

from promptops._version import __version__
from promptops.cli.diagnostics.finding import DoctorFinding


def environment_findings() -> Iterator[DoctorFinding]:
    from promptops.registry import sqlite_version

    versions = f"promptops {__version__}, Python {platform.python_version()}, {sqlite_version()}"
    yield DoctorFinding("versions", "ok", versions)
    yield _program()
    yield _git()


def _program() -> DoctorFinding:
    """Whether typing ``promptops`` starts this program, and not another tool of that name."""
    program = shutil.which("promptops")
    if program is None:
        return DoctorFinding(
            "program", "note", "promptops is not on PATH", "git promptops may be, or activate the environment"
        )
    if "promptops.cli" not in Path(program).read_text(encoding="utf-8", errors="replace"):
        return DoctorFinding(
            "program",
            "warning",
            f"{program} is another tool's promptops",
            "call this one as `git promptops` or `python -m promptops`, or put it first on PATH",
        )
    if "promptops" in {dist.name for dist in importlib.metadata.distributions()}:
        return DoctorFinding(
            "program",
            "warning",
            "another distribution called `promptops` is installed here and owns files of the same names",
            "pip uninstall promptops; pip install --force-reinstall git-promptops",
        )
    return DoctorFinding("program", "ok", program)


def _git() -> DoctorFinding:
    program = shutil.which("git")
    if program is None:
        return DoctorFinding("git", "error", "git is not on PATH", "install git 2.31 or newer")
    return DoctorFinding("git", "ok", program)
