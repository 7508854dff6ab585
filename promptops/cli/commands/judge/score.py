"""``promptops judge score``: a judge scores a sample of what a channel has answered."""

import asyncio
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Annotated

import typer

from promptops.checks.judge import Judge, Label, judge_from_prompt
from promptops.checks.model_graded import ask_judge
from promptops.cli.options.common import JsonOption
from promptops.cli.options.flags import jobs_option, limit_option
from promptops.cli.options.run_filters import SinceFilter
from promptops.config.settings import Settings, current_settings
from promptops.console import note, print_json, print_text
from promptops.errors import Invalid, Undecided
from promptops.git.repo import GitRepo
from promptops.registry import (
    JudgeQueueFilter,
    RegistryDatabase,
    RunRecord,
    add_outcome,
    judge_versions_used,
    parse_time,
    runs_to_judge,
)
from promptops.release.plan import ReleasePlan, load_pinned_plan, parse_source
from promptops.runner.model_graded import JudgeResolver, SessionGraderClient
from promptops.runner.retry import Limits
from promptops.runner.session import Session
from promptops.versions.references import parse_reference
from promptops.versions.release_state import Rollout, find_state_commit, plan_path, read_release

TargetArgument = Annotated[str, typer.Argument(metavar="NAME[:CHANNEL]", help="production unless given.")]
SampleOption = Annotated[
    float | None,
    typer.Option(
        "--sample", min=0.0, max=1.0, metavar="P", help="The share of runs; as the plan says unless given."
    ),
]
JudgeOption = Annotated[
    str | None,
    typer.Option("--judge", metavar="REF", help="The judge; those of the rollout's plan unless given."),
]
PassOption = Annotated[
    list[str] | None,
    typer.Option("--pass", metavar="CHOICE", help="A choice of the judge that counts 1; others count 0."),
]
LimitOption = Annotated[int | None, limit_option("At most so many runs.")]
JobsOption = Annotated[int, jobs_option("Runs judged at once.")]


@dataclass(frozen=True, slots=True)
class _JudgeAssignment:
    """A judge with the name that its scores are logged under, and the share of runs that it looks at."""

    name: str
    reference: str
    share: float


@dataclass(slots=True, kw_only=True)
class _ScoreCount:
    judge: str
    version: str  # NAME@sha256:DIGEST
    scored: int = 0
    failed: int = 0  # the judge gave no verdict
    untold: int = 0  # the settings did not let inputs or output be kept


def judge_score(
    target: TargetArgument,
    sample: SampleOption = None,
    judge: JudgeOption = None,
    passing: PassOption = None,
    since: SinceFilter = None,
    limit: LimitOption = None,
    jobs: JobsOption = 4,
    as_json: JsonOption = False,
) -> None:
    """Let a judge score a sample of what a channel has answered, for the metrics `judge.PROMPT` of a plan.

    Which runs it scores is drawn by their ids alone, whoever answered and whatever was said; it is not told
    the version. A run is scored once: what is cut off or fails is taken up by the next call.
    """
    settings = current_settings()
    rollout, plan = _rollout(target, settings)
    served = _served_runs(target, settings, rollout, since)
    counts = [
        _score_with_judge(settings, seat, served, passing or [], limit, jobs)
        for seat in _judge_assignments(target, plan, judge, sample)
    ]
    if as_json:
        print_json([asdict(count) for count in counts])
    for count in counts:
        _print_count(count, quiet=as_json)
    if any(count.failed and not count.scored for count in counts):
        raise Undecided("a judge gave no verdict at all", hint="promptops runs list --kind judge")


def _rollout(target: str, settings: Settings) -> tuple[Rollout | None, ReleasePlan | None]:
    """What is tried on the channel, and the plan that it is tried by."""
    reference = parse_reference(target, settings)
    if reference.rev is not None:
        raise Invalid(f"{target} names a revision, not a channel", hint=f"{reference.name}:production")
    with GitRepo(settings) as repo:
        commit = find_state_commit(repo)
        state = read_release(repo, commit, reference.name) if commit else None
        channel = state.channels.get(reference.channel or "production") if state else None
        if commit is None or channel is None or channel.rollout is None:
            return None, None
        digest = channel.rollout.plan
        return channel.rollout, load_pinned_plan(repo.read(commit, plan_path(digest)), digest)


def _served_runs(
    target: str, settings: Settings, rollout: Rollout | None, since: str | None
) -> JudgeQueueFilter:
    reference = parse_reference(target, settings)
    return JudgeQueueFilter(
        prompt=reference.name,
        channel=reference.channel or "production",
        rollout=rollout.id if rollout and since is None else None,
        since=parse_time(since or "7d"),
    )


def _judge_assignments(
    target: str, plan: ReleasePlan | None, judge: str | None, sample: float | None
) -> list[_JudgeAssignment]:
    """The judges to ask. One of the plan keeps the plan's name, whatever version of it is asked for."""
    shares: dict[str, float] = {}
    for metric in plan.metrics if plan else ():
        source = parse_source(metric.source)
        if source.place == "judge":
            shares[source.name] = max(shares.get(source.name, 0.0), metric.sample or 1.0)
    for name, share in shares.items():
        if sample is not None and sample < share:
            note(f"the plan draws {share:.0%} for {name}: what is not scored counts as missing")
    if judge is None:
        if not shares:
            raise Invalid(f"no plan in force on {target} names a judge", hint="give --judge and --sample")
        return [
            _JudgeAssignment(name, name, share if sample is None else sample)
            for name, share in shares.items()
        ]
    name = next((each for each in shares if _prompt_name(each) == _prompt_name(judge)), _prompt_name(judge))
    if sample is None and name not in shares:
        raise Invalid(f"how many of the runs shall {judge} score?", hint="--sample 0.2")
    return [_JudgeAssignment(name, judge, shares[name] if sample is None else sample)]


def _prompt_name(reference: str) -> str:
    return reference.partition("@")[0].partition(":")[0]


def _score_with_judge(
    settings: Settings,
    seat: _JudgeAssignment,
    served: JudgeQueueFilter,
    passing: list[str],
    limit: int | None,
    jobs: int,
) -> _ScoreCount:
    judges = JudgeResolver(settings)
    prompt = judges.version(seat.reference).prompt
    judge = judge_from_prompt(prompt)
    _check_scale(judge, passing)
    count = _ScoreCount(judge=seat.name, version=f"{prompt.name}@sha256:{prompt.digest[:12]}")
    with RegistryDatabase.open(settings.registry) as registry:
        _refuse_other_judge(registry, served, count)
        runs = islice(runs_to_judge(registry, served, seat.name, seat.share), limit)
        asyncio.run(_score_runs(settings, registry, judges, judge, seat, runs, passing, count, jobs))
    return count


def _check_scale(judge: Judge, passing: list[str]) -> None:
    choices = judge.scale.kind == "choice"
    if judge.pairwise:
        raise Invalid(f"{judge.prompt.name} compares two outputs, and a run has one", hint="shadow runs do")
    if choices != bool(passing) or not set(passing) <= set(map(str, judge.scale.values)):
        hint = "leave --pass out" if not choices else f"--pass CHOICE, of {judge.scale}"
        raise Invalid(f"which answers of {judge.prompt.name} count? It says {judge.scale}", hint=hint)


def _refuse_other_judge(registry: RegistryDatabase, served: JudgeQueueFilter, count: _ScoreCount) -> None:
    """Two versions of a judge are two scales: within a rollout the first one stays."""
    said = judge_versions_used(registry, served.rollout, count.judge) if served.rollout else []
    if other := next((each for each in said if each != count.version), None):
        raise Invalid(
            f"{other} has scored runs of this rollout, and {count.judge} is {count.version} now",
            hint=f"--judge {other}",
        )


async def _score_runs(
    settings: Settings,
    registry: RegistryDatabase,
    judges: JudgeResolver,
    judge: Judge,
    seat: _JudgeAssignment,
    runs: Iterable[RunRecord],
    passing: list[str],
    count: _ScoreCount,
    jobs: int,
) -> None:
    waiting = iter(runs)
    async with Session(settings, many=True) as session:

        async def work() -> None:
            for run in waiting:  # shared: each worker takes the next
                if run["inputs"] is None or run["output"] is None:
                    count.untold += 1
                    continue
                asking = SessionGraderClient(
                    session=session, judges=judges, run_id=run["run_id"], limits=Limits()
                )
                offered = {**run["inputs"], "inputs": run["inputs"], "output": run["output"]}
                ballot = await ask_judge(judge, seat.reference, offered, asking, check=seat.name)
                count.failed += not ballot.votes
                for said in ballot.votes:
                    value = _score_value(said, passing)
                    add_outcome(registry, run["run_id"], seat.name, value, text=count.version, source="judge")
                    count.scored += 1

        await asyncio.gather(*(work() for _ in range(jobs)))


def _score_value(said: Label, passing: list[str]) -> float:
    return float(said in passing) if isinstance(said, str) else said


def _print_count(count: _ScoreCount, *, quiet: bool) -> None:
    if not quiet:
        print_text(f"{count.version} scored {count.scored:,} runs as {count.judge}")
    if count.failed:
        note(f"{count.failed:,} replies were no verdict; these runs are asked about again next time")
    if count.untold:
        note(f"{count.untold:,} runs could not be judged: their inputs or outputs were not kept")
