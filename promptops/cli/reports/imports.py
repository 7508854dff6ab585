"""What an import or export did with every key, as a person and as a program reads it."""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from promptops.cli.reports.lint.text import print_lint_report
from promptops.config.settings import Settings
from promptops.console import note, print_readable_table, print_styled, print_text
from promptops.interop.model import ExportedFiles, Finding, ImportedSource, Verdict, count_verdicts
from promptops.interop.read_sources import ReadSources, Unreadable
from promptops.interop.writing import ImportPlan
from promptops.reports.numbers import pluralize

_WORDS: Mapping[Verdict, str] = {"kept": "imported", "changed": "with a note", "lost": "not importable"}
_UNPINNED = frozenset({"floating-model", "retired-model"})
_STATES = {"new": "wrote", "other": "overwrote", "same": "unchanged"}
_PLANNED = {"new": "would write", "other": "in the way", "same": "unchanged"}


def print_import(
    read: ReadSources, plan: ImportPlan, settings: Settings, *, dry_run: bool, further: Sequence[Path] = ()
) -> None:
    """``further``: other files that were written."""
    for imported in read.imports:
        _print_source(imported)
    _print_unreadable(read.unreadable)
    words = _PLANNED if dry_run else _STATES
    for file in plan.files:
        print_text(f"{words[file.state]} {_shown(file.path, settings)}")
    for path in further:
        print_text(f"wrote {os.path.relpath(path)}")
    if plan.prompts:
        print_lint_report(plan.lint, settings, alike_once=True)
    for step in dict.fromkeys(_next_steps(read, plan, settings, dry_run=dry_run)):
        note(f"next: {step}")


def _next_steps(read: ReadSources, plan: ImportPlan, settings: Settings, *, dry_run: bool) -> Iterator[str]:
    if dry_run and plan.in_the_way:
        yield "--force overwrites what is in the way, --to FOLDER writes elsewhere"
    for imported in read.imports:
        yield from imported.steps
    if there := [each.path for each in read.imports if _reads_as_prompt(each.path, settings)]:
        others = f" and {len(there) - 1:,} more" if len(there) > 1 else ""
        place = settings.prompts_path
        yield f"move {there[0]}{others} out of {place}/: each YAML file there is taken for a prompt"
    if any(finding.rule in _UNPINNED for finding in plan.lint.findings):
        again = "" if dry_run else " --force"
        yield f"the same command with --model MODEL{again} pins one model for all prompts and judges"


def _reads_as_prompt(path: str, settings: Settings) -> bool:
    file = Path(path).resolve()
    return file.suffix in (".yaml", ".yml") and file.is_relative_to(settings.prompts.resolve())


def _print_source(each: ImportedSource) -> None:
    cases = sum(len(draft.cases) for draft in each.prompts)
    made = f"{pluralize(len(each.prompts), 'prompt')}, {pluralize(cases, 'case')}"
    counts = ", ".join(f"{each.count(verdict)} {word}" for verdict, word in _WORDS.items())
    print_styled([(each.path, "bold"), (f" ({each.source}): {made}; keys: {counts}", "")])
    print_findings(each.findings)


def _print_unreadable(unreadable: Sequence[Unreadable]) -> None:
    """What helps with several of them is said below the last."""
    for each in unreadable:
        print_styled([(each.path, "bold"), (f" ({each.source}): not importable: {each.problem}", "")])
    for hint in dict.fromkeys(each.hint for each in unreadable if each.hint):
        note(f"  {hint}")


def print_findings(findings: Sequence[Finding]) -> None:
    """All but what is as it was."""
    rows = [(_where(one), _WORDS[one.verdict], one.note) for one in findings if one.verdict != "kept"]
    if rows:
        print_readable_table(("KEY", "RESULT", "WHY"), rows)


def _where(finding: Finding) -> str:
    line = f":{finding.line}" if finding.line else ""
    return f"{Path(finding.file).name}{line} {finding.key}" if finding.file else finding.key


def import_json(read: ReadSources, plan: ImportPlan, settings: Settings, *, dry_run: bool) -> dict[str, Any]:
    sources = [
        {
            "source": each.source,
            "path": each.path,
            "prompts": [draft.name for draft in each.prompts],
            "cases": sum(len(draft.cases) for draft in each.prompts),
            **counts_json(each.findings),
            "problem": "",
            "next": list(each.steps),
        }
        for each in read.imports
    ]
    sources += [
        {
            "source": each.source,
            "path": each.path,
            "prompts": [],
            "cases": 0,
            **counts_json(()),
            "problem": each.problem,
            "next": [each.hint] if each.hint else [],
        }
        for each in read.unreadable
    ]
    files = [{"path": _shown(file.path, settings), "state": file.state} for file in plan.files]
    return {"dry_run": dry_run, "sources": sources, "files": files, "lint": plan.lint.as_json()}


def note_export(done: ExportedFiles) -> None:
    """On stderr: stdout may hold the file."""
    for one in done.findings:
        if one.verdict != "kept":
            word = "not exported" if one.verdict == "lost" else _WORDS[one.verdict]
            note(f"{one.file}: {one.key}: {word}: {one.note}")
    for step in done.steps:
        note(f"next: {step}")


def export_json(done: ExportedFiles, written: Sequence[Path]) -> dict[str, Any]:
    """With the texts of files that are written nowhere else."""
    return {
        "format": done.form,
        "files": [str(path) for path in written] or [*done.files],
        "texts": {} if written else dict(done.files),
        **counts_json(done.findings),
        "next": list(done.steps),
    }


def counts_json(findings: Sequence[Finding]) -> dict[str, Any]:
    return {
        **{verdict: count_verdicts(findings, verdict) for verdict in _WORDS},
        "findings": [
            {"file": one.file, "line": one.line, "key": one.key, "result": one.verdict, "note": one.note}
            for one in findings
        ],
    }


def _shown(path: str, settings: Settings) -> str:
    return os.path.relpath(settings.prompts / path)
