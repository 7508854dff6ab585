"""Both versions asked about one input, in random order, and a judge about the pair where one is wanted."""

import asyncio
import random
from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from typing import Any

from promptops.checks import CheckError, CompiledCheck
from promptops.checks.judge import Judge, judge_from_prompt
from promptops.checks.model_graded import compare_pair
from promptops.dataclass import dataclass
from promptops.evaluation.run_grader import RunGrader
from promptops.evaluation.shadow.embedding_similarity import compute_similarity
from promptops.evaluation.shadow.input_sampling import ReplayInput
from promptops.evaluation.shadow.pair import (
    ARMS,
    UNANSWERED_ERRORS,
    Arm,
    ShadowPair,
    answer_from_run,
    pair_score,
)
from promptops.evaluation.shadow.recorded_control import record_control_run
from promptops.evaluation.shadow.request import ShadowRequest
from promptops.evaluation.shadow.similarity import is_lexically_equal
from promptops.evaluation.variants import CaseChecks, Variant
from promptops.prompt import Check
from promptops.prompt.cases import expected_json
from promptops.providers.types import RETRYABLE_ERRORS, ModelError
from promptops.registry import PREFERENCE, SIMILARITY, add_pair_outcome
from promptops.runner import Run, RunContext
from promptops.runner.batch import BatchItem, Pending
from promptops.runner.batch.provider_jobs.parked import CallParked

LoggedRun = Mapping[str, Any]


def first_arm(seed: int, number: int) -> Arm:
    """Which side of a pair is asked first: a fair coin that can be tossed again."""
    return ARMS[random.Random(f"{seed}:{number}").getrandbits(1)]  # noqa: S311 - an order, no secret


@dataclass(slots=True)
class PairMemory:
    """What has been logged of pairs in this process, and is not to be logged in another pass.

    Control runs that were recorded, by number; scores of pairs, by number and name.
    """

    recorded: dict[int, Run] = field(default_factory=dict)
    scores: dict[tuple[int, str], float] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class PairRunner:
    """Makes the pairs of one shadow run. ``known``: runs of an earlier process, by number and arm."""

    grader: RunGrader
    checks: CaseChecks
    request: ShadowRequest
    known: Mapping[int, Mapping[str, LoggedRun]]
    memory: "PairMemory"
    _graded_by_arm: dict[Arm, tuple[CompiledCheck, ...]] = field(default_factory=dict)
    _judge: Judge | None = None

    def __post_init__(self) -> None:
        for arm in ARMS:
            variant = self._variant(arm)
            self._graded_by_arm[arm] = self.grader.graded_checks(variant.prompt.checks, variant)
        if self.request.judge:
            self._judge = judge_from_prompt(self.grader.judges.prompt(self.request.judge))

    def is_complete(self, number: int) -> bool:
        return self.known.get(number, {}).keys() >= set(ARMS)

    async def pair(self, source: ReplayInput) -> ShadowPair | Pending[ShadowPair]:
        """What was answered before is not asked again, be it one side alone.

        The rows of both sides may be on their way to the disk, unless there is more to ask about the pair.
        """
        first = first_arm(self.request.seed, source.number)
        sides = await self._sides(first, source)
        rows = asyncio.gather(*(side.until for side in sides))
        if self._judge is None and not self.request.semantic:
            return Pending(rows, lambda: self._joined(source, first, *(side.finish() for side in sides)))
        await rows
        pair = await self._with_similarity(self._joined(source, first, *(side.finish() for side in sides)))
        return await self._with_preference(pair, source) if pair.preference is None else pair

    async def _sides(self, first: Arm, source: ReplayInput) -> tuple[Pending[LoggedRun], ...]:
        """Both answers, the control's first. Where calls of one are parked, the other is asked as well."""
        answers: dict[Arm, Pending[LoggedRun]] = {}
        failure: BaseException | None = None
        for place, arm in enumerate((first, ARMS[1 - ARMS.index(first)])):
            try:
                answers[arm] = await self._answer(arm, source, place)
            except BaseException as error:  # noqa: BLE001 - raised below
                failure = failure or error
                if not isinstance(error, CallParked):
                    break
        if failure is None:
            return tuple(answers[arm] for arm in ARMS)
        for answer in answers.values():
            await answer.wait()  # it has been paid for, and counts
        raise failure

    def _joined(
        self, source: ReplayInput, first: Arm, control: LoggedRun, candidate: LoggedRun
    ) -> ShadowPair:
        return ShadowPair(
            number=source.number,
            source=source.run["run_id"] if source.run else None,
            inputs=source.case.inputs,
            tags=source.case.tags,
            control=answer_from_run(control),
            candidate=answer_from_run(candidate),
            first=first,
            preference=self._score(source, candidate, PREFERENCE),
            similarity=self._score(source, candidate, SIMILARITY),
        )

    def _score(self, source: ReplayInput, candidate: LoggedRun, name: str) -> float | None:
        logged = pair_score(candidate, name)
        return self.memory.scores.get((source.number, name)) if logged is None else logged

    async def _answer(self, arm: Arm, source: ReplayInput, place: int) -> Pending[LoggedRun]:
        added = self.checks.of(source.case)
        variant = self._variant(arm)
        graded = (*self._graded_by_arm[arm], *self.grader.graded_checks(added, variant))
        known = self.known.get(source.number, {}).get(arm)
        if known is not None and _is_checked(known, graded):
            return Pending.done(known)
        pending = await self._run(arm, source, self._context(arm, source, place, added))
        if not graded:
            return pending.then(Run.as_json)
        run = await pending.wait()
        client = self.grader.client(variant, run.started.run_id)
        prompt = self.request.candidate.prompt
        run = await self.grader.grade(run, graded, client, prompt, source.case.expected)
        return Pending.done(run.as_json())

    async def _run(self, arm: Arm, source: ReplayInput, context: RunContext) -> Pending[Run]:
        engine = self.grader.engine
        if arm == "control" and self.request.recorded:
            checked_by = self.request.candidate.version
            recorded: Run | None = self.memory.recorded.get(source.number)
            if recorded is None:
                recorded = await asyncio.to_thread(
                    record_control_run, self.grader.registry, engine.settings, checked_by, source, context
                )
            if engine.work is not None:
                self.memory.recorded[source.number] = recorded
            return Pending.done(recorded)
        version = self._variant(arm).version
        return await engine.call(BatchItem(version=version, inputs=source.case.inputs, origin=context))

    def _context(self, arm: Arm, source: ReplayInput, place: int, added: Sequence[Check]) -> RunContext:
        tags = {"tags": list(source.case.tags)} if source.case.tags else {}
        return RunContext(
            kind="shadow",
            arm=arm,
            shadow_of=source.run["run_id"] if source.run else None,
            batch_id=self.grader.eval_id,
            batch_line=source.number,
            case_id=None if source.run else source.case.id,
            trial=place,  # which of the two was asked first
            expected=source.case.expected,
            checks=tuple(added),
            overrides=self._variant(arm).overrides,
            metadata=tags,
            redacted=(source.run["redacted"] or {}).get("inputs") if source.run else None,
        )

    async def _with_preference(self, pair: ShadowPair, source: ReplayInput) -> ShadowPair:
        """Blind: the judge sees ``a`` and ``b``, and each vote is asked in both orders."""
        if self._judge is None or pair.control.output is None or pair.candidate.output is None:
            return pair
        if pair.control.output == pair.candidate.output:
            preference, reason = 0.5, "the same answer"
        else:
            client = self.grader.client(self.request.candidate, pair.candidate.run_id)
            inputs = {
                **source.case.inputs,
                "inputs": dict(source.case.inputs),
                "expected": expected_json(source.case.expected),
                "a": pair.candidate.output,
                "b": pair.control.output,
            }
            ballot = await compare_pair(
                self._judge, self.request.judge or "", inputs, client, check="preference"
            )
            if client.over_budget:
                raise client.over_budget
            if not ballot.votes:
                return pair
            preference = sum(ballot.votes) / len(ballot.votes)
            reason = "position alone" if ballot.flipped else ""
        await self._log(pair, PREFERENCE, preference, reason)
        return replace(pair, preference=preference)

    async def _with_similarity(self, pair: ShadowPair) -> ShadowPair:
        """With the cosine of both answers, where their words do not say already that they are alike."""
        semantic, old, new = self.request.semantic, pair.control.output, pair.candidate.output
        if not (semantic and old and new) or pair.similarity is not None or is_lexically_equal(old, new):
            return pair
        try:
            cosine = await compute_similarity(semantic.model, old, new)
        except ModelError as error:
            if error.type in UNANSWERED_ERRORS - RETRYABLE_ERRORS:
                raise  # it would fail every time
            return pair
        except CheckError:
            return pair
        await self._log(pair, SIMILARITY, cosine, semantic.model)
        return replace(pair, similarity=cosine)

    async def _log(self, pair: ShadowPair, name: str, value: float, reason: str) -> None:
        await asyncio.to_thread(
            add_pair_outcome, self.grader.registry, pair.candidate.run_id, name, value, reason
        )
        if self.grader.engine.work is not None:
            self.memory.scores[pair.number, name] = value

    def _variant(self, arm: Arm) -> Variant:
        return self.request.control if arm == "control" else self.request.candidate


def _is_checked(run: LoggedRun, graded: Sequence[CompiledCheck]) -> bool:
    """Whether all its checks are there: a process may be killed between the answer and its judge."""
    if run["error"] is not None:
        return True
    return {each.check.name for each in graded} <= {check["name"] for check in run["checks"]}
