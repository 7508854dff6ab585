"""``promptops eval``: one version or several over a golden set."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from promptops.cli.command_words import lasting_reference
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
from promptops.cli.options.flags import format_option, jobs_option, plan_option, shard_option
from promptops.cli.options.groups import with_option_groups
from promptops.cli.options.model_calls import read_call_options
from promptops.cli.options.provider_batch import ProviderOptions, read_provider_options, with_provider
from promptops.cli.reports.eval import EvalFormatName, print_result, render_result
from promptops.cli.reports.retention import report_retention, without_unkept_texts
from promptops.config.settings import LogSettings, Settings, current_settings
from promptops.console import note
from promptops.dataclass import dataclass
from promptops.errors import ExitCode, Invalid, WrongUsage
from promptops.evaluation.engine import DEFAULT_MARGIN, EvalRequest
from promptops.evaluation.gate import EvalThresholds, decide_eval
from promptops.evaluation.result import EvalResult
from promptops.runner.batch import BatchOptions, Shard


class EvalFormat(StrEnum):
    table = "table"
    json = "json"
    junit = "junit"
    markdown = "markdown"
    html = "html"
    csv = "csv"


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
ShardOption = Annotated[
    str | None,
    shard_option("Answer each N-th case, from case I on; without it all are judged, by the answers kept."),
]
FormatOption = Annotated[EvalFormat, format_option(f"{', '.join(EvalFormat)}.", metavar="FORMAT")]
AnswersOption = Annotated[
    bool, typer.Option("--answers", help="Print every answer, those of several versions side by side.")
]
VerboseOption = Annotated[bool, typer.Option("--verbose", help="Also say what the verdict rests on.")]


@dataclass(frozen=True, slots=True)
class EvalReportTarget:
    """How and where the result is written."""

    form: EvalFormatName
    file: Path | None
    answers: bool
    verbose: bool


def read_eval_report_target(
    *,
    form: FormatOption = EvalFormat.table,
    as_json: JsonOption = False,
    out: OutOption = None,
    answers: AnswersOption = False,
    verbose: VerboseOption = False,
) -> EvalReportTarget:
    """Raises WrongUsage for answers asked of a form that holds them all."""
    if answers and (as_json or form is not EvalFormat.table or out is not None):
        raise WrongUsage(
            "--answers is for the table in a terminal", hint="--format html, csv and json hold every answer"
        )
    return EvalReportTarget("json" if as_json else form.value, out, answers, verbose)


@with_option_groups(calls=read_call_options, provider=read_provider_options, target=read_eval_report_target)
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
    provider: ProviderOptions,
    fail_under: FailUnderOption = None,
    no_worse_than: NoWorseOption = None,
    margin: MarginOption = DEFAULT_MARGIN,
    sequential: SequentialOption = False,
    shard: ShardOption = None,
    target: EvalReportTarget,
) -> int:
    """Evaluate a version on its golden set, alone, against another one, or several in one table.

    Cases and checks are those of the version that is evaluated, and every other version is held to the same.
    A case that says what is expected, and that no check would look at, must be equalled. Answers that are
    kept are used again, so that a control is not paid for twice and an interrupted eval goes on.
    """
    settings = current_settings()
    judged = {"--fail-under": fail_under, "--no-worse-than": no_worse_than, "--plan": plan}
    part = _read_shard(shard, calls, {**judged, "--sequential": sequential or None})
    undecided_ok = False
    if plan is not None:
        others = {"REF": references, "--against": against, "--model": models, "--set": sets, "--cases": cases}
        wanted = prepare_rollout_eval(
            settings, plan, {**others, "--no-worse-than": no_worse_than is not None}
        )
        references, against = [wanted.candidate], wanted.control
        no_worse_than, undecided_ok = wanted.gate.margin, wanted.gate.require == "undecided_ok"
    request = EvalRequest(
        variants=(),
        against=against is not None,
        trials=trials,
        margin=margin if no_worse_than is None else no_worse_than,
        sequential=sequential,
        shard=part,
    )
    request = _with_variants(request, references, against, settings, models, sets)
    _refuse_comparison(against, sequential=sequential, gated=no_worse_than is not None)
    options = replace(calls, concurrency=jobs or (_JOBS_SEQUENTIAL if sequential else _JOBS))
    options = with_provider(options, provider, **_lasting(request, references, against, plan))
    outcome = run_eval(settings, options, request, cases, tags)
    log = report_retention(settings, (variant.prompt for variant in request.variants))
    _write_result(outcome.result, target, log)
    thresholds = EvalThresholds(fail_under, no_worse_than, undecided_ok)
    code = eval_exit_code(outcome) or _decide(outcome.result, thresholds)
    if plan is not None:
        note(f"next: promptops tick {plan}")
    return code


def _lasting(
    request: EvalRequest, references: Sequence[str] | None, against: str | None, plan: str | None
) -> dict[str, object]:
    """The references, as they name the same versions later; a plan names its own."""
    if plan is not None:
        return {}
    later = {each.version.reference: lasting_reference(each.version) for each in request.variants}
    named = [later.get(each, each) for each in references or ()]
    return {"references": named, **({"against": later.get(against, against)} if against else {})}


def _decide(result: EvalResult, thresholds: EvalThresholds) -> int:
    if result.stopped == "shard":
        return ExitCode.OK  # the whole is judged
    decision = decide_eval(result, thresholds)
    for reason in decision.reasons:
        note(reason)
    return decision.code


def _read_shard(text: str | None, calls: BatchOptions, judged: Mapping[str, object]) -> Shard | None:
    """Raises WrongUsage where something is asked of all cases as well, by the options in ``judged``."""
    if text is None:
        return None
    shard = Shard.parse(text)
    if flag := next((flag for flag, value in judged.items() if value is not None), None):
        raise WrongUsage(f"{flag} judges all cases, and --shard {shard} answers some", hint="leave one out")
    if calls.cache == "off":
        raise WrongUsage(
            f"with --no-cache nobody finds the answers of --shard {shard} again",
            hint="--refresh asks the model, and keeps its answers",
        )
    return shard


def _refuse_comparison(against: str | None, *, sequential: bool, gated: bool) -> None:
    """Raise Invalid for flags that compare two versions, where only one is named."""
    if against is None and (sequential or gated):
        flag = "--sequential" if sequential else "--no-worse-than"
        raise Invalid(f"{flag} compares two versions", hint="say with --against REF what to compare with")


def _with_variants(
    request: EvalRequest,
    references: Sequence[str] | None,
    against: str | None,
    settings: Settings,
    models: Sequence[str] | None,
    sets: Sequence[str] | None,
) -> EvalRequest:
    if not references:
        raise WrongUsage("no version is named", hint="promptops eval NAME, or eval --plan NAME")
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


def _write_result(result: EvalResult, target: EvalReportTarget, log: LogSettings) -> None:
    shown = result
    if target.file is not None or target.form != "table":
        shown = without_unkept_texts(result, log)
    if target.file is None:
        print_result(shown, target.form, answers=target.answers)
    else:
        write_report(target.file, render_result(shown, target.form))
    if target.verbose:
        _print_details(result)


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
