"""A shadow run from its request to its comparison: inputs chosen, answered by both versions, looked at."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from promptops.batch import Engine, Estimate, Options, Tally, interruptible
from promptops.canonical import compact_json, sha256_hex
from promptops.checks import compile_checks, prepare_checks
from promptops.errors import Invalid, NotFound, OverBudget
from promptops.evaluate.asking import Asking
from promptops.evaluate.contender import CaseChecks, Contender, checks_hash, measured_alike
from promptops.evaluate.engine import MARGIN, SEED
from promptops.further import Judges
from promptops.judging import judge_of
from promptops.models.request import ModelError
from promptops.registry.batches import Calls
from promptops.registry.shadows import begin_shadow, end_shadow, pair_runs, spent_on, unfinished_shadow
from promptops.registry.store import Registry
from promptops.render import render
from promptops.settings import Settings
from promptops.shadow.answering import Answering
from promptops.shadow.comparing import Comparing, Frame, Primary
from promptops.shadow.comparison import Comparison, Left, Party
from promptops.shadow.misfortune import Misfortune
from promptops.shadow.pair import Pair
from promptops.shadow.reading import known_runs, parties, summary
from promptops.shadow.sources import Choice, Source, Sources, choose, from_file, from_log, mapping_of
from promptops.stats.verdicts import Verdict

_REASONS = 5
OnProgress = Callable[[Tally, int], None]
"""Called with what has come of it so far, and the number of calls there will be at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is asked for. With ``aa`` the candidate is the control once more."""

    control: Contender
    candidate: Contender
    choice: Choice | None = None  # of the log
    file: Path | None = None
    recorded: bool = False  # the control's side is what was answered then
    aa: bool = False
    full: bool = False  # go on when the verdict is in
    min_pairs: int = 0  # go on until then, unless it is worse
    margin: float = MARGIN
    seed: int = SEED  # of which inputs are drawn, their order, and the order of the two calls
    judge: str | None = None
    restart: bool = False

    @property
    def mode(self) -> str:
        return "aa" if self.aa else "recorded" if self.recorded else "replay"


@dataclass(slots=True)
class Outcome:
    """What came of it, with what kept it from its end."""

    comparison: Comparison
    tally: Tally
    earlier: int = 0  # pairs that were complete before
    over_budget: OverBudget | None = None
    failure: ModelError | None = None


def replay(
    settings: Settings, options: Options, request: Request, on_progress: OnProgress | None = None
) -> Outcome:
    """Every input is looked at before anything is called; the comparison tells of those left out."""
    judges = Judges(settings)
    yardstick = request.candidate.prompt
    control, candidate = measured_alike((request.control, request.candidate), yardstick)
    request = replace(request, control=control, candidate=candidate)
    _look_at_versions(settings, options, request, judges)
    checks = CaseChecks(yardstick.checks, lambda name: judges.version(name).prompt)
    with Registry.open(settings.registry) as registry:
        planned = _plan(registry, request, checks)
        with _alone(registry, planned.shadow_id):
            work = _Work(settings, options, request, planned, judges, checks, registry, on_progress)
            try:
                asyncio.run(work.perform())
            except asyncio.CancelledError:  # the second Ctrl-C
                raise KeyboardInterrupt from None
            return work.outcome()


@contextmanager
def _alone(registry: Registry, shadow_id: str) -> Iterator[None]:
    """No other process makes the same pairs meanwhile. Raises Unavailable where one does."""
    calls = Calls.open(registry.path, shadow_id)
    try:
        yield
    finally:
        calls.remove()
        calls.close()


def _look_at_versions(settings: Settings, options: Options, request: Request, judges: Judges) -> None:
    """Raise Invalid for what would fail every time."""
    engine = Engine(settings, options)
    version = request.candidate.version
    asking = Asking(engine=engine, judges=judges, version=version, eval_id="", run_id="", trial=0)
    for contender in (request.control, request.candidate):
        prompt = contender.prompt
        compiled = compile_checks(prompt.checks, prompt.path, settings.root)
        prepare_checks(compiled, prompt.output.schema if prompt.output else None, asking)
    if request.judge and not judge_of(judges.version(request.judge).prompt).pairwise:
        raise Invalid(
            f"{request.judge} does not compare: it takes no `a` and `b`",
            hint="a judge of one output is a check of the prompt: `checks: [{judge: NAME}]`",
        )
    if options.max_cost is not None:
        with Estimate(settings, options) as estimate:
            for contender in (request.control, request.candidate):
                estimate.check(contender.prompt)


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """``sources`` are those whose inputs both versions accept, in order, each with its number."""

    shadow_id: str
    sources: tuple[Source, ...]
    left: Left
    primary: Primary
    known: Mapping[int, Mapping[str, Mapping[str, Any]]]  # runs of an earlier process, by number and arm
    spent: float


def _plan(registry: Registry, request: Request, checks: CaseChecks) -> Planned:
    cases: list[Source] = []
    chosen = Sources()
    if request.file:
        chosen.file_hash, cases = from_file(request.file, request.seed)
    key = _key(request, chosen.file_hash)
    before = None if request.restart else unfinished_shadow(registry, key)
    if request.file is None:
        chosen = _chosen(registry, request, before.about if before else None)
        cases = list(from_log(registry, chosen.seqs))
    sources, left = _fitting(request, cases, chosen)
    primary = _primary(request, checks, sources)
    if not sources:
        raise _nothing(request, left)
    if before:
        known = known_runs(pair_runs(registry, before.shadow_id))
        spent = spent_on(registry, before.shadow_id)
        return Planned(
            shadow_id=before.shadow_id, sources=sources, left=left, primary=primary, known=known, spent=spent
        )
    about = _about(request, chosen, left, primary)
    version = request.candidate.version
    shadow_id = begin_shadow(
        registry, key, version.prompt.name, version.prompt.digest, version.reference, about, len(sources)
    )
    return Planned(shadow_id=shadow_id, sources=sources, left=left, primary=primary, known={}, spent=0.0)


def _chosen(registry: Registry, request: Request, about: Mapping[str, Any] | None) -> Sources:
    """Inputs of an earlier process stay chosen, though the log has grown meanwhile."""
    assert request.choice is not None  # noqa: S101 - inputs are of the log or of a file
    if about is None:
        return choose(registry, request.choice, request.seed)
    names = ("considered", "doubled", "of_same_unit")
    return Sources(seqs=about["sources"], **{name: about["left"][name] for name in names})


def _key(request: Request, file_hash: str) -> str:
    """The same request goes on where it stopped; a larger budget or another margin is the same."""
    return sha256_hex(
        compact_json(
            {
                "candidate": request.candidate.prompt.digest,
                "control": request.control.prompt.digest,
                "checks": checks_hash(request.candidate.prompt.checks),
                "file": file_hash,
                "choice": mapping_of(request.choice),
                "mode": request.mode,
                "seed": request.seed,
                "judge": request.judge,
            }
        ).encode()
    )


def _fitting(request: Request, cases: list[Source], chosen: Sources) -> tuple[tuple[Source, ...], Left]:
    """Inputs that a version no longer accepts say nothing of its model: they are counted by themselves."""
    fit: list[Source] = []
    reasons: list[tuple[str, str]] = []
    incompatible = silent = 0
    for source in cases:
        if problem := _misfit(request, source):
            incompatible += 1
            reasons.append((source.case.where, problem))
        elif request.recorded and not _was_answered(source):
            silent += 1
        else:
            fit.append(source)
    left = Left(
        considered=chosen.considered or len(cases),
        doubled=chosen.doubled,
        of_same_unit=chosen.of_same_unit,
        incompatible=incompatible,
        without_answer=silent,
        reasons=tuple(reasons[:_REASONS]),
    )
    return tuple(fit), left


def _misfit(request: Request, source: Source) -> str:
    sides = (request.candidate,) if request.recorded else (request.candidate, request.control)
    for contender in sides:
        if source.run is not None and source.run["inputs"] is None:
            return "its inputs were not kept"
        try:
            render(contender.prompt, source.case.inputs)
        except Invalid as error:
            return f"{contender.arm}: {error.message}"
    return ""


def _was_answered(source: Source) -> bool:
    run = source.run
    return run is not None and run["state"] == "finished" and bool(run["output"] or run["tool_calls"])


def _primary(request: Request, checks: CaseChecks, sources: tuple[Source, ...]) -> Primary:
    if request.candidate.prompt.checks or any(checks.of(source.case) for source in sources):
        return "checks"
    return "judge" if request.judge else "errors"


def _nothing(request: Request, left: Left) -> NotFound:
    name = request.candidate.prompt.name
    if left.incompatible or left.without_answer:
        why = f"; {left.reasons[0][0]}: {left.reasons[0][1]}" if left.reasons else ""
        return NotFound(
            f"of {left.considered:,} runs none has inputs that can be replayed{why}",
            hint="--inputs FILE gives others",
        )
    return NotFound(
        f"no logged inputs of {name} match", hint="widen --since or --last, or give --inputs FILE"
    )


def _about(request: Request, chosen: Sources, left: Left, primary: Primary) -> dict[str, Any]:
    sides = {
        arm: {"label": each.label, "digest": each.prompt.digest, "model": each.prompt.model}
        for arm, each in (("control", request.control), ("candidate", request.candidate))
    }
    return {
        "shadow": 1,
        **sides,
        "mode": request.mode,
        "recorded": request.recorded,
        "aa": request.aa,
        "seed": request.seed,
        "margin": request.margin,
        "judge": request.judge,
        "primary": primary,
        "file": str(request.file) if request.file else None,
        "sources": None if request.file else chosen.seqs,
        "left": {name: getattr(left, name) for name in left.__slots__},
        "stopped": None,
        "summary": None,
    }


@dataclass(slots=True)
class _Work:
    """The part that runs in an event loop."""

    settings: Settings
    options: Options
    request: Request
    planned: Planned
    judges: Judges
    checks: CaseChecks
    registry: Registry
    on_progress: OnProgress | None
    comparing: Comparing = field(init=False)
    misfortune: Misfortune = field(init=False)
    tally: Tally = field(default_factory=Tally)
    answered: int = 0
    interrupted: bool = False
    over_budget: OverBudget | None = None
    earlier: int = 0

    def __post_init__(self) -> None:
        self.comparing = Comparing(self.planned.primary, self.request.margin)
        self.misfortune = Misfortune(self.options.concurrency)

    async def perform(self) -> None:
        planned = self.planned
        async with Engine(self.settings, self.options, spent=planned.spent) as engine:
            self.tally = engine.tally
            answering = Answering(
                engine=engine,
                judges=self.judges,
                registry=self.registry,
                checks=self.checks,
                shadow_id=planned.shadow_id,
                request=self.request,
                known=planned.known,
            )
            self.earlier = sum(answering.complete(source.number) for source in planned.sources)
            with interruptible(engine, self):
                try:
                    await self._count(engine, answering)
                except OverBudget as error:
                    self.over_budget = error
            self.misfortune.failure = self.misfortune.failure or engine.given_up

    async def _count(self, engine: Engine, answering: Answering) -> None:
        async with aclosing(engine.each(self.planned.sources, answering.pair)) as pairs:
            async for pair in pairs:
                self._add(pair, engine)
                if self.on_progress:
                    sides = 1 if self.request.recorded else 2
                    self.on_progress(engine.tally, sides * (len(self.planned.sources) - self.earlier))

    def _add(self, pair: Pair, engine: Engine) -> None:
        self.answered += 1
        self.comparing.add(pair)
        self.misfortune.add(pair)
        if self.misfortune.failure or self._decided:
            engine.stop()  # what is under way still counts: the evidence may be looked at at any time

    @property
    def _decided(self) -> bool:
        request, found = self.request, self.comparing
        if request.full or request.aa or not found.decided or not self.misfortune.both_have_answered:
            return False
        return found.pairs >= request.min_pairs or found.decisive.verdict is Verdict.WORSE

    @property
    def stopped(self) -> str:
        if self.misfortune.failure:
            return "failures"
        if self.answered == len(self.planned.sources):
            return "all"
        if self.interrupted:
            return "interrupted"
        return "budget" if self.over_budget and not self._decided else "verdict"

    def outcome(self) -> Outcome:
        planned, request = self.planned, self.request
        stopped = self.stopped
        unanswered = any(self.comparing.unanswered.values())
        whole = stopped == "verdict" or (stopped == "all" and not unanswered)
        control, candidate = parties(_about(request, Sources(), planned.left, planned.primary))
        frame = Frame(
            shadow_id=planned.shadow_id,
            prompt=request.candidate.prompt.name,
            control=control,
            candidate=candidate,
            planned=len(planned.sources),
            seed=request.seed,
            left=planned.left,
            mode=request.mode,
        )
        spent = spent_on(self.registry, planned.shadow_id)
        comparison = self.comparing.result(frame, stopped=stopped, spent_usd=spent)
        end_shadow(self.registry, planned.shadow_id, stopped, summary(comparison), whole=whole)
        failure = self.misfortune.failure if stopped == "failures" else None
        return Outcome(comparison, self.tally, self.earlier, self.over_budget, failure)


__all__ = ["MARGIN", "SEED", "Outcome", "Party", "Request", "replay"]
