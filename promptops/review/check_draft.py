"""A check drafted from a kind of failures that reviewers found: a judge that looks for it alone."""

import difflib
import re
from collections.abc import Sequence

from promptops.checks.suggest import SuggestedCheck, draft_judge
from promptops.config.safe_writes import WriteTarget
from promptops.config.settings import Settings
from promptops.dataclass import dataclass
from promptops.errors import Invalid, NotFound
from promptops.escapes import shorten
from promptops.evaluation.check_drafts import draft_yaml, insert_checks
from promptops.prompt import Prompt
from promptops.registry import RegistryDatabase, read_review_labels
from promptops.review.rubric import load_rubric
from promptops.versions.resolve import Version

_MAX_NOTES = 10
_MAX_NOTE = 300  # characters
_INSTRUCTIONS = """\
You look for one kind of failure in an answer, and for nothing else:
{what}
{notes}
Give the reason first, then a score: 1 where the answer is free of this failure, 0 where it has it.
"""


@dataclass(frozen=True, slots=True)
class DraftedFile:
    """A file as it would be; ``before`` is empty for a new one. ``path`` is below prompts/."""

    path: str
    before: str
    after: str


def draft_check(
    registry: RegistryDatabase, settings: Settings, version: Version, code: str
) -> list[DraftedFile]:
    """The judge, and the prompt file with the check. Raises NotFound for a code that no label has."""
    prompt = version.prompt
    if version.source != "working tree":
        raise Invalid(f"{version.reference} is not in the working tree", hint=prompt.name)
    labels = [each.label for each in read_review_labels(registry, prompt.name, code=code)]
    if not labels:
        raise NotFound(
            f"no label of {prompt.name} has the code {code}", hint=f"promptops review codes {prompt.name}"
        )
    notes = [label.note for label in labels if label.note and not label.passed][-_MAX_NOTES:]
    meaning = dict(load_rubric(prompt.name, settings).codes).get(code, "")
    slug = re.sub(r"[^a-z0-9]+", "-", code.lower()).strip("-") or "code"
    judge, name = f"judges/{prompt.name}-{slug}", f"no-{slug}"
    if any(check.name == name for check in prompt.checks):
        raise Invalid(f"{prompt.document.path} has a check `{name}` already")
    draft = SuggestedCheck({"judge": judge, "name": name, "threshold": 1}, f"reviewers found {code}")
    before = (settings.prompts / prompt.path).read_text(encoding="utf-8")
    text = draft_yaml(_judge(prompt, f"{code}: {meaning}" if meaning else code, notes))
    return [
        DraftedFile(f"{judge}.yaml", "", text),
        DraftedFile(prompt.path, before, insert_checks(settings, prompt, [draft], before)),
    ]


def _judge(prompt: Prompt, what: str, notes: Sequence[str]) -> dict[str, object]:
    seen = "".join(f"- {shorten(' '.join(note.split()), _MAX_NOTE)}\n" for note in notes)
    found = f"\nWhat reviewers said of answers that had it:\n{seen}" if seen else ""
    instructions = _INSTRUCTIONS.format(what=what, notes=found)
    for mark in ("{%", "{{", "{#"):  # what people wrote is no template
        instructions = instructions.replace(mark, f"{{ {mark[1]}")
    description = f"Look for one kind of failure in answers of {prompt.name}."
    return draft_judge(prompt, description, instructions, (0, 1))


def draft_as_diff(files: Sequence[DraftedFile], folder: str) -> str:
    """What would change, as git shows it. ``folder``: where prompts are."""
    lines: list[str] = []
    for file in files:
        old = f"a/{folder}/{file.path}" if file.before else "/dev/null"
        lines += difflib.unified_diff(
            file.before.splitlines(keepends=True),
            file.after.splitlines(keepends=True),
            old,
            f"b/{folder}/{file.path}",
        )
    return "".join(line if line.endswith("\n") else f"{line}\n" for line in lines)


def write_draft(settings: Settings, files: Sequence[DraftedFile]) -> None:
    """Write the files into the working tree. Raises Invalid where one is there or has changed since."""
    targets = [WriteTarget.inside(settings.prompts / file.path, settings.work_tree) for file in files]
    for target, file in zip(targets, files, strict=True):
        there = target.real.read_text(encoding="utf-8") if target.real.exists() else ""
        if there != file.before:
            raise Invalid(
                f"{settings.prompts_path}/{file.path} is there already", hint="move it, or edit it by hand"
            )
    for target, file in zip(targets, files, strict=True):
        target.write(file.after.encode(), new=not file.before)
