"""Finds the commit since which a prompt does worse: binary search, each version tested until it is clear.

A version counts as bad once it is shown to do worse than the good one, and as good once it is shown to do
better than the bad one, on the same cases in the same random order. What is neither stays open, and an end of
the search that rests on an open version is no find.

Of each question's error of 5 % half goes to the bets that are looked at after every case, half to the exact
test once all cases are in, so that small golden sets can say something too.
"""

import asyncio
import math
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import field, replace
from typing import Literal

from promptops.config.settings import Settings
from promptops.dataclass import dataclass
from promptops.errors import Invalid
from promptops.evaluation.case_store import CaseStore
from promptops.evaluation.engine import random_order
from promptops.evaluation.preflight import Preflight
from promptops.evaluation.run_grader import RunGrader, batch_grader_client
from promptops.evaluation.trials import TrialPlan, TrialRun, TrialRunner, input_problem
from promptops.evaluation.variants import CaseChecks, Variant, with_shared_checks
from promptops.git.process import run_git
from promptops.prompt.cases import Case
from promptops.registry import RegistryDatabase, new_run_id
from promptops.runner.batch import BatchEngine, BatchOptions, Pending
from promptops.runner.model_graded import JudgeResolver
from promptops.stats.eprocess import Hypothesis, MeanTest, paired_test
from promptops.stats.paired import sign_flip
from promptops.versions.history import HistoryEntry, read_history
from promptops.versions.resolve import Version, resolve_version

BisectVerdict = Literal["good", "bad", "cannot tell"]
ALPHA = 0.05
_GOOD, _BAD, _TESTED = 0, 1, 2
_MAX_SIGN_FLIPS = 5_000  # differences beyond which the exact test would only repeat what the bets have said


@dataclass(frozen=True, slots=True)
class BisectStep:
    """One version tested. Rates are of the cases that were looked at."""

    entry: HistoryEntry
    word: BisectVerdict
    cases: int = 0
    rate: float | None = None
    good_rate: float | None = None


@dataclass(frozen=True, slots=True)
class BisectResult:
    """``culprit`` is None where it is undecided; it is then one of ``suspects``, if they are any."""

    good: HistoryEntry
    bad: HistoryEntry
    steps: tuple[BisectStep, ...]
    culprit: HistoryEntry | None = None
    before: HistoryEntry | None = None  # the last good version
    suspects: tuple[HistoryEntry, ...] = ()


def version_range(name: str, good: Version, bad: Version, settings: Settings) -> list[HistoryEntry]:
    """The versions from the good to the bad one, oldest first, both among them."""
    with RegistryDatabase.open(settings.registry) as registry:
        versions = read_history(name, settings, registry).versions[::-1]
    line = run_git(settings, "rev-list", "--first-parent", "HEAD").decode().split()
    age = {sha: number for number, sha in enumerate(line)}
    first, last = (_index_at_commit(versions, age, each) for each in (good, bad))
    if first > last:
        raise Invalid(f"{good.reference} is newer than {bad.reference}", hint="swap --good and --bad")
    if first == last:
        raise Invalid(
            f"{good.reference} and {bad.reference} are the same version", hint="name two that differ"
        )
    return list(versions[first : last + 1])


def _index_at_commit(versions: Sequence[HistoryEntry], age: dict[str, int], version: Version) -> int:
    """The place of the version that held at a commit."""
    at = age.get(version.commit_sha or "")
    if at is None:
        raise Invalid(
            f"{version.reference} is not on the first-parent line of the present branch",
            hint="switch to the branch to search; promptops history lists its versions",
        )
    return max(place for place, entry in enumerate(versions) if age[entry.commit_sha] >= at)


@dataclass(slots=True)
class VersionTest:
    """The bets on one version, and what they rest on."""

    worse: MeanTest = field(default_factory=lambda: paired_test(Hypothesis.WORSE, 0.0))
    better: MeanTest = field(default_factory=lambda: paired_test(Hypothesis.NOT_WORSE, 0.0))
    losses_to_good: "array[float]" = field(default_factory=lambda: array("d"))
    losses_to_bad: "array[float]" = field(default_factory=lambda: array("d"))
    rates: list[float] = field(default_factory=lambda: [0.0, 0.0])

    def add(self, good: float, bad: float, rate: float) -> None:
        self.rates = [self.rates[0] + good, self.rates[1] + rate]
        self.losses_to_good.append(good - rate)  # losses: positive is worse
        self.losses_to_bad.append(bad - rate)
        self.worse.update(good - rate)
        self.better.update(bad - rate)

    def word(self, *, last: bool) -> BisectVerdict:
        """``last``: no further case will come."""
        if self.worse.rejects(ALPHA / 2) or (last and _exact_test_rejects(self.losses_to_good, 1)):
            return "bad"
        if self.better.rejects(ALPHA / 2) or (last and _exact_test_rejects(self.losses_to_bad, -1)):
            return "good"
        return "cannot tell"

    def step(self, entry: HistoryEntry, word: BisectVerdict) -> BisectStep:
        count = len(self.losses_to_good)
        good, rate = (total / count if count else None for total in self.rates)
        return BisectStep(entry, word, count, rate, good)


def _exact_test_rejects(losses: Sequence[float], sign: int) -> bool:
    if not losses or math.fsum(losses) * sign <= 0 or len(losses) > _MAX_SIGN_FLIPS:
        return False
    return sign_flip(losses) <= ALPHA  # two-sided: half of it on this side


@dataclass(frozen=True, slots=True, kw_only=True)
class BisectRequest:
    """What is asked for: versions in ``entries``, oldest (good) to newest (bad)."""

    entries: Sequence[HistoryEntry]
    trials: int = 1


def find_culprit(
    settings: Settings,
    options: BatchOptions,
    search: BisectRequest,
    cases: Iterable[Case],
    on_step: Callable[[BisectStep], None] | None = None,
) -> BisectResult:
    """Every case is looked at before anything is called."""
    ends = [_variant_of(entry, settings) for entry in (search.entries[0], search.entries[-1])]
    judges, engine, eval_id = JudgeResolver(settings), BatchEngine(settings, options), new_run_id()
    variants = with_shared_checks(ends, ends[1].prompt)
    with CaseStore() as store, RegistryDatabase.open(settings.registry) as registry:
        plan = Preflight(
            eval_id=eval_id,
            settings=settings,
            options=options,
            variants=variants,
            checks=CaseChecks(variants[1].prompt.checks, judges.prompt),
            trials=search.trials,
            client=batch_grader_client(engine, judges, variants[1].version),
            refuse=False,
        ).check(cases, store)
        grader = RunGrader(engine=engine, judges=judges, registry=registry, eval_id=eval_id)
        return asyncio.run(_Bisection(settings, grader, plan, search.entries, on_step).search())


def _variant_of(entry: HistoryEntry, settings: Settings) -> Variant:
    return Variant(version=resolve_version(entry.pasteable, settings), label=entry.pasteable)


@dataclass(slots=True)
class _Bisection:
    settings: Settings
    grader: RunGrader
    plan: TrialPlan  # of the good and the bad version
    entries: Sequence[HistoryEntry]
    on_step: Callable[[BisectStep], None] | None
    steps: list[BisectStep] = field(default_factory=list)
    known: dict[str, BisectVerdict] = field(default_factory=dict)  # by digest
    rates: dict[str, "array[float]"] = field(default_factory=dict)  # by digest, of each case; nan: not yet

    async def search(self) -> BisectResult:
        low, high = 0, len(self.entries) - 1
        async with self.grader.engine:
            if await self._verdict(high) != "bad":
                return self._result()
            self.known[self.entries[0].digest or ""] = "good"
            unclear: set[int] = set()
            while middle := _nearest_middle(low, high, unclear):
                word = await self._verdict(middle)
                if word == "good":
                    low = middle
                elif word == "bad":
                    high = middle
                else:
                    unclear.add(middle)
        if high - low > 1:
            return self._result(suspects=tuple(self.entries[low + 1 : high + 1]))
        return self._result(culprit=self.entries[high], before=self.entries[low])

    def _result(
        self,
        culprit: HistoryEntry | None = None,
        before: HistoryEntry | None = None,
        suspects: tuple[HistoryEntry, ...] = (),
    ) -> BisectResult:
        return BisectResult(self.entries[0], self.entries[-1], tuple(self.steps), culprit, before, suspects)

    async def _verdict(self, place: int) -> BisectVerdict:
        entry = self.entries[place]
        if entry.digest is None:  # deleted or broken: there is nothing to run
            self._note(BisectStep(entry, "cannot tell"))
        elif entry.digest not in self.known:
            step = await self._test(entry)
            self._note(step)
            self.known[entry.digest] = step.word
        return self.known.get(entry.digest or "", "cannot tell")

    def _note(self, step: BisectStep) -> None:
        self.steps.append(step)
        if self.on_step:
            self.on_step(step)

    async def _test(self, entry: HistoryEntry) -> BisectStep:
        runner, engine = self._trial_runner(entry), self.grader.engine
        order = random_order(len(self.plan.cases))

        async def one(index: int) -> list[float] | Pending[list[float]]:
            return await self._rates(runner, index)

        trial, word = VersionTest(), "cannot tell"
        async with aclosing(engine.each(order, one)) as results:
            async for rates in results:
                trial.add(*rates)
                if trial.word(last=False) != "cannot tell":
                    engine.stop()
        if engine.aborted_by:
            raise engine.aborted_by
        word = trial.word(last=len(trial.losses_to_good) == len(order))
        return trial.step(entry, word)

    def _trial_runner(self, entry: HistoryEntry) -> TrialRunner:
        (tested,) = with_shared_checks([_variant_of(entry, self.settings)], self.plan.variants[_BAD].prompt)
        unfit = bytearray(bool(input_problem(tested, case)) for _, case in self.plan.cases.cases())
        plan = replace(
            self.plan,
            variants=(*self.plan.variants, tested),
            unfit=(*self.plan.unfit, unfit),
        )
        return TrialRunner(plan, self.grader)

    async def _rates(self, runner: TrialRunner, index: int) -> Pending[list[float]]:
        """Of the good, the bad and the tested version the share of trials passed, when all are on disk."""
        sides = (_GOOD, _BAD, _TESTED)
        asked = [await self._ask(runner, side, index) for side in sides]
        on_disk = asyncio.gather(*(answer.until for answers in asked for answer in answers))
        return Pending(
            on_disk,
            lambda: [
                self._rate(runner, side, index, answers) for side, answers in zip(sides, asked, strict=True)
            ],
        )

    async def _ask(self, runner: TrialRunner, side: int, index: int) -> list[Pending[TrialRun]]:
        """The trials of a case; none where what has been measured once is known."""
        if not math.isnan(self._known_rates(runner, side)[index]):
            return []
        case = runner.plan.cases.case(index)
        added = runner.plan.checks.of(case)
        answers = [runner.begin(index, case, added, side, trial) for trial in range(runner.plan.trials)]
        return list(await asyncio.gather(*answers))

    def _rate(
        self, runner: TrialRunner, side: int, index: int, answers: Sequence[Pending[TrialRun]]
    ) -> float:
        rates = self._known_rates(runner, side)
        if answers:
            rates[index] = sum(answer.finish().passed for answer in answers) / len(answers)
        return rates[index]

    def _known_rates(self, runner: TrialRunner, side: int) -> "array[float]":
        digest, cases = runner.plan.variants[side].prompt.digest, len(runner.plan.cases)
        return self.rates.setdefault(digest, array("d", [math.nan]) * cases)


def _nearest_middle(low: int, high: int, unclear: set[int]) -> int:
    """The place to test next; 0, which is the good version's, when none is left."""
    return min(_between(low, high, unclear), key=lambda place: abs(2 * place - low - high), default=0)


def _between(low: int, high: int, unclear: set[int]) -> Iterator[int]:
    return (place for place in range(low + 1, high) if place not in unclear)
