"""``promptops judge score``: a judge scores a sample of what a channel has answered."""

import asyncio
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Annotated

import typer

from promptops.checks.judge import Judge, Said, judge_of
from promptops.checks.model_graded import ask_judge
from promptops.cli.options.common import JsonOption
from promptops.cli.options.run_filters import SinceFilter
from promptops.config.settings import Settings, here
from promptops.console import note, print_json, print_text
from promptops.errors import Invalid, Undecided
from promptops.git.repo import GitRepo
from promptops.registry.release.judge_queue import Served, judges_so_far, runs_to_judge
from promptops.registry.runs.filters import parse_time
from promptops.registry.runs.outcomes import add_outcome
from promptops.registry.runs.queries import Run
from promptops.registry.store import Registry
from promptops.release.plan import Plan, parse_source, pinned_plan
from promptops.runner.model_graded import Asking, Judges
from promptops.runner.retry import Limits
from promptops.runner.session import Session
from promptops.versions.references import parse_reference
from promptops.versions.release_state import Rollout, plan_path, read_release, state_commit

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
LimitOption = Annotated[int | None, typer.Option("-n", "--limit", min=1, help="At most so many runs.")]
JobsOption = Annotated[int, typer.Option("-j", "--jobs", min=1, help="Runs judged at once.")]


@dataclass(frozen=True, slots=True)
class _Seat:
    """A judge with the name that its scores are logged under, and the share of runs that it looks at."""

    name: str
    reference: str
    share: float


@dataclass(slots=True, kw_only=True)
class _Count:
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
    settings = here()
    rollout, plan = _rollout(target, settings)
    served = _served(target, settings, rollout, since)
    counts = [
        _score(settings, seat, served, passing or [], limit, jobs)
        for seat in _seats(target, plan, judge, sample)
    ]
    if as_json:
        print_json([asdict(count) for count in counts])
    for count in counts:
        _tell(count, quiet=as_json)
    if any(count.failed and not count.scored for count in counts):
        raise Undecided("a judge gave no verdict at all", hint="promptops runs list --kind judge")


def _rollout(target: str, settings: Settings) -> tuple[Rollout | None, Plan | None]:
    """What is tried on the channel, and the plan that it is tried by."""
    reference = parse_reference(target, settings)
    if reference.rev is not None:
        raise Invalid(f"{target} names a revision, not a channel", hint=f"{reference.name}:production")
    with GitRepo(settings) as repo:
        commit = state_commit(repo)
        state = read_release(repo, commit, reference.name) if commit else None
        channel = state.channels.get(reference.channel or "production") if state else None
        if commit is None or channel is None or channel.rollout is None:
            return None, None
        digest = channel.rollout.plan
        return channel.rollout, pinned_plan(repo.read(commit, plan_path(digest)), digest)


def _served(target: str, settings: Settings, rollout: Rollout | None, since: str | None) -> Served:
    reference = parse_reference(target, settings)
    return Served(
        prompt=reference.name,
        channel=reference.channel or "production",
        rollout=rollout.id if rollout and since is None else None,
        since=parse_time(since or "7d"),
    )


def _seats(target: str, plan: Plan | None, judge: str | None, sample: float | None) -> list[_Seat]:
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
        return [_Seat(name, name, share if sample is None else sample) for name, share in shares.items()]
    name = next((each for each in shares if _prompt_name(each) == _prompt_name(judge)), _prompt_name(judge))
    if sample is None and name not in shares:
        raise Invalid(f"how many of the runs shall {judge} score?", hint="--sample 0.2")
    return [_Seat(name, judge, shares[name] if sample is None else sample)]


def _prompt_name(reference: str) -> str:
    return reference.partition("@")[0].partition(":")[0]


def _score(
    settings: Settings, seat: _Seat, served: Served, passing: list[str], limit: int | None, jobs: int
) -> _Count:
    judges = Judges(settings)
    prompt = judges.version(seat.reference).prompt
    judge = judge_of(prompt)
    _check(judge, passing)
    count = _Count(judge=seat.name, version=f"{prompt.name}@sha256:{prompt.digest[:12]}")
    with Registry.open(settings.registry) as registry:
        _refuse_other_judge(registry, served, count)
        runs = islice(runs_to_judge(registry, served, seat.name, seat.share), limit)
        asyncio.run(_ask_all(settings, registry, judges, judge, seat, runs, passing, count, jobs))
    return count


def _check(judge: Judge, passing: list[str]) -> None:
    choices = judge.scale.kind == "choice"
    if judge.pairwise:
        raise Invalid(f"{judge.prompt.name} compares two outputs, and a run has one", hint="shadow runs do")
    if choices != bool(passing) or not set(passing) <= set(map(str, judge.scale.values)):
        hint = "leave --pass out" if not choices else f"--pass CHOICE, of {judge.scale}"
        raise Invalid(f"which answers of {judge.prompt.name} count? It says {judge.scale}", hint=hint)


def _refuse_other_judge(registry: Registry, served: Served, count: _Count) -> None:
    """Two versions of a judge are two scales: within a rollout the first one stays."""
    said = judges_so_far(registry, served.rollout, count.judge) if served.rollout else []
    if other := next((each for each in said if each != count.version), None):
        raise Invalid(
            f"{other} has scored runs of this rollout, and {count.judge} is {count.version} now",
            hint=f"--judge {other}",
        )


async def _ask_all(
    settings: Settings,
    registry: Registry,
    judges: Judges,
    judge: Judge,
    seat: _Seat,
    runs: Iterable[Run],
    passing: list[str],
    count: _Count,
    jobs: int,
) -> None:
    waiting = iter(runs)
    async with Session(settings, many=True) as session:

        async def work() -> None:
            for run in waiting:  # shared: each worker takes the next
                if run["inputs"] is None or run["output"] is None:
                    count.untold += 1
                    continue
                asking = Asking(session=session, judges=judges, run_id=run["run_id"], limits=Limits())
                offered = {**run["inputs"], "inputs": run["inputs"], "output": run["output"]}
                ballot = await ask_judge(judge, seat.reference, offered, asking, check=seat.name)
                count.failed += not ballot.votes
                for said in ballot.votes:
                    value = _value(said, passing)
                    add_outcome(registry, run["run_id"], seat.name, value, text=count.version, source="judge")
                    count.scored += 1

        await asyncio.gather(*(work() for _ in range(jobs)))


def _value(said: Said, passing: list[str]) -> float:
    return float(said in passing) if isinstance(said, str) else said


def _tell(count: _Count, *, quiet: bool) -> None:
    if not quiet:
        print_text(f"{count.version} scored {count.scored:,} runs as {count.judge}")
    if count.failed:
        note(f"{count.failed:,} replies were no verdict; these runs are asked about again next time")
    if count.untold:
        note(f"{count.untold:,} runs could not be judged: their inputs or outputs were not kept")
