"""Where the git repository around a folder is, read from git's own pointer files: git is not started."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from promptops.dataclass import dataclass
from promptops.errors import Invalid


@dataclass(frozen=True, slots=True)
class Worktree:
    """One work tree of a repository; ``top`` is None where there is none (a bare repository)."""

    git_dir: Path
    common_dir: Path
    top: Path | None


def find_worktree(start: Path, env: Mapping[str, str]) -> Worktree:
    """Find the repository as git does: GIT_DIR and GIT_WORK_TREE, else upwards from ``start``."""
    found = _from_environment(start, env) or _find_upwards(start)
    if env.get("GIT_WORK_TREE"):
        return replace(found, top=(start / env["GIT_WORK_TREE"]).resolve())
    return found


def _from_environment(start: Path, env: Mapping[str, str]) -> Worktree | None:
    if not env.get("GIT_DIR"):
        return None
    git_dir = (start / env["GIT_DIR"]).resolve()
    git_dir = _git_dir_of(git_dir) or git_dir
    if not _is_git_dir(git_dir):
        raise Invalid(f"GIT_DIR names no git repository: {git_dir}", hint="unset GIT_DIR, or correct it")
    common = _common_dir(git_dir)
    core = own_git_settings(common, "core")
    if core.get("worktree"):
        return Worktree(git_dir, common, (common / core["worktree"]).resolve())
    # with neither, git takes the current folder for the top of the work tree
    bare = core.get("bare") == "true" and git_dir == common
    return Worktree(git_dir, common, None if bare else start)


def _find_upwards(start: Path) -> Worktree:
    for folder in (start, *start.parents):
        git_dir = _git_dir_of(folder / ".git")
        if git_dir:
            return Worktree(git_dir, _common_dir(git_dir), folder)
        if folder.name != ".git" and _is_git_dir(folder):
            return Worktree(folder, _common_dir(folder), None)
    raise Invalid(f"not inside a git repository: {start}", hint="git init && promptops init")


def _git_dir_of(path: Path) -> Path | None:
    """Follow a ``.git`` folder, or the file that stands for one in linked worktrees and submodules."""
    if path.is_file():
        text = path.read_text(encoding="utf-8", errors="surrogateescape")
        if not text.startswith("gitdir:"):
            raise Invalid(
                f"{path} is neither a git folder nor a pointer to one",
                hint="git status shows what git makes of it",
            )
        path = (path.parent / text.removeprefix("gitdir:").strip()).resolve()
        if not _is_git_dir(path):
            raise Invalid(
                f"the git folder {path} is missing",
                hint="git worktree repair, or git submodule update --init",
            )
    return path.resolve() if _is_git_dir(path) else None


def _is_git_dir(path: Path) -> bool:
    return (path / "HEAD").is_file() and ((path / "objects").is_dir() or (path / "commondir").is_file())


def _common_dir(git_dir: Path) -> Path:
    pointer = git_dir / "commondir"
    if not pointer.is_file():
        return git_dir
    return (git_dir / pointer.read_text(encoding="utf-8", errors="surrogateescape").strip()).resolve()


def own_git_settings(common_dir: Path, wanted: str) -> dict[str, str]:
    """A section, such as ``core``, of a repository's own configuration, keys in lower case."""
    found: dict[str, str] = {}
    section = ""
    path = common_dir / "config"
    for line in (
        path.read_text(encoding="utf-8", errors="surrogateescape").splitlines() if path.is_file() else ()
    ):
        text = line.strip()
        if text.startswith("["):
            section = text.strip("[]").lower()
        elif section == wanted and "=" in text:
            key, _, value = text.partition("=")
            found[key.strip().lower()] = value.strip().strip('"')
    return found


def main_worktree(common_dir: Path) -> Path | None:
    """Find the main work tree of a repository from one of its linked ones; None where it has none."""
    core = own_git_settings(common_dir, "core")
    if core.get("worktree"):
        return (common_dir / core["worktree"]).resolve()
    return common_dir.parent if common_dir.name == ".git" and core.get("bare") != "true" else None
