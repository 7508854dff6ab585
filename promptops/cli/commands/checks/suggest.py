"""``promptops checks suggest``: drafts of checks and of a judge, for a person to accept."""

import os
from collections.abc import Sequence
from typing import Annotated

from promptops.checks.suggest import SuggestedCheck, judge_draft, judge_name, suggest_checks
from promptops.cli.options.cases import NameArgument
from promptops.cli.options.common import JsonOption
from promptops.cli.options.flags import write_option
from promptops.config.safe_writes import WriteTarget
from promptops.config.settings import Settings, current_settings
from promptops.console import note, print_json, print_text
from promptops.errors import Invalid
from promptops.evaluation.check_drafts import check_entries, draft_yaml, insert_checks
from promptops.prompt import Prompt
from promptops.versions.resolve import resolve_version

WriteOption = Annotated[
    bool,
    write_option("Put the checks into the prompt file and the judge beside the prompts."),
]


def checks_suggest(name: NameArgument, write: WriteOption = False, as_json: JsonOption = False) -> None:
    """Draft checks and a judge from a prompt's own words: schema, parameters, examples, instructions.

    They are guesses. Nothing is written without --write, and then only what keeps the version as it is.
    """
    settings = current_settings()
    version = resolve_version(name, settings)
    prompt = version.prompt
    drafts = suggest_checks(prompt)
    if write and version.source != "working tree":
        raise Invalid(f"{name} is not in the working tree", hint=f"checks are written into {prompt.name}")
    if as_json:
        print_json(
            {
                "checks": [{"check": each.entry, "reason": each.reason} for each in drafts],
                "judge": {"name": judge_name(prompt), "prompt": judge_draft(prompt)},
            }
        )
    else:
        _print(prompt, drafts)
    if write:
        _write(settings, prompt, drafts)


def _print(prompt: Prompt, drafts: Sequence[SuggestedCheck]) -> None:
    print_text(f"# in {prompt.document.path}\nchecks:")
    print_text(
        check_entries(drafts) if drafts else "  []  # nothing in the prompt's words asks for more", end=""
    )
    print_text(f"\n# a judge: prompts/{judge_name(prompt)}.yaml; use it as `- judge: {judge_name(prompt)}`")
    print_text(draft_yaml(judge_draft(prompt)), end="")


def _write(settings: Settings, prompt: Prompt, drafts: Sequence[SuggestedCheck]) -> None:
    judge = WriteTarget.inside(settings.prompts / f"{judge_name(prompt)}.yaml", settings.work_tree)
    if judge.real.exists():
        note(f"{os.path.relpath(judge.path)} is there already, and stays as it is")
    else:
        judge.write(draft_yaml(judge_draft(prompt)).encode(), new=True)
        note(f"wrote {os.path.relpath(judge.path)}")
    if drafts:
        file = WriteTarget.inside(settings.prompts / prompt.path, settings.work_tree)
        file.write(insert_checks(settings, prompt, drafts, file.read().decode()).encode())
        note(f"added {len(drafts)} checks to {os.path.relpath(file.path)}")
