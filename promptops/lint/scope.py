"""Which prompts are linted: those named, and those that depend on a file that is named or staged."""

import os
import posixpath
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from promptops.config.clock import local_day
from promptops.config.settings import (
    BUILT_IN_CHANNELS,
    Settings,
    SettingsFile,
    decode_settings,
    find_settings,
)
from promptops.config.settings_schema import SETTINGS_FILE
from promptops.dataclass import dataclass
from promptops.errors import Invalid, NotFound
from promptops.lint.context import LintProject
from promptops.lint.file_cache import FileCache
from promptops.prompt import load_with_problems
from promptops.versions.references import suggest_nearest
from promptops.versions.working_tree import filter_prompt_names, working_tree_names, working_tree_reader

if TYPE_CHECKING:
    from promptops.git.repo import GitRepo

_PROMPT_SUFFIXES = (".yaml", ".yml")
_OTHER_SUFFIXES = (".cases.yaml", ".cases.yml", ".rubric.yaml", ".rubric.yml")
_IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".gif")
_SUFFIXES = (*_PROMPT_SUFFIXES, *_IMAGE_SUFFIXES, ".json", ".jsonl", ".csv", ".j2", ".md", ".txt")


@dataclass(frozen=True, slots=True)
class Scope:
    """One state of the files (working tree or index), and which of its prompts are meant."""

    project: LintProject
    files: FileCache
    names: Sequence[str]


@contextmanager
def working_tree_scope(asked: Sequence[str], start: Path, today: date | None = None) -> Iterator[Scope]:
    settings = find_settings(start, os.environ)
    if settings.top is None:
        raise Invalid("a bare repository has no working tree to lint", hint="do this in a clone")
    files = FileCache(working_tree_reader(settings))
    names = working_tree_names(settings)
    chosen = _select_prompts(asked, names, files, settings, start) if asked else names
    yield Scope(LintProject(settings, today or local_day()), files, chosen)


@contextmanager
def staged_scope(
    asked: Sequence[str],
    start: Path,
    today: date | None = None,
    *,
    repo: "GitRepo | None" = None,
    staged: Sequence[str] | None = None,
) -> Iterator[Scope]:
    """The index alone: settings, prompts and all they refer to. Without names, what is staged.

    A caller may have the repository open, and know which paths (from its top) are staged.
    """
    from promptops.git.repo import INDEX, GitRepo

    bare = repo.settings if repo else find_settings(start, os.environ, file=SettingsFile())
    with nullcontext(repo) if repo else GitRepo(bare) as repo:  # noqa: PLR1704 - the same one
        settings = _staged_settings(repo, bare)
        folder = settings.prompts_path
        there = {entry.path[len(folder) + 1 :] for entry in repo.list_files(INDEX, folder)}
        names = sorted(filter_prompt_names(iter(there)))
        files = FileCache(repo.reader(INDEX))
        if asked:
            chosen = _select_prompts(asked, names, files, settings, start, there)
        else:
            chosen = _affected_prompts(_project_paths(settings, staged), names, files)
        yield Scope(LintProject(settings, today or local_day()), files, chosen)


def _staged_settings(repo: "GitRepo", settings: Settings) -> Settings:
    from promptops.git.repo import INDEX

    path = posixpath.join(settings.prefix, SETTINGS_FILE)
    try:
        file = decode_settings(repo.read(INDEX, path), path)
    except NotFound:
        return settings
    return replace(settings, file=file, channels=tuple(dict.fromkeys([*BUILT_IN_CHANNELS, *file.channels])))


def _project_paths(settings: Settings, staged: Sequence[str] | None) -> list[str]:
    """Paths that the index has otherwise than HEAD, deleted ones among them, from the project's root."""
    from promptops.git.diff import staged_names

    paths = staged_names(settings) if staged is None else staged
    prefix = f"{settings.prefix}/" if settings.prefix else ""
    return [path.removeprefix(prefix) for path in paths if path.startswith(prefix)]


def _affected_prompts(paths: Iterable[str], names: Sequence[str], files: FileCache) -> list[str]:
    """Prompts that files (from the project's root) are, or are part of."""
    changed = set(paths)
    if SETTINGS_FILE in changed:
        return list(names)
    below = {path.removeprefix("prompts/") for path in changed if path.startswith("prompts/")}
    direct = {path.rpartition(".")[0] for path in below if _is_prompt(path)} & set(names)
    others = below - {f"{name}{suffix}" for name in direct for suffix in _PROMPT_SUFFIXES}
    schemas = {path for path in below if _is_prompt(path) and _may_be_schema(path, files)}
    return sorted(direct | _dependents(others | schemas, names, files))


def _dependents(paths: set[str], names: Sequence[str], files: FileCache) -> set[str]:
    return {name for name in names if paths & _dependency_paths(name, files)} if paths else set()


def _dependency_paths(name: str, files: FileCache) -> set[str]:
    """All that a prompt asks for, whether it is there or not."""
    read, asked = files.recording_reader()
    try:
        prompt, _ = load_with_problems(name, read)
    except Invalid:
        return set(asked)
    return {*asked, prompt.cases} if prompt and prompt.cases else set(asked)


def _is_prompt(path: str) -> bool:
    return path.endswith(_PROMPT_SUFFIXES) and not path.endswith(_OTHER_SUFFIXES)


def _may_be_schema(path: str, files: FileCache) -> bool:
    """Whether a YAML file could be a schema."""
    try:
        return b"messages:" not in files.read(path)
    except Invalid:
        return True


def _select_prompts(
    asked: Sequence[str],
    names: Sequence[str],
    files: FileCache,
    settings: Settings,
    start: Path,
    there: set[str] | None = None,
) -> list[str]:
    """Prompts that the words of a command line mean: names, files, folders."""
    chosen: set[str] = set()
    paths: set[str] = set()
    for word in asked:
        path = None if word in names else _path_of(word, settings, start)
        if word in names:
            chosen.add(word)
        elif path is None:
            raise _no_prompt_error(word, names)
        elif inside := {name for name in names if f"prompts/{name}".startswith(f"{path}/")}:
            chosen |= inside
        elif path == SETTINGS_FILE or _exists(path, settings, there):
            paths.add(path)
        else:
            raise NotFound(f"no file {word}{' in the index' if there is not None else ''}")
    return sorted(chosen | set(_affected_prompts(paths, names, files)))


def _exists(path: str, settings: Settings, there: set[str] | None) -> bool:
    if there is not None:
        return path.removeprefix("prompts/") in there
    return os.path.lexists(settings.root / path)


def _path_of(word: str, settings: Settings, start: Path) -> str | None:
    """A word as a path from the project's root; None where it can only be a name."""
    given = Path(os.path.abspath(start / word))  # noqa: PTH100 - resolve() would follow a linked file
    if not word.endswith(_SUFFIXES) and not os.path.lexists(given):
        return None
    if given == settings.root:
        return "prompts"
    for path in (given, given.parent.resolve() / given.name):
        if path.is_relative_to(settings.prompts) or path == settings.root / SETTINGS_FILE:
            return path.relative_to(settings.root).as_posix()
    hint = "lint reads prompts, and the files they are made of"
    raise Invalid(f"{word} is not below {settings.prompts}", hint=hint)


def _no_prompt_error(word: str, names: Sequence[str]) -> NotFound:
    return NotFound(
        f"no prompt `{word}`", hint=suggest_nearest(word, names, "promptops init makes a first prompt")
    )
