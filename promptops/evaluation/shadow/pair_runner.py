"""Both versions asked about one input, in random order, and a judge about the pair where one is wanted."""

import asyncio
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from promptops.checks import CheckError, Compiled, compile_checks, run_further_checks
from promptops.checks.judge import Judge, judge_of
from promptops.checks.model_graded import compare
from promptops.evaluation.check_calls import Asking
from promptops.evaluation.shadow.embedding_similarity import similarity_of
from promptops.evaluation.shadow.input_sampling import Source
from promptops.evaluation.shadow.pair import ARMS, UNANSWERED, Arm, Pair, finding_of, side_of
from promptops.evaluation.shadow.recorded_control import record_answer
from promptops.evaluation.shadow.request import Request
from promptops.evaluation.shadow.similarity import alike_in_words
from promptops.evaluation.variants import CaseChecks, Contender
from promptops.prompt import Check
from promptops.providers.types import RETRYABLE, ModelError
from promptops.registry.runs.outcomes import add_checks
from promptops.registry.shadow.runs import PREFERENCE, SIMILARITY, add_finding
from promptops.registry.store import Registry
from promptops.runner import Origin, Run
from promptops.runner.batch import Engine, Item
from promptops.runner.model_graded import Judges, subject_of

Logged = Mapping[str, Any]


def asked_first(seed: int, number: int) -> Arm:
    """Which side of a pair is asked first: a fair coin that can be tossed again."""
    return ARMS[random.Random(f"{seed}:{number}").getrandbits(1)]  # noqa: S311 - an order, no secret


@dataclass(slots=True, kw_only=True)
class Answering:
    """Makes the pairs of one shadow run."""

    engine: Engine
    judges: Judges
    registry: Registry
    checks: CaseChecks
    shadow_id: str
    request: Request
    known: Mapping[int, Mapping[str, Logged]]
    _further: dict[str, tuple[Compiled, ...]] = field(default_factory=dict)
    _judge: Judge | None = None

    def __post_init__(self) -> None:
        for arm in ARMS:
            contender = self._contender(arm)
            self._further[arm] = self._asking_checks(contender.prompt.checks, contender)
        if self.request.judge:
            self._judge = judge_of(self.judges.version(self.request.judge).prompt)

    def complete(self, number: int) -> bool:
        return self.known.get(number, {}).keys() >= set(ARMS)

    async def pair(self, source: Source) -> Pair:
        """What was answered before is not asked again, be it one side alone."""
        known = self.known.get(source.number, {})
        first = asked_first(self.request.seed, source.number)
        sides: dict[str, Logged] = {}
        for place, arm in enumerate((first, ARMS[1 - ARMS.index(first)])):
            sides[arm] = known[arm] if arm in known else await self._answer(arm, source, place)
        pair = Pair(
            number=source.number,
            source=source.run["run_id"] if source.run else None,
            inputs=source.case.inputs,
            tags=source.case.tags,
            control=side_of(sides["control"]),
            candidate=side_of(sides["candidate"]),
            first=first,
            preference=finding_of(sides["candidate"], PREFERENCE),
            similarity=finding_of(sides["candidate"], SIMILARITY),
        )
        pair = await self._measured(pair)
        return await self._judged(pair, source) if pair.preference is None else pair

    async def _answer(self, arm: Arm, source: Source, place: int) -> Logged:
        added = self.checks.of(source.case)
        contender = self._contender(arm)
        origin = self._origin(arm, source, place, added)
        if arm == "control" and self.request.recorded:
            run = await asyncio.to_thread(
                record_answer,
                self.registry,
                self.engine.settings,
                self.request.candidate.version,
                source,
                origin,
            )
        else:
            run = await self.engine.run(
                Item(version=contender.version, inputs=source.case.inputs, origin=origin)
            )
        asked = (*self._further[arm], *self._asking_checks(added, contender))
        if run.error is None and asked:
            run = await self._checked(run, asked, source, contender)
        return run.as_json()

    def _origin(self, arm: Arm, source: Source, place: int, added: Sequence[Check]) -> Origin:
        tags = {"tags": list(source.case.tags)} if source.case.tags else {}
        return Origin(
            kind="shadow",
            arm=arm,
            shadow_of=source.run["run_id"] if source.run else None,
            batch_id=self.shadow_id,
            batch_line=source.number,
            case_id=None if source.run else source.case.id,
            trial=place,  # which of the two was asked first
            expected=source.case.expected,
            checks=added,
            overrides=self._contender(arm).overrides,
            metadata=tags,
        )

    async def _checked(
        self, run: Run, asked: Sequence[Compiled], source: Source, contender: Contender
    ) -> Run:
        asking = self._asking(run.started.run_id, contender)
        subject = subject_of(self.request.candidate.prompt, run, source.case.expected)
        found = await run_further_checks(asked, subject, asking)
        if asking.over_budget:
            raise asking.over_budget
        logged = found
        if self.engine.settings.log.outputs != "full":  # messages quote the output
            logged = tuple(replace(each, message="") for each in found)
        await asyncio.to_thread(add_checks, self.registry, run.started.run_id, logged)
        return replace(run, finished=replace(run.finished, checks=(*run.finished.checks, *found)))

    async def _judged(self, pair: Pair, source: Source) -> Pair:
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
            ballot = await compare(self._judge, self.request.judge or "", offered, asking, check="preference")
            if asking.over_budget:
                raise asking.over_budget
            if not ballot.votes:
                return pair
            value, told = sum(ballot.votes) / len(ballot.votes), "position alone" if ballot.flipped else ""
        await self._log(pair, PREFERENCE, value, told)
        return replace(pair, preference=value)

    async def _measured(self, pair: Pair) -> Pair:
        """With the cosine of both answers, where their words do not say already that they are alike."""
        semantic, old, new = self.request.semantic, pair.control.output, pair.candidate.output
        if not (semantic and old and new) or pair.similarity is not None or alike_in_words(old, new):
            return pair
        try:
            value = await similarity_of(semantic.model, old, new)
        except ModelError as error:
            if error.type in UNANSWERED - RETRYABLE:
                raise  # it would fail every time
            return pair
        except CheckError:
            return pair
        await self._log(pair, SIMILARITY, value, semantic.model)
        return replace(pair, similarity=value)

    async def _log(self, pair: Pair, name: str, value: float, told: str) -> None:
        await asyncio.to_thread(add_finding, self.registry, pair.candidate.run_id, name, value, told)

    def _asking(self, run_id: str, contender: Contender) -> Asking:
        return Asking(
            engine=self.engine,
            judges=self.judges,
            version=contender.version,
            eval_id=self.shadow_id,
            run_id=run_id,
            trial=0,
        )

    def _asking_checks(self, checks: Sequence[Check], contender: Contender) -> tuple[Compiled, ...]:
        compiled = compile_checks(checks, contender.prompt.path, self.engine.settings.root)
        return tuple(each for each in compiled if each.asks)

    def _contender(self, arm: Arm) -> Contender:
        return self.request.control if arm == "control" else self.request.candidate
