"""``promptops judge calibrate``: how far a judge can be trusted."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from promptops.checks.judge import Judge, judge_from_prompt
from promptops.cli.options.common import JsonOption, ReferenceArgument
from promptops.cli.options.flags import cases_option, jobs_option
from promptops.cli.options.judge import PassOption
from promptops.config.settings import Settings, current_settings
from promptops.console import note, print_json, print_table, print_text
from promptops.errors import Invalid, Undecided
from promptops.evaluation.judge_calibration import (
    Calibration,
    JudgedItem,
    LabelledItem,
    calibrate,
    judge_items,
    read_labels,
)
from promptops.registry import RegistryDatabase
from promptops.review.judge_rates import JudgeRates, check_passing, judge_rates, reviewed_items
from promptops.runner.model_graded import JudgeResolver, LoggedGraderClient
from promptops.runner.retry import Limits
from promptops.runner.session import Session, session_runs

LabelsOption = Annotated[
    Path | None, typer.Option("--labels", metavar="FILE", help='JSON lines: {"inputs": {…}, "label": 4}.')
]
ReviewedOption = Annotated[
    str | None,
    typer.Option(
        "--reviewed", metavar="NAME", help="Take what reviewers said of the answers of this prompt."
    ),
]
VotesOption = Annotated[int, typer.Option("--votes", min=1, max=101, help="How often each item is judged.")]
CasesOption = Annotated[
    int | None,
    cases_option("Cases of the comparison to come; as many as labels unless given.", min_value=1),
]
JobsOption = Annotated[int, jobs_option("Items judged at once.")]


def judge_calibrate(
    reference: ReferenceArgument,
    labels: LabelsOption = None,
    reviewed: ReviewedOption = None,
    passing: PassOption = None,
    votes: VotesOption = 3,
    cases: CasesOption = None,
    jobs: JobsOption = 4,
    as_json: JsonOption = False,
) -> None:
    """Compare a judge with people's labels and with itself.

    Says how often it agrees with them, how far beyond chance, how often with its own other votes, and the
    smallest difference between two versions that it can see. Replies that are no verdict are counted apart.
    With --reviewed: how often it passes what reviewers passed, and fails what they failed.
    """
    settings = current_settings()
    judges = JudgeResolver(settings)
    judge = judge_from_prompt(judges.version(reference).prompt)
    items = _labelled_items(settings, judge, labels, reviewed, passing or ())
    judged = asyncio.run(_judge_items(judge, reference, items, judges, settings, votes, jobs))
    if not any(each.votes for each in judged):
        reason = next((failure for each in judged for failure in each.failures), "it was never asked")
        raise Undecided(
            f"{reference} gave no verdict at all: {reason}", hint="promptops runs list --kind judge"
        )
    if reviewed is not None:
        _print_rates(reference, judge_rates(judged, judge.scale, passing or ()), as_json=as_json)
        return
    result = calibrate(judged, judge.scale, votes=votes, cases=cases)
    if as_json:
        print_json(asdict(result))
    else:
        _print(reference, judge, result)


def _labelled_items(
    settings: Settings, judge: Judge, labels: Path | None, reviewed: str | None, passing: Sequence[str]
) -> list[LabelledItem]:
    if (labels is None) == (reviewed is None) or (passing and reviewed is None):
        raise Invalid(
            "labels are in a file, or reviewers'", hint="--labels FILE, or --reviewed NAME [--pass CHOICE]"
        )
    if reviewed is not None:
        check_passing(judge, passing)
        with RegistryDatabase.open_existing(settings.registry) as registry:
            return reviewed_items(registry, reviewed)
    items = list(_read_labelled(labels, judge)) if labels else []
    if not items:
        raise Invalid(f"{labels} holds no labels", hint='a line is {"inputs": {…}, "label": 4}')
    return items


def _read_labelled(file: Path, judge: Judge) -> Iterator[LabelledItem]:
    try:
        with file.open("rb") as lines:
            yield from read_labels(str(file), lines, judge)
    except OSError as error:
        raise Invalid(f"--labels: cannot read {file}: {error.strerror}") from None


async def _judge_items(
    judge: Judge,
    reference: str,
    items: list[LabelledItem],
    judges: JudgeResolver,
    settings: Settings,
    votes: int,
    jobs: int,
) -> list[JudgedItem]:
    async with Session(settings, pooled=True) as session:
        client = LoggedGraderClient(make_run=session_runs(session, Limits()), judges=judges)
        return await judge_items(judge, reference, items, client, votes=votes, jobs=jobs)


def _print_rates(reference: str, rates: JudgeRates, *, as_json: bool) -> None:
    if as_json:
        print_json(asdict(rates))
        return
    print_text(
        f"{reference} on {rates.judged} of {rates.items} reviewed answers; it passes: {rates.passes}\n"
    )
    figures = {
        "passes what people passed": rates.true_positive,
        "fails what people failed": rates.true_negative,
        "kappa (Cohen)": rates.kappa,
    }
    rows = [
        (name, f"{each.value:.3f}", f"{each.low:.3f} to {each.high:.3f}", each.count)
        for name, each in figures.items()
        if each
    ]
    print_table(("FIGURE", "VALUE", "95 %", "OF"), rows, numeric=(1, 3))


def _print(reference: str, judge: Judge, result: Calibration) -> None:
    print_text(f"{reference} on {result.items} items, {result.votes} votes each; it answers {judge.scale}\n")
    rows = [row for row in _rows(result) if row[1] is not None]
    print_table(("FIGURE", "VALUE", "95 %", "OF"), rows, numeric=(1, 3))
    if result.detectable is not None:
        unit = "points" if judge.scale.kind == "score" else "of the share of a choice"
        print_text(
            f"\nOver {result.cases} cases it can see a difference of {result.detectable:.3g} {unit} or more"
        )
        print_text(
            "(one vote a side, 5 % level, 80 % power), by its own noise; what differs between cases is on top"
        )
    if result.noise == 0:
        note("its votes never differ: with temperature 0 or a seed it repeats itself, and hides its noise")
    for reason, count in list(result.failures.items())[:5]:
        note(f"{count} × no verdict: {reason}")


def _rows(result: Calibration) -> Iterator[tuple[str, Any, Any, Any]]:
    figures: Mapping[str, Any] = {
        "agrees with people": result.raw,
        "kappa (Cohen)": result.kappa,
        "alpha (Krippendorff)": result.alpha,
        "alpha among people": result.people_alpha,
        "correlation (Pearson)": result.correlation,
        "correlation (Spearman)": result.rank_correlation,
        "all its votes agree": result.self_agreement,
        "alpha among its votes": result.self_alpha,
        "goes by position": result.flipped,
        "no verdict": result.failure_rate,
    }
    for name, each in figures.items():
        if each is not None:
            yield name, f"{each.value:.3f}", f"{each.low:.3f} to {each.high:.3f}", each.count
    if result.noise is not None:
        yield "sd of one vote", f"{result.noise:.3f}", None, None
