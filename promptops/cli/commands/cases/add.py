"""``promptops cases add``: a logged run becomes a case."""

import json
from typing import Annotated, Any

import typer

from promptops.cli.last_run import find_logged_run
from promptops.cli.options.cases import NameArgument, cases_display_path, how_to_name_cases
from promptops.cli.options.common import RUN_HELP
from promptops.cli.options.flags import run_option, tag_option
from promptops.config.safe_writes import WriteTarget
from promptops.config.settings import current_settings
from promptops.console import note, print_text
from promptops.errors import Invalid
from promptops.evaluation.golden_set import append_case, cases_path
from promptops.prompt import Prompt
from promptops.prompt.render import validate_inputs
from promptops.prompt.tool_calls import comparable_calls
from promptops.registry import RegistryDatabase, RunRecord
from promptops.versions.resolve import resolve_version


def cases_add(
    name: NameArgument,
    run: Annotated[str, run_option(RUN_HELP, metavar="RUN")],
    expected: Annotated[
        str | None, typer.Option("--expected", help="What is right; JSON where the prompt's output is.")
    ] = None,
    approve: Annotated[bool, typer.Option("--approve", help="The run's own answer is right.")] = False,
    tag: Annotated[list[str] | None, tag_option("A tag of the case.")] = None,
    case_id: Annotated[str | None, typer.Option("--id", help="Its id; a hash of it unless given.")] = None,
) -> None:
    """Add the inputs of a logged run to a prompt's golden set, with what the answer should have been."""
    settings = current_settings()
    version = resolve_version(name, settings)
    prompt = version.prompt
    if version.source != "working tree":
        raise Invalid(f"{name} is not in the working tree", hint=f"cases are added to {prompt.name}")
    if approve and expected is not None:
        raise Invalid("--approve and --expected both say what is right", hint="give one of the two")
    with RegistryDatabase.open_existing(settings.registry) as registry:
        record = find_logged_run(registry, run, settings)
    data = _case(prompt, record, expected, approve=approve)
    data |= {"tags": tag} if tag else {}
    shown = cases_display_path(version, settings)
    case = append_case(
        WriteTarget.inside(settings.prompts / cases_path(prompt), settings.inside),
        shown,
        {"id": case_id, **data} if case_id else data,
    )
    print_text(case.id)
    note(f"added to {shown}")
    if prompt.cases is None:
        note(f"next: {how_to_name_cases(prompt, settings)}")


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
    return {"inputs": run["inputs"], **({} if expected is None else {"expected": _value(prompt, expected)})}


def _value(prompt: Prompt, expected: str) -> Any:
    if prompt.output is None:
        return expected
    try:
        return json.loads(expected)
    except ValueError as error:
        raise Invalid(
            f"--expected is not JSON: {error}", hint=f"the output of {prompt.name} has a JSON Schema"
        ) from None
