"""Imported prompts as files: checked by the linter before a byte is written, then all of them or none."""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Any, Literal

from promptops.config.held_signals import held_signals
from promptops.config.safe_writes import WriteTarget
from promptops.config.settings import Settings
from promptops.config.yaml import YamlPath
from promptops.config.yaml_style import write_yaml
from promptops.dataclass import dataclass
from promptops.errors import Invalid
from promptops.interop.model import ImportedSource, PromptDraft
from promptops.lint.context import LintProject
from promptops.lint.file_cache import FileCache
from promptops.lint.linter import lint_prompts
from promptops.lint.report import LintReport
from promptops.versions.working_tree import working_tree_reader

SCHEMA_FILE = ".prompt.schema.json"
_KEYS = (  # in the order of a file that `new` writes
    *("description", "model", "parameters", "fallback", "inputs", "messages", "tools", "caller_tools"),
    *("output", "max_input_tokens", "checks", "cases", "probes", "log", "review", "retention", "metadata"),
)
_ON_A_LINE = frozenset({"parameters", "output", "fallback"})
_ITEMS = frozenset({"messages", "checks", "tools"})


@dataclass(frozen=True, slots=True)
class PlannedFile:
    """``path`` is below prompts/."""

    path: str
    data: bytes
    state: Literal["new", "same", "other"]


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """What would be written, dependencies first, and what lint says of the prompts then."""

    files: Sequence[PlannedFile]
    prompts: Sequence[str]
    lint: LintReport

    @property
    def in_the_way(self) -> list[str]:
        return [file.path for file in self.files if file.state == "other"]


def plan_import(imports: Sequence[ImportedSource], settings: Settings, today: date) -> ImportPlan:
    """Raises Invalid where two sources give a file different contents."""
    texts: dict[str, str] = {}
    for path, text, source in _all_files(imports):
        if texts.setdefault(path, text) != text:
            hint = "import them one after the other, each with a --to of its own"
            raise Invalid(f"{source}: another source gives {path} as well, with other contents", hint=hint)
    files = [_planned(path, text.encode(), settings) for path, text in texts.items()]
    names = [draft.name for each in imports for draft in each.prompts]
    return ImportPlan(files, names, _lint(names, {file.path: file.data for file in files}, settings, today))


def _all_files(imports: Iterable[ImportedSource]) -> Iterator[tuple[str, str, str]]:
    """Prompts last, so that none lacks a file that it needs."""
    for each in imports:
        yield from ((path, text, each.path) for path, text in each.files.items())
        for draft in each.prompts:
            if draft.cases:
                yield draft.cases_file, cases_text(draft.cases), each.path
        for draft in each.prompts:
            yield f"{draft.name}.yaml", prompt_text(draft, each.source), each.path


def prompt_text(draft: PromptDraft, source: str) -> str:
    """The prompt file, with its keys in the usual order."""
    content = dict(draft.content)
    if draft.cases:
        content["cases"] = draft.cases_file
    if draft.imported:
        imported = {"from": source, **draft.imported}
        content["metadata"] = {**content.get("metadata", {}), "imported": imported}
    ordered = {key: content[key] for key in _KEYS if content.get(key) not in (None, "", {}, [], ())}
    schema = os.path.relpath(SCHEMA_FILE, Path(draft.name).parent)
    return f"# yaml-language-server: $schema={schema}\n" + write_yaml(ordered, _in_brackets)


def _in_brackets(path: YamlPath) -> bool:
    if len(path) < 2:
        return bool(path) and path[0] in _ON_A_LINE
    return not (len(path) == 2 and path[0] in _ITEMS)


def cases_text(cases: Sequence[Mapping[str, Any]]) -> str:
    return "".join(json.dumps(case, ensure_ascii=False) + "\n" for case in cases)


def _planned(path: str, data: bytes, settings: Settings) -> PlannedFile:
    target = _target(path, settings)
    if path.endswith(".yaml") and _target(f"{path[:-5]}.yml", settings).real.exists():
        return PlannedFile(path, data, "other")
    if not os.path.lexists(target.real):
        return PlannedFile(path, data, "new")
    return PlannedFile(path, data, "same" if target.read() == data else "other")


def _target(path: str, settings: Settings) -> WriteTarget:
    return WriteTarget.inside(settings.prompts / path, settings.work_tree)


def _lint(names: Sequence[str], data: Mapping[str, bytes], settings: Settings, today: date) -> LintReport:
    there = working_tree_reader(settings)
    files = FileCache(lambda path: data[path] if path in data else there(path))
    return lint_prompts(names, files, LintProject(settings, today))


def write_import(
    plan: ImportPlan, settings: Settings, *, force: bool, further: Callable[[], list[Path]] = list
) -> list[Path]:
    """Write all that is new or changed, then what ``further`` writes, and return its files.

    Raises Invalid, and writes nothing, where another file is there. Where one cannot be written, or a signal
    ends the program meanwhile, none stays.
    """
    if plan.in_the_way and not force:
        first, *others = plan.in_the_way
        more = f" and {len(others)} more files" if others else ""
        hint = "--to FOLDER writes elsewhere, --force overwrites, --dry-run shows what would be written"
        raise Invalid(f"{settings.prompts_path}/{first}{more} exists with other contents", hint=hint)
    targets = [(_target(file.path, settings), file) for file in plan.files if file.state != "same"]
    written: list[tuple[WriteTarget, bytes | None]] = []
    with held_signals() as stop:
        try:
            for target, file in targets:
                stop()
                before = target.read() if file.state == "other" and target.real.exists() else None
                target.write(file.data, new=before is None)
                written.append((target, before))
            stop()
            return further()
        except BaseException:
            _take_back(written)
            raise


def _take_back(written: Sequence[tuple[WriteTarget, bytes | None]]) -> None:
    for target, before in reversed(written):
        with suppress(OSError, Invalid):
            if before is not None:
                target.write(before)
            else:
                with target.folder() as folder:
                    os.unlink(target.real.name, dir_fd=folder)
