"""``promptops diff``: what changed between two versions, or in all prompts between two revisions."""

import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from promptops.cli.options.common import InputOption, InputsOption, JsonOption
from promptops.cli.options.flags import (
    cases_option,
    exit_code_option,
    format_option,
    max_cost_option,
    no_worse_option,
    run_option,
    staged_option,
)
from promptops.cli.reports.diff.data import DiffReport, RenderOptions, build_diff_reports
from promptops.cli.reports.diff.shadow_runs import attach_shadow_runs
from promptops.config.settings import Settings, current_settings
from promptops.console import note, print_json, print_table, print_text
from promptops.errors import Invalid, WrongUsage
from promptops.git.repo import GitRepo
from promptops.versions.change_summary import ChangeSummary, summarize_change
from promptops.versions.changed_prompts import ChangedPrompts
from promptops.versions.diff_arguments import resolve_diff_arguments


class DiffFormat(StrEnum):
    text = "text"
    json = "json"
    markdown = "markdown"


WordsArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="[A] [B]", help="NAME, NAME@REV, NAME@A..B, A..B, REV; none: all against HEAD."),
]
StagedOption = Annotated[bool, staged_option("Compare with the index, not the working tree.")]
UnifiedOption = Annotated[
    bool, typer.Option("--unified", "-u", help="Show texts line by line, not by words.")
]
StatOption = Annotated[bool, typer.Option("--stat", help="Print one line for each prompt.")]
NameOnlyOption = Annotated[bool, typer.Option("--name-only", help="Print the names of changed prompts.")]
ExitCodeOption = Annotated[bool, exit_code_option("Exit with 1 when versions differ.")]
FormatOption = Annotated[
    DiffFormat, format_option("text, json or markdown (a PR comment).", metavar="FORMAT")
]
RenderOption = Annotated[bool, typer.Option("--render", help="Compare rendered messages, on -i or --inputs.")]
CasesOption = Annotated[bool, cases_option("Compare rendered messages on the golden set.")]
RunOption = Annotated[bool, run_option("Also evaluate both versions on the new one's golden set.")]
MaxCostOption = Annotated[
    float | None,
    max_cost_option("With --run: what all evals may cost together."),
]
NoWorseOption = Annotated[
    float | None,
    no_worse_option(
        "With --run: exit with 1 if one fails more often, 3 if it is not shown that each fails at most this "
        "much more often (0.03)."
    ),
]
TextconvOption = Annotated[
    Path | None, typer.Option("--textconv", metavar="FILE", help="Print FILE as git's diff driver wants it.")
]


def diff(
    words: WordsArgument = None,
    staged: StagedOption = False,
    unified: UnifiedOption = False,
    stat: StatOption = False,
    name_only: NameOnlyOption = False,
    exit_code: ExitCodeOption = False,
    render: RenderOption = False,
    given: InputOption = None,
    inputs: InputsOption = None,
    cases: CasesOption = False,
    form: FormatOption = DiffFormat.text,
    as_json: JsonOption = False,
    run: RunOption = False,
    max_cost: MaxCostOption = None,
    no_worse_than: NoWorseOption = None,
    textconv: TextconvOption = None,
) -> int:
    """Show what changed between two versions of a prompt, or in all prompts between two revisions.

    NAME compares HEAD with the working tree, NAME@A NAME@B two versions, NAME@A..B one prompt and A..B all
    prompts between two revisions (A...B from where they parted). With --staged, HEAD with the index.

    For plain `git diff` and `git log -p`, put `prompts/**/*.yaml diff=promptops` into .gitattributes and run
    `git config diff.promptops.textconv "promptops diff --textconv"`.
    """
    if textconv is not None:
        return _print_textconv(textconv)
    if not run and (max_cost is not None or no_worse_than is not None):
        raise WrongUsage("--max-cost and --no-worse-than are for --run")
    settings = current_settings()
    changes = _find_changes(words or [], settings, staged=staged)
    for text in changes.notes:
        note(text)
    if name_only and not run:
        _print_names(changes)
    elif stat and not run and not as_json and form is DiffFormat.text:
        _print_stat([summarize_change(pair) for pair in changes.pairs])
    else:
        on = RenderOptions(
            render=render or bool(given or inputs), given=tuple(given or ()), file=inputs, cases=cases
        )
        reports = attach_shadow_runs(build_diff_reports(changes.pairs, settings, on), settings)
        form = DiffFormat.json if as_json else form
        if run:
            code = _print_with_evals(
                reports, settings, form, max_cost, no_worse_than, unified=unified, stat=stat
            )
            if code:
                return code
        else:
            _print(reports, form, unified=unified, stat=stat)
    return int(exit_code and bool(changes.pairs))


def _print_with_evals(
    reports: list[DiffReport],
    settings: Settings,
    form: DiffFormat,
    max_cost: float | None,
    no_worse_than: float | None,
    *,
    unified: bool,
    stat: bool,
) -> int:
    from promptops.cli.reports.diff.evals import PairEvals, attach_evals, markdown_evals, print_evals

    evals = PairEvals(settings, max_cost, no_worse_than)
    if form is DiffFormat.json:
        from promptops.cli.reports.diff.json import diff_data

        print_json(attach_evals(reports, settings, evals, diff_data(reports)))
    elif form is DiffFormat.markdown:
        from promptops.cli.reports.diff.markdown import render_diff_markdown

        verdicts, shown = markdown_evals(reports, settings, evals)
        text = render_diff_markdown(reports, unified=unified, full=not stat, verdicts=verdicts, evals=shown)
        print_text(text, end="")
    else:
        _print(reports, form, unified=unified, stat=stat)
        print_evals(reports, evals)
    return evals.exit_code()


def _print(reports: list[DiffReport], form: DiffFormat, *, unified: bool, stat: bool) -> None:
    if form is DiffFormat.json:
        from promptops.cli.reports.diff.json import diff_data

        print_json(diff_data(reports))
    elif form is DiffFormat.markdown:
        from promptops.cli.reports.diff.markdown import render_diff_markdown

        print_text(render_diff_markdown(reports, unified=unified, full=not stat), end="")
    elif not reports:
        note("nothing changed")
    else:
        from promptops.cli.reports.diff.text import print_diff_reports

        print_diff_reports(reports, unified=unified)


def _print_names(changes: ChangedPrompts) -> None:
    for pair in changes.pairs:
        print_text(pair.name)


def _print_stat(reviews: Sequence[ChangeSummary]) -> None:
    rows = [(one.pair.name, one.headline, _words(one)) for one in reviews]
    if rows:
        print_table(("PROMPT", "CHANGE", "WORDS"), rows, numeric=(2,))


def _words(review: ChangeSummary) -> str | None:
    """None where there is nothing that texts were compared with."""
    one_side = review.pair.status in ("added", "deleted") and not review.files
    return None if one_side else "+{} -{}".format(*review.word_counts)


def _find_changes(words: list[str], settings: Settings, *, staged: bool) -> ChangedPrompts:
    with GitRepo(settings) as repo:
        return resolve_diff_arguments(words, repo, staged=staged)


def _print_textconv(file: Path) -> int:
    from promptops.prompt.diff import to_plain_text

    try:
        data = file.read_bytes()
    except OSError as error:
        raise Invalid(f"cannot read {file}: {error.strerror}") from None
    sys.stdout.buffer.write(to_plain_text(data))
    return 0
