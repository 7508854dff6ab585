"""A judge scores a sample of what a channel has answered, for the metrics ``judge.PROMPT`` of a plan."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from promptops.checks.judge import Judge, Label, judge_from_prompt
from promptops.checks.model_graded import ask_judge
from promptops.config.settings import Settings
from promptops.dataclass import dataclass
from promptops.errors import Invalid
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
from promptops.runner.model_graded import JudgeResolver, LoggedGraderClient
from promptops.runner.retry import Limits
from promptops.runner.session import Session, session_runs
from promptops.versions.references import Reference, parse_reference
from promptops.versions.release_state import Rollout, plan_path
from promptops.versions.trusted_releases import trusted_releases

_DEFAULT_SINCE = "7d"


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeScoreRequest:
    """What is asked for of NAME or NAME:CHANNEL; None where the plan of its rollout says."""

    target: str
    judge: str | None = None
    sample: float | None = None
    since: str | None = None
    passing: Sequence[str] = ()  # choices of the judge that count 1
    limit: int | None = None
    jobs: int = 4
    redacted: bool = False  # also runs that were redacted


@dataclass(frozen=True, slots=True)
class JudgeAssignment:
    """A judge with the name that its scores are logged under, and the share of runs that it looks at."""

    name: str
    reference: str
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeScorePlan:
    served: JudgeQueueFilter
    assignments: Sequence[JudgeAssignment]
    undersampled: Mapping[str, float]  # judges of the release plan with its share, where less is asked for


@dataclass(slots=True, kw_only=True)
class JudgeScoreCount:
    judge: str
    version: str  # NAME@sha256:DIGEST
    scored: int = 0
    failed: int = 0  # the judge gave no verdict
    untold: int = 0  # the settings did not let inputs or output be kept


def plan_judge_scores(settings: Settings, request: JudgeScoreRequest) -> JudgeScorePlan:
    """Which runs are to be scored, and by whom. Nothing is called."""
    reference = parse_reference(request.target, settings)
    rollout, plan = _active_rollout(reference, settings)
    shares = _planned_shares(plan)
    sample = request.sample
    return JudgeScorePlan(
        served=JudgeQueueFilter(
            prompt=reference.name,
            channel=reference.channel or "production",
            rollout=rollout.id if rollout and request.since is None else None,
            since=parse_time(request.since or _DEFAULT_SINCE),
        ),
        assignments=_assign_judges(request, shares),
        undersampled={name: share for name, share in shares.items() if sample is not None and sample < share},
    )


def _active_rollout(
    reference: Reference, settings: Settings
) -> tuple[Rollout, ReleasePlan] | tuple[None, None]:
    """The canary of the channel, and the plan that it follows."""
    if reference.rev is not None:
        hint = f"{reference.name}:production"
        raise Invalid(f"{reference.text} names a revision, not a channel", hint=hint)
    with GitRepo(settings) as repo:
        trusted = trusted_releases(repo)
        state = trusted.release(reference.name) if trusted else None
        channel = state.channels.get(reference.channel or "production") if state else None
        if trusted is None or channel is None or channel.rollout is None:
            return None, None
        digest = channel.rollout.plan
        return channel.rollout, load_pinned_plan(repo.read(trusted.content, plan_path(digest)), digest)


def _planned_shares(plan: ReleasePlan | None) -> dict[str, float]:
    """The judges that a plan's metrics name, with the share of runs that each looks at."""
    shares: dict[str, float] = {}
    for metric in plan.metrics if plan else ():
        source = parse_source(metric.source)
        if source.place == "judge":
            shares[source.name] = max(shares.get(source.name, 0.0), metric.sample or 1.0)
    return shares


def _assign_judges(request: JudgeScoreRequest, shares: Mapping[str, float]) -> list[JudgeAssignment]:
    """The judges to ask. One of the plan keeps the plan's name, whatever version of it is asked for."""
    judge, sample = request.judge, request.sample
    if judge is None:
        if not shares:
            message = f"no plan in force on {request.target} names a judge"
            raise Invalid(message, hint="give --judge and --sample")
        return [
            JudgeAssignment(name, name, share if sample is None else sample) for name, share in shares.items()
        ]
    prompt = _prompt_name(judge)
    name = next((planned for planned in shares if _prompt_name(planned) == prompt), prompt)
    if sample is None and name not in shares:
        raise Invalid(f"how many of the runs is {judge} to score?", hint="--sample 0.2")
    return [JudgeAssignment(name, judge, shares[name] if sample is None else sample)]


def _prompt_name(reference: str) -> str:
    return reference.partition("@")[0].partition(":")[0]


def score_with_judge(
    settings: Settings, request: JudgeScoreRequest, served: JudgeQueueFilter, assignment: JudgeAssignment
) -> JudgeScoreCount:
    """Score the runs that this judge has not scored yet."""
    judges = JudgeResolver(settings)
    prompt = judges.version(assignment.reference).prompt
    judge = judge_from_prompt(prompt)
    _check_scale(judge, request.passing)
    count = JudgeScoreCount(judge=assignment.name, version=f"{prompt.name}@sha256:{prompt.digest[:12]}")
    with RegistryDatabase.open(settings.registry) as registry:
        _refuse_other_judge(registry, served, count)
        runs = runs_to_judge(registry, served, assignment.name, assignment.share)
        scoring = _JudgeScoring(
            registry=registry,
            judges=judges,
            judge=judge,
            assignment=assignment,
            passing=request.passing,
            count=count,
            redacted=request.redacted,
        )
        asyncio.run(scoring.score_all(islice(runs, request.limit), settings, request.jobs))
    return count


def _check_scale(judge: Judge, passing: Sequence[str]) -> None:
    choices = judge.scale.kind == "choice"
    if judge.pairwise:
        raise Invalid(f"{judge.prompt.name} compares two outputs, and a run has one", hint="shadow runs do")
    if choices != bool(passing) or not set(passing) <= set(map(str, judge.scale.values)):
        hint = "leave --pass out" if not choices else f"--pass CHOICE, of {judge.scale}"
        raise Invalid(f"which answers of {judge.prompt.name} count? It says {judge.scale}", hint=hint)


def _refuse_other_judge(registry: RegistryDatabase, served: JudgeQueueFilter, count: JudgeScoreCount) -> None:
    """Two versions of a judge are two scales: within a rollout the first one stays."""
    versions = judge_versions_used(registry, served.rollout, count.judge) if served.rollout else []
    if other := next((version for version in versions if version != count.version), None):
        raise Invalid(
            f"{other} has scored runs of this rollout, and {count.judge} is {count.version} now",
            hint=f"--judge {other}",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _JudgeScoring:
    registry: RegistryDatabase
    judges: JudgeResolver
    judge: Judge
    assignment: JudgeAssignment
    passing: Sequence[str]
    count: JudgeScoreCount
    redacted: bool

    async def score_all(self, runs: Iterator[RunRecord], settings: Settings, jobs: int) -> None:
        async with Session(settings, pooled=True) as session:

            async def work() -> None:
                for run in runs:  # shared: each worker takes the next
                    await self._score(run, session)

            await asyncio.gather(*(work() for _ in range(jobs)))

    async def _score(self, run: RunRecord, session: Session) -> None:
        if run["inputs"] is None or run["output"] is None or (run["redacted"] and not self.redacted):
            self.count.untold += 1
            return
        make_run = session_runs(session, Limits())
        client = LoggedGraderClient(make_run=make_run, judges=self.judges, run_id=run["run_id"])
        values = {**run["inputs"], "inputs": run["inputs"], "output": run["output"]}
        name, version = self.assignment.name, self.count.version
        ballot = await ask_judge(self.judge, self.assignment.reference, values, client, check=name)
        self.count.failed += not ballot.votes
        for vote in ballot.votes:
            score = _score_value(vote, self.passing)
            add_outcome(self.registry, run["run_id"], name, score, text=version, source="judge")
            self.count.scored += 1


def _score_value(vote: Label, passing: Sequence[str]) -> float:
    return float(vote in passing) if isinstance(vote, str) else vote
