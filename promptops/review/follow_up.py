"""What is made of labels: cases of a golden set."""

from typing import Any

from promptops.config.safe_writes import WriteTarget
from promptops.config.settings import Settings
from promptops.dataclass import dataclass
from promptops.errors import Invalid
from promptops.evaluation.golden_set import append_case, cases_path, parse_expected
from promptops.prompt import Prompt
from promptops.prompt.render import validate_inputs
from promptops.registry import LabelRecord, RegistryDatabase, RunRecord, read_review_labels, runs_by_seq
from promptops.versions.resolve import Version


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeCase:
    """``problem``: why there is no case of this run."""

    run_id: str
    case_id: str | None = None
    problem: str = ""


def make_cases(
    registry: RegistryDatabase,
    settings: Settings,
    version: Version,
    *,
    code: str | None = None,
) -> list[MadeCase]:
    """Make cases of answers that failed, or of those with a code. Raises Invalid."""
    prompt = version.prompt
    if version.source != "working tree":
        raise Invalid(
            f"{version.reference} is not in the working tree", hint=f"cases are added to {prompt.name}"
        )
    labels = [
        each
        for each in read_review_labels(registry, prompt.name, code=code)
        if not each.label.passed and each.repeats is None
    ]
    return [_make_case(registry, settings, prompt, each) for each in labels]


def _make_case(
    registry: RegistryDatabase, settings: Settings, prompt: Prompt, label: LabelRecord
) -> MadeCase:
    run = runs_by_seq(registry, [label.seq])[0]
    path = cases_path(prompt)
    try:
        data: dict[str, Any] = {"inputs": _inputs(prompt, run)}
        if label.label.answer:
            data["expected"] = parse_expected(prompt, label.label.answer, "the better answer")
        if label.label.codes:
            data["tags"] = list(label.label.codes)
        target = WriteTarget.inside(settings.prompts / path, settings.work_tree)
        case = append_case(target, f"{settings.prompts_path}/{path}", data)
    except Invalid as error:
        return MadeCase(run_id=label.run_id, problem=error.message)
    return MadeCase(run_id=label.run_id, case_id=case.id)


def _inputs(prompt: Prompt, run: RunRecord) -> Any:
    if run["inputs"] is None:
        raise Invalid("its inputs were not kept")
    validate_inputs(prompt, run["inputs"])
    return run["inputs"]
