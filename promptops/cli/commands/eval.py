"""``promptops eval``: one version or several over a golden set."""

from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from promptops.cli.eval_gate_request import prepare_rollout_eval
from promptops.cli.options.cases import TagOption
from promptops.cli.options.common import JsonOption, OutOption, write_report
from promptops.cli.options.evaluation import (
    AgainstOption,
    CasesOption,
    MarginOption,
    ModelsOption,
    NoWorseOption,
    SetsOption,
    TrialsOption,
    build_variants,
    eval_exit_code,
    run_eval,
)
from promptops.cli.options.flags import format_option, jobs_option, plan_option
from promptops.cli.options.groups import with_option_groups
from promptops.cli.options.model_calls import read_call_options
from promptops.cli.reports.eval import EvalFormatName, print_result, render_result
from promptops.cli.reports.retention import report_retention, without_unkept_texts
from promptops.config.settings import LogSettings, Settings, current_settings
from promptops.console import note
from promptops.errors import Invalid, WrongUsage
from promptops.evaluation.engine import DEFAULT_MARGIN, EvalRequest
from promptops.evaluation.gate import EvalThresholds, decide_eval
from promptops.evaluation.result import EvalResult
from promptops.runner.batch import BatchOptions


class EvalFormat(StrEnum):
    table = "table"
    json = "json"
    junit = "junit"
    markdown = "markdown"
    html = "html"


_JOBS, _JOBS_SEQUENTIAL = 16, 4  # in flight when the verdict comes, and so made for nothing
ReferencesArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="REF...",
        help="NAME, NAME@REV, NAME:CHANNEL or a prompt file; several compared.",
        show_default=False,
    ),
]
PlanOption = Annotated[
    str | None,
    plan_option(
        "Compare the canary that waits there with stable, by its plan's margin; no REF.",
        metavar="NAME[:CHANNEL]",
    ),
]
JobsOption = Annotated[
    int | None,
    jobs_option("Maximum concurrent calls (16; sequential 4)."),
]
FailUnderOption = Annotated[
    float | None,
    typer.Option("--fail-under", metavar="RATE", min=0.0, max=1.0, help="Exit with 1 below this pass rate."),
]
SequentialOption = Annotated[
    bool, typer.Option("--sequential", help="Make calls only until the verdict is in.")
]
FormatOption = Annotated[EvalFormat, format_option(f"{', '.join(EvalFormat)}.", metavar="FORMAT")]
VerboseOption = Annotated[bool, typer.Option("--verbose", help="Also say what the verdict rests on.")]


@with_option_groups(calls=read_call_options)
def eval_(
    references: ReferencesArgument = None,
    *,
    plan: PlanOption = None,
    against: AgainstOption = None,
    trials: TrialsOption = 1,
    cases: CasesOption = None,
    tags: TagOption = None,
    models: ModelsOption = None,
    sets: SetsOption = None,
    jobs: JobsOption = None,
    calls: BatchOptions,
    fail_under: FailUnderOption = None,
    no_worse_than: NoWorseOption = None,
    margin: MarginOption = DEFAULT_MARGIN,
    sequential: SequentialOption = False,
    form: FormatOption = EvalFormat.table,
    as_json: JsonOption = False,
    out: OutOption = None,
    verbose: VerboseOption = False,
) -> int:
    """Evaluate a version on its golden set, alone, against another one, or several in one table.

    Cases and checks are those of the version that is evaluated, and every other version is held to the same.
    A case that says what is expected, and that no check would look at, must be equalled. Answers that are
    kept are used again, so that a control is not paid for twice and an interrupted eval goes on.
    """
    settings = current_settings()
    undecided_ok = False
    if plan is not None:
        others = {"REF": references, "--against": against, "--model": models, "--set": sets, "--cases": cases}
        wanted = prepare_rollout_eval(
            settings, plan, {**others, "--no-worse-than": no_worse_than is not None}
        )
        references, against = [wanted.candidate], wanted.control
        no_worse_than, undecided_ok = wanted.gate.margin, wanted.gate.require == "undecided_ok"
    if not references:
        raise WrongUsage("no version is named", hint="promptops eval NAME, or eval --plan NAME")
    request = EvalRequest(
        variants=(),
        against=against is not None,
        trials=trials,
        margin=margin if no_worse_than is None else no_worse_than,
        sequential=sequential,
    )
    request = _with_variants(request, references, against, settings, models, sets)
    if against is None:
        _refuse_comparison(sequential=sequential, gated=no_worse_than is not None)
    options = replace(calls, concurrency=jobs or (_JOBS_SEQUENTIAL if sequential else _JOBS))
    outcome = run_eval(settings, options, request, cases, tags)
    log = report_retention(settings, (variant.prompt for variant in request.variants))
    _write_result(outcome.result, "json" if as_json else form.value, out, log)
    if verbose:
        _print_details(outcome.result)
    thresholds = EvalThresholds(fail_under, no_worse_than, undecided_ok)
    code = eval_exit_code(outcome) or _decide(outcome.result, thresholds)
    if plan is not None:
        note(f"next: promptops tick {plan}")
    return code


def _decide(result: EvalResult, thresholds: EvalThresholds) -> int:
    decision = decide_eval(result, thresholds)
    for reason in decision.reasons:
        note(reason)
    return decision.code


def _refuse_comparison(*, sequential: bool, gated: bool) -> None:
    """Raise Invalid for flags that compare two versions, where only one is named."""
    if sequential or gated:
        flag = "--sequential" if sequential else "--no-worse-than"
        raise Invalid(f"{flag} compares two versions", hint="say with --against REF what to compare with")


def _with_variants(
    request: EvalRequest,
    references: Sequence[str],
    against: str | None,
    settings: Settings,
    models: Sequence[str] | None,
    sets: Sequence[str] | None,
) -> EvalRequest:
    variants = build_variants(references, settings, models, sets)
    if against is None:
        return replace(request, variants=tuple(variants))
    if len(variants) > 1:
        raise Invalid(
            f"--against compares two versions, and {len(variants) + 1} are named",
            hint="leave it out: several versions stand side by side in one table",
        )
    control = replace(build_variants([against], settings)[0], arm="control")
    candidate = replace(variants[0], arm="candidate")
    pasteable = candidate.version.pasteable
    if not candidate.label.startswith(pasteable):
        candidate = replace(candidate, label=f"{pasteable} {candidate.label}")
    return replace(request, variants=(control, candidate))


def _write_result(result: EvalResult, form: EvalFormatName, out: Path | None, log: LogSettings) -> None:
    if out is not None or form != "table":
        result = without_unkept_texts(result, log)
    if out is None:
        print_result(result, form)
        return
    write_report(out, render_result(result, form))


def _print_details(result: EvalResult) -> None:
    """What the table leaves out: the evidence, scores, money and where the runs are."""
    compared = result.comparison
    if compared:
        note(
            f"{compared.pairs_used:,} pairs; McNemar p {compared.whole.p:.3g}"
            if result.trials == 1
            else f"{compared.pairs_used:,} pairs; sign-flip p {compared.whole.p:.3g}"
        )
        for name, value in compared.e_values.items():
            note(f"e-value {name}: {value:.3g} (20 decides)")
        for score in compared.scores:
            note(
                f"{score.name}: {score.control:.3g} -> {score.candidate:.3g}, {score.difference:+.3g} "
                f"({score.low:+.3g} to {score.high:+.3g}), p {score.p:.3g}, adjusted {score.p_adjusted:.3g}"
            )
    for side in result.sides:
        spent = "of unknown cost" if side.spent_usd is None else f"${side.spent_usd:.4f} spent"
        note(f"{side.label}: {side.cache_hits:,} answers from the cache, {spent}")
    note(f"eval {result.eval_id}; promptops runs list --kind eval")
