"""``promptops cases add``: a logged run becomes a case, or rows of a file do."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from promptops.cli.last_run import find_logged_run
from promptops.cli.options.cases import NameArgument
from promptops.cli.options.common import RUN_HELP
from promptops.cli.options.flags import dry_run_option, from_option, id_option, run_option, tag_option
from promptops.config.safe_writes import WriteTarget
from promptops.config.settings import Settings, current_settings
from promptops.console import note, print_text
from promptops.dataclass import dataclass
from promptops.errors import Invalid
from promptops.evaluation.case_file import add_new_cases, read_new_cases
from promptops.evaluation.golden_set import append_case, cases_path, parse_expected
from promptops.evaluation.open_golden_set import cases_display_path, how_to_name_cases
from promptops.prompt import Prompt
from promptops.prompt.render import validate_inputs
from promptops.prompt.tool_calls import comparable_calls
from promptops.registry import RegistryDatabase, RunRecord
from promptops.reports.numbers import pluralize
from promptops.versions.resolve import Version, resolve_version

RunOption = Annotated[str | None, run_option(RUN_HELP, metavar="RUN")]
FromOption = Annotated[
    str | None, from_option("Rows of a .csv: a column for each input, and expected, tags, id. Or .jsonl.")
]
ExpectedOption = Annotated[
    str | None, typer.Option("--expected", help="What is right; JSON where the prompt's output is.")
]
ApproveOption = Annotated[bool, typer.Option("--approve", help="The run's own answer is right.")]
TagOption = Annotated[list[str] | None, tag_option("A tag of the case.")]
IdOption = Annotated[str | None, id_option("Its id; a hash of it unless given.")]
DryRunOption = Annotated[bool, dry_run_option("Say which cases of the file are new; write nothing.")]


def cases_add(
    name: NameArgument,
    run: RunOption = None,
    source: FromOption = None,
    expected: ExpectedOption = None,
    approve: ApproveOption = False,
    tag: TagOption = None,
    case_id: IdOption = None,
    dry_run: DryRunOption = False,
) -> None:
    """Add the inputs of a logged run to a prompt's golden set, with what the answer should have been.

    With --from the rows of a file: all are looked at before any is written, and what is there is passed over.
    """
    settings = current_settings()
    version = resolve_version(name, settings)
    if version.source != "working tree":
        raise Invalid(f"{name} is not in the working tree", hint=f"cases are added to {version.prompt.name}")
    if (run is None) == (source is None):
        raise Invalid("--run or --from says what becomes a case", hint="give one of the two")
    if run is not None:
        if dry_run:
            raise Invalid("--dry-run goes with --from", hint="promptops runs show RUN shows a run")
        _add_run(version, settings, run, _RightAnswer(expected, approve=approve), tag, case_id)
    else:
        if expected is not None or approve or case_id:
            raise Invalid("--expected, --approve and --id go with --run", hint="a file has columns for these")
        _add_file(version, settings, str(source), tag or (), dry_run=dry_run)


@dataclass(frozen=True, slots=True)
class _RightAnswer:
    """What is right."""

    expected: str | None
    approve: bool


def _add_run(
    version: Version,
    settings: Settings,
    run: str,
    answer: _RightAnswer,
    tag: list[str] | None,
    case_id: str | None,
) -> None:
    if answer.approve and answer.expected is not None:
        raise Invalid("--approve and --expected both say what is right", hint="give one of the two")
    with RegistryDatabase.open_existing(settings.registry) as registry:
        record = find_logged_run(registry, run, settings)
    data = _case(version.prompt, record, answer.expected, approve=answer.approve)
    data |= {"tags": tag} if tag else {}
    shown = cases_display_path(version, settings)
    case = append_case(_target(version, settings), shown, {"id": case_id, **data} if case_id else data)
    print_text(case.id)
    note(f"added to {shown}")
    _say_how_to_name(version, settings)


def _add_file(
    version: Version, settings: Settings, source: str, tags: Sequence[str], *, dry_run: bool
) -> None:
    try:
        with Path(source).open("rb") as lines:
            cases = read_new_cases(version.prompt, source, lines, tags)
    except OSError as error:
        raise Invalid(f"--from: cannot read {source}: {error.strerror}") from None
    shown = cases_display_path(version, settings)
    target = _target(version, settings)
    added = add_new_cases(target, shown, version.prompt, cases, dry_run=dry_run)
    for case_id in added.ids:
        print_text(case_id)
    known = f"; {added.known:,} there already, or twice in the file" if added.known else ""
    done = "would be added" if dry_run else "added"
    note(f"{pluralize(len(added.ids), 'case')} {done} to {shown}{known}")
    if added.ids and not dry_run:
        _say_how_to_name(version, settings)


def _target(version: Version, settings: Settings) -> WriteTarget:
    return WriteTarget.inside(settings.prompts / cases_path(version.prompt), settings.work_tree)


def _say_how_to_name(version: Version, settings: Settings) -> None:
    if version.prompt.cases is None:
        note(f"next: {how_to_name_cases(version.prompt, settings)}")


def _case(prompt: Prompt, run: RunRecord, expected: str | None, *, approve: bool) -> dict[str, Any]:
    if run["prompt"] != prompt.name:
        raise Invalid(f"run {run['run_id']} is one of {run['prompt']}, not of {prompt.name}")
    if run["inputs"] is None:
        raise Invalid(
            f"the inputs of run {run['run_id']} were not kept", hint="promptops.yaml: `log: {inputs: full}`"
        )
    validate_inputs(prompt, run["inputs"])
    if approve:
        answer = run["output"] or comparable_calls(run["tool_calls"])
        if run["error"] or (run["output"] is None and not answer):
            raise Invalid(f"run {run['run_id']} has no answer to approve")
        expected = answer
    return {
        "inputs": run["inputs"],
        **({} if expected is None else {"expected": parse_expected(prompt, expected, "--expected")}),
    }
