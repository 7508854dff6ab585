"""What an importer yields: prompts, the files they are made of, and what became of every key."""

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any, Literal

from promptops.dataclass import dataclass

Verdict = Literal["kept", "changed", "lost"]
"""changed: it says the same in other words, or nearly so, as the note says; lost: it is not in force."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What became of a key. ``key`` is its path in ``file``, such as ``tests[0].vars.topic``."""

    key: str
    verdict: Verdict
    note: str = ""
    file: str = ""
    line: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptDraft:
    """A prompt file to be. ``name``: below prompts/, as ``ImportTarget.prompt`` gives it.

    ``content`` has the keys of a prompt file, in any order, without ``cases``; ``cases`` are the lines of its
    golden set. ``imported`` is what the prompt file cannot say, by its key in the source.
    ``shares_cases``: the name of another prompt that has the same golden set.
    """

    name: str
    content: Mapping[str, Any]
    cases: Sequence[Mapping[str, Any]] = ()
    imported: Mapping[str, Any] = field(default_factory=dict)
    shares_cases: str = ""

    @property
    def cases_file(self) -> str:
        return f"{self.shares_cases or self.name}.cases.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedSource:
    """One source file, read. ``files``: partials and schemas, by their paths below prompts/.

    ``steps``: what a person may want to do next, each a sentence or a command line.
    """

    source: str
    path: str
    prompts: Sequence[PromptDraft] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    findings: Sequence[Finding] = ()
    steps: Sequence[str] = ()

    def count(self, verdict: Verdict) -> int:
        return count_verdicts(self.findings, verdict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedFiles:
    """Files of another tool, by their names, and what became of each key of the prompts.

    ``file`` of a finding is the prompt's name.
    """

    form: str
    files: Mapping[str, str]
    findings: Sequence[Finding] = ()
    steps: Sequence[str] = ()

    def count(self, verdict: Verdict) -> int:
        return count_verdicts(self.findings, verdict)


def count_verdicts(findings: Sequence[Finding], verdict: Verdict) -> int:
    return sum(finding.verdict == verdict for finding in findings)
