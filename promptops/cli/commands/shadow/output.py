"""How shadow runs are told, and the exit code that they end with."""

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from promptops.cli.reports.shadow import ShadowFormatName, print_comparisons, render_comparisons
from promptops.console import note
from promptops.errors import Invalid
from promptops.evaluation.gate import combine_decisions, decide_shadow
from promptops.evaluation.shadow.replay import ReplayOutcome
from promptops.evaluation.shadow.result import ShadowComparison
from promptops.providers.types import ModelError


class ShadowFormat(StrEnum):
    text = "text"
    json = "json"
    markdown = "markdown"
    html = "html"


FormatOption = Annotated[
    ShadowFormat, typer.Option("--format", metavar="FORMAT", help=f"{', '.join(ShadowFormat)}.")
]
OutOption = Annotated[Path | None, typer.Option(metavar="FILE", help="Write it here instead of to stdout.")]


def write_comparisons(
    found: Sequence[ShadowComparison],
    form: ShadowFormatName,
    out: Path | None = None,
    *,
    whole_project: bool = False,
) -> None:
    if out is None:
        print_comparisons(found, form, table=whole_project)
        return
    try:
        out.write_text(render_comparisons(found, form, table=whole_project), encoding="utf-8")
    except OSError as error:
        raise Invalid(f"cannot write {out}: {error.strerror}") from None
    note(f"written to {out}")


def shadow_exit_code(outcomes: Sequence[ReplayOutcome], *, gate: bool) -> int:
    """Raise what kept one from its end; else 0, or what the gate says: no beats undecided beats yes."""
    for each in outcomes:
        if each.comparison.stopped == "interrupted":
            note("interrupted; the same command goes on from here")
            return 130
    if failures := [each.failure for each in outcomes if each.failure]:
        raise _with_context(failures[0])
    if over := [
        each.over_budget for each in outcomes if each.comparison.stopped == "budget" and each.over_budget
    ]:
        raise over[0]
    if not gate:
        return 0
    decision = combine_decisions(decide_shadow(each.comparison) for each in outcomes)
    for reason in decision.reasons:
        note(reason)
    return decision.code


def _with_context(failure: ModelError) -> ModelError:
    message = failure.message
    said = message if "in a row" in message else f"call after call failed: {message}"
    return ModelError(failure.type, said, status=failure.status, hint=failure.hint)
