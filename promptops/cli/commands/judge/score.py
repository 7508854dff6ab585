"""``promptops judge score``: a judge scores a sample of what a channel has answered."""

from dataclasses import asdict
from typing import Annotated

import typer

from promptops.cli.options.common import JsonOption
from promptops.cli.options.flags import jobs_option, limit_option, redacted_option
from promptops.cli.options.judge import JudgeOption, PassOption, SampleOption
from promptops.cli.options.run_filters import SinceFilter
from promptops.config.settings import current_settings
from promptops.console import note, print_json, print_text
from promptops.errors import Undecided
from promptops.evaluation.judge_scores import (
    JudgeScoreCount,
    JudgeScoreRequest,
    plan_judge_scores,
    score_with_judge,
)

TargetArgument = Annotated[str, typer.Argument(metavar="NAME[:CHANNEL]", help="production unless given.")]
LimitOption = Annotated[int | None, limit_option("At most so many runs.")]
RedactedOption = Annotated[bool, redacted_option("Judge also runs that were redacted, as they are kept.")]
JobsOption = Annotated[int, jobs_option("Runs judged at once.")]


def judge_score(
    target: TargetArgument,
    sample: SampleOption = None,
    judge: JudgeOption = None,
    passing: PassOption = None,
    since: SinceFilter = None,
    limit: LimitOption = None,
    jobs: JobsOption = 4,
    redacted: RedactedOption = False,
    as_json: JsonOption = False,
) -> None:
    """Let a judge score a sample of what a channel has answered, for the metrics `judge.PROMPT` of a plan.

    Which runs it scores is drawn by their ids alone, whoever answered and whatever was said; it does not see
    the version. A run is scored once: what is cut off or fails is taken up by the next call.
    """
    settings = current_settings()
    request = JudgeScoreRequest(
        target=target,
        judge=judge,
        sample=sample,
        since=since,
        passing=passing or (),
        limit=limit,
        jobs=jobs,
        redacted=redacted,
    )
    plan = plan_judge_scores(settings, request)
    for name, share in plan.undersampled.items():
        note(f"the plan draws {share:.0%} for {name}: what is not scored counts as missing")
    counts = [score_with_judge(settings, request, plan.served, each) for each in plan.assignments]
    if as_json:
        print_json([asdict(count) for count in counts])
    for count in counts:
        _print_count(count, quiet=as_json)
    if any(count.failed and not count.scored for count in counts):
        raise Undecided("a judge gave no verdict at all", hint="promptops runs list --kind judge")


def _print_count(count: JudgeScoreCount, *, quiet: bool) -> None:
    if not quiet:
        print_text(f"{count.version} scored {count.scored:,} runs as {count.judge}")
    if count.failed:
        note(f"{count.failed:,} replies were no verdict; these runs are asked about again next time")
    if count.untold:
        note(f"{count.untold:,} runs could not be judged: their inputs or outputs were not kept whole")
