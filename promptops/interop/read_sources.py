"""Source files read by their importers; one that cannot be read does not keep the others from it."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

from promptops.config.settings import Settings
from promptops.dataclass import dataclass
from promptops.errors import Invalid
from promptops.interop.model import ImportedSource
from promptops.interop.sources import AUTO, SOURCES, find_sources
from promptops.interop.target import ImportTarget, slug
from promptops.lint.context import LintProject
from promptops.prompt.load import load_prompt
from promptops.versions.working_tree import working_tree_reader


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A source file of which nothing is imported."""

    source: str
    path: str
    problem: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class ReadSources:
    imports: Sequence[ImportedSource]
    unreadable: Sequence[Unreadable]


def read_sources(
    source: str, paths: Sequence[str], target: ImportTarget, settings: Settings, today: date
) -> ReadSources:
    """Of a folder, files in further folders are imported into folders of the same names."""
    project = LintProject(settings, today)
    found = find_sources(source, paths)
    imports: list[ImportedSource] = []
    unreadable: list[Unreadable] = []
    for name, path, below in found:
        by_content = source == AUTO and not SOURCES[name].names
        if by_content and (prompt := _prompt_there(path, settings)):
            hint = "nothing to import; name its source if it is another tool's file"
            unreadable.append(Unreadable(name, str(path), f"it is already the prompt `{prompt}`", hint))
            continue
        try:
            done = SOURCES[name].read(path, _below(target, below), project)
        except Invalid as error:
            unreadable.append(Unreadable(name, str(path), error.message, error.hint))
        else:
            imports.append(done)
    return ReadSources(imports, unreadable)


def _prompt_there(path: Path, settings: Settings) -> str:
    """The name of the prompt that a file is already, or nothing."""
    folder = settings.prompts.resolve()
    if path.suffix not in (".yaml", ".yml") or not path.resolve().is_relative_to(folder):
        return ""
    name = path.resolve().relative_to(folder).with_suffix("").as_posix()
    try:
        return load_prompt(name, working_tree_reader(settings)).name
    except Invalid:
        return ""


def _below(target: ImportTarget, folder: Path) -> ImportTarget:
    parts = [part for part in map(slug, folder.parts) if part]
    return replace(target, folder="/".join(filter(None, (target.folder, *parts))))
