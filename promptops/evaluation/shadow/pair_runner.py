"""Both versions asked about one input, in random order, and a judge about the pair where one is wanted."""

import asyncio
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from promptops.checks import CheckError, CompiledCheck, compile_checks, run_graded_checks
from promptops.checks.judge import Judge, judge_from_prompt
from promptops.checks.model_graded import compare_pair
from promptops.evaluation.check_calls import BatchGraderClient
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
from promptops.providers.types import RETRYABLE_ERRORS, ModelError
from promptops.registry import PREFERENCE, SIMILARITY, RegistryDatabase, add_check_outcomes, add_pair_outcome
from promptops.runner import Run, RunContext
from promptops.runner.batch import BatchEngine, BatchItem
from promptops.runner.model_graded import JudgeResolver, check_subject

LoggedRun = Mapping[str, Any]


def first_arm(seed: int, number: int) -> Arm:
    """Which side of a pair is asked first: a fair coin that can be tossed again."""
    return ARMS[random.Random(f"{seed}:{number}").getrandbits(1)]  # noqa: S311 - an order, no secret


@dataclass(slots=True, kw_only=True)
class PairRunner:
    """Makes the pairs of one shadow run."""

    engine: BatchEngine
    judges: JudgeResolver
    registry: RegistryDatabase
    checks: CaseChecks
    shadow_id: str
    request: ShadowRequest
    known: Mapping[int, Mapping[str, LoggedRun]]
    _graded_by_arm: dict[str, tuple[CompiledCheck, ...]] = field(default_factory=dict)
    _judge: Judge | None = None

    def __post_init__(self) -> None:
        for arm in ARMS:
            variant = self._variant(arm)
            self._graded_by_arm[arm] = self._model_graded(variant.prompt.checks, variant)
        if self.request.judge:
            self._judge = judge_from_prompt(self.judges.version(self.request.judge).prompt)

    def complete(self, number: int) -> bool:
        return self.known.get(number, {}).keys() >= set(ARMS)

    async def pair(self, source: ReplayInput) -> ShadowPair:
        """What was answered before is not asked again, be it one side alone."""
        known = self.known.get(source.number, {})
        first = first_arm(self.request.seed, source.number)
        sides: dict[str, LoggedRun] = {}
        for place, arm in enumerate((first, ARMS[1 - ARMS.index(first)])):
            sides[arm] = known[arm] if arm in known else await self._answer(arm, source, place)
        pair = ShadowPair(
            number=source.number,
            source=source.run["run_id"] if source.run else None,
            inputs=source.case.inputs,
            tags=source.case.tags,
            control=answer_from_run(sides["control"]),
            candidate=answer_from_run(sides["candidate"]),
            first=first,
            preference=pair_score(sides["candidate"], PREFERENCE),
            similarity=pair_score(sides["candidate"], SIMILARITY),
        )
        pair = await self._with_similarity(pair)
        return await self._judged(pair, source) if pair.preference is None else pair

    async def _answer(self, arm: Arm, source: ReplayInput, place: int) -> LoggedRun:
        added = self.checks.of(source.case)
        variant = self._variant(arm)
        origin = self._origin(arm, source, place, added)
        if arm == "control" and self.request.recorded:
            run = await asyncio.to_thread(
                record_control_run,
                self.registry,
                self.engine.settings,
                self.request.candidate.version,
                source,
                origin,
            )
        else:
            run = await self.engine.run(
                BatchItem(version=variant.version, inputs=source.case.inputs, origin=origin)
            )
        asked = (*self._graded_by_arm[arm], *self._model_graded(added, variant))
        if run.error is None and asked:
            run = await self._checked(run, asked, source, variant)
        return run.as_json()

    def _origin(self, arm: Arm, source: ReplayInput, place: int, added: Sequence[Check]) -> RunContext:
        tags = {"tags": list(source.case.tags)} if source.case.tags else {}
        return RunContext(
            kind="shadow",
            arm=arm,
            shadow_of=source.run["run_id"] if source.run else None,
            batch_id=self.shadow_id,
            batch_line=source.number,
            case_id=None if source.run else source.case.id,
            trial=place,  # which of the two was asked first
            expected=source.case.expected,
            checks=added,
            overrides=self._variant(arm).overrides,
            metadata=tags,
        )

    async def _checked(
        self, run: Run, asked: Sequence[CompiledCheck], source: ReplayInput, variant: Variant
    ) -> Run:
        asking = self._asking(run.started.run_id, variant)
        subject = check_subject(self.request.candidate.prompt, run, source.case.expected)
        found = await run_graded_checks(asked, subject, asking)
        if asking.over_budget:
            raise asking.over_budget
        logged = found
        if self.engine.settings.log.outputs != "full":  # messages quote the output
            logged = tuple(replace(each, message="") for each in found)
        await asyncio.to_thread(add_check_outcomes, self.registry, run.started.run_id, logged)
        return replace(run, finished=replace(run.finished, checks=(*run.finished.checks, *found)))

    async def _judged(self, pair: ShadowPair, source: ReplayInput) -> ShadowPair:
        """Blind: the judge sees ``a`` and ``b``, and each vote is asked in both orders."""
        if self._judge is None or pair.control.output is None or pair.candidate.output is None:
            return pair
        if pair.control.output == pair.candidate.output:
            value, told = 0.5, "the same answer"
        else:
            asking = self._asking(pair.candidate.run_id, self.request.candidate)
            offered = {
                **source.case.inputs,
                "inputs": dict(source.case.inputs),
                "expected": source.case.expected,
                "a": pair.candidate.output,
                "b": pair.control.output,
            }
            ballot = await compare_pair(
                self._judge, self.request.judge or "", offered, asking, check="preference"
            )
            if asking.over_budget:
                raise asking.over_budget
            if not ballot.votes:
                return pair
            value, told = sum(ballot.votes) / len(ballot.votes), "position alone" if ballot.flipped else ""
        await self._log(pair, PREFERENCE, value, told)
        return replace(pair, preference=value)

    async def _with_similarity(self, pair: ShadowPair) -> ShadowPair:
        """With the cosine of both answers, where their words do not say already that they are alike."""
        semantic, old, new = self.request.semantic, pair.control.output, pair.candidate.output
        if not (semantic and old and new) or pair.similarity is not None or is_lexically_equal(old, new):
            return pair
        try:
            value = await compute_similarity(semantic.model, old, new)
        except ModelError as error:
            if error.type in UNANSWERED_ERRORS - RETRYABLE_ERRORS:
                raise  # it would fail every time
            return pair
        except CheckError:
            return pair
        await self._log(pair, SIMILARITY, value, semantic.model)
        return replace(pair, similarity=value)

    async def _log(self, pair: ShadowPair, name: str, value: float, told: str) -> None:
        await asyncio.to_thread(add_pair_outcome, self.registry, pair.candidate.run_id, name, value, told)

    def _asking(self, run_id: str, variant: Variant) -> BatchGraderClient:
        return BatchGraderClient(
            engine=self.engine,
            judges=self.judges,
            version=variant.version,
            eval_id=self.shadow_id,
            run_id=run_id,
            trial=0,
        )

    def _model_graded(self, checks: Sequence[Check], variant: Variant) -> tuple[CompiledCheck, ...]:
        compiled = compile_checks(checks, variant.prompt.path, self.engine.settings.root)
        return tuple(each for each in compiled if each.needs_model)

    def _variant(self, arm: Arm) -> Variant:
        return self.request.control if arm == "control" else self.request.candidate
