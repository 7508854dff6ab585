"""What evals count: pairs, scores, listings, gates; pure."""

import random
from dataclasses import replace
from functools import partial
from statistics import mean

import pytest
import scipy

from promptops.evaluation.case_listing import CaseListing
from promptops.evaluation.case_pairs import case_flip
from promptops.evaluation.case_store import CaseStore
from promptops.evaluation.gate import EvalThresholds, decide_eval
from promptops.evaluation.paired_counts import PairCounts, ScoreDifferences
from promptops.evaluation.result import CaseFlip, EvalResult, VariantResult
from promptops.evaluation.summary import NullableSum, PassCount, mark_pareto_front, pass_rate, truncate_inputs
from promptops.evaluation.top_regressions import TopRegressions
from promptops.evaluation.trials import CaseTrials, TrialRun
from promptops.prompt.cases import Case
from promptops.stats.intervals import clopper_pearson_interval, wilson_interval
from promptops.stats.paired import mcnemar, sign_flip


def filled(trials: int, differences: list[int]) -> PairCounts:
    pairs = PairCounts(trials)
    for difference in differences:
        before = trials if difference < 0 else 0
        pairs.add(difference, 2 * before > trials, 2 * (before + difference) > trials)
    return pairs


def students(values: list[float]) -> tuple[float, float]:
    interval = scipy.stats.ttest_1samp(values, 0.0).confidence_interval(0.95)
    return interval.low, interval.high


def test_single_trials_are_mcnemars() -> None:
    found = filled(1, [-1] * 3 + [1] * 9 + [0] * 28).slice("all")
    assert (found.pairs, found.broke, found.fixed) == (40, 3, 9)
    assert found.difference == pytest.approx(6 / 40)
    assert found.p == mcnemar(3, 9)
    assert found.low < 6 / 40 < found.high


@pytest.mark.slow
def test_several_trials_are_the_tests_of_the_differences() -> None:
    differences = [-3, 1, 1, 2, 0, 0, 0, -1, 3, 2, 2, 0]
    found = filled(3, differences).slice("tag")
    shares = [each / 3 for each in differences]
    assert (found.difference, found.low, found.high) == pytest.approx((mean(shares), *students(shares)))
    assert found.p == sign_flip(shares)
    assert filled(2, [1, -1, 1] * 600).slice("many").p < 1e-10


@pytest.mark.parametrize("trials", [1, 3])
def test_nothing_that_differs_is_no_proof_of_sameness(trials: int) -> None:
    found = filled(trials, [0] * 10).slice("all")
    assert (found.difference, found.p) == (0.0, 1.0)
    assert found.low < -0.2
    assert found.high > 0.2
    nothing = PairCounts(trials).slice("none")
    assert (nothing.pairs, nothing.low, nothing.high, nothing.p) == (0, -1.0, 1.0, 1.0)


@pytest.mark.slow
@pytest.mark.no_cover
def test_scores_are_those_of_all_pairs_without_keeping_them() -> None:
    source = random.Random(3)
    before = [source.random() for _ in range(3000)]
    after = [each + source.gauss(0.01, 0.1) for each in before]
    moved = [b - a for a, b in zip(before[:900], after[:900], strict=True)]
    scores = ScoreDifferences()
    for pair in zip(before[:900], after[:900], strict=True):
        scores.add(*pair)
    found = scores.slice("judge")
    assert found is not None
    assert (found.difference, found.low, found.high, found.p) == pytest.approx(
        (mean(moved), *students(moved), sign_flip(moved))
    )
    for pair in zip(before[900:], after[900:], strict=True):
        scores.add(*pair)
    found = scores.slice("judge")
    assert found is not None
    assert len(scores.differences) <= 1001
    assert found.difference == pytest.approx(mean(after) - mean(before))
    differences = [b - a for a, b in zip(before, after, strict=True)]
    assert found.p == pytest.approx(sign_flip(differences, draws=4000), abs=0.01)
    assert ScoreDifferences().slice("none") is None
    alike = ScoreDifferences(count=2000, mean=0.5)
    assert alike.slice("alike") is not None
    assert alike.slice("alike").p == 0.0  # type: ignore[union-attr]


def test_rates_are_exact_for_few_cases() -> None:
    few, many = PassCount(9, 10).rate, PassCount(90, 100).rate
    assert (few.low, few.high) == (clopper_pearson_interval(9, 10).low, clopper_pearson_interval(9, 10).high)
    assert (many.low, many.high) == (wilson_interval(90, 100).low, wilson_interval(90, 100).high)
    assert PassCount().rate.rate is None
    total = NullableSum()
    total.add(2.0)
    assert total.whole == 2.0
    total.add(None)
    assert total.whole is None


def answered(index: int, *passes: bool) -> CaseTrials:
    """Sides as answers without a run fail; with ``True`` a stand-in that passes."""
    return CaseTrials(
        index, Case(id=f"c{index}", inputs={"x": "y" * 5000}), tuple((_answer(each),) for each in passes)
    )


class _Passing(TrialRun):
    passed = True  # type: ignore[assignment]
    error = None  # type: ignore[assignment]


def _answer(passed: bool) -> TrialRun:
    return _Passing(None) if passed else TrialRun(None, problem="no")


def test_listings_are_bounded_and_keep_what_failed() -> None:
    listing = CaseListing(limit=4)
    for index in range(10):
        listing.add(answered(index, index not in (5, 7, 8)))
    (cases,) = listing.by_side(1)
    assert [each.case_id for each in cases] == ["c0", "c5", "c7", "c8"]
    assert listing.left_out == 6
    for index in range(10, 20):
        listing.add(answered(index, False))
    assert [each.case_id for each in listing.by_side(1)[0]] == ["c5", "c7", "c8", "c10"]
    assert listing.left_out == 16
    assert len(cases[0].inputs["x"]) < 2100
    assert truncate_inputs({"n": 7}) == {"n": 7}


def test_the_worst_flips_are_kept() -> None:
    flips: TopRegressions[CaseFlip] = TopRegressions(limit=2)
    for index, loss in enumerate((0.2, 1.0, 0.5, 0.5, 0.1)):
        flips.add(loss, partial(case_flip, answered(index, True, False), loss))
    assert [(flip.case_id, flip.loss) for flip in flips.worst_first()] == [("c1", 1.0), ("c2", 0.5)]
    assert flips.total == 5


def test_cases_come_back_as_they_were_in_any_order() -> None:
    cases = [
        Case(
            id=f"{n}",
            inputs={"a": "\ud800\t\n" * n},
            expected=[n],
            checks=({"x": 1},),
            tags=("t",),
            where=f"f:{n}",
        )
        for n in range(5)
    ]
    with CaseStore() as kept, CaseStore() as other:
        for case in cases:
            kept.add(case)
            other.add(replace(case, where="elsewhere"))
        assert [case for _, case in kept.cases([3, 0])] == [cases[3], cases[0]]
        assert [case for _, case in kept.cases()] == cases
        assert kept.hash == other.hash
        other.add(cases[0])
        assert kept.hash != other.hash


def side(passed: int, cost: float | None, latency: float | None) -> VariantResult:
    return VariantResult(
        label=f"{passed}", prompt="p", digest="d", model="m", overall=pass_rate(passed, 10), by_check={},
        by_tag={}, scores={}, errors=0, flaky=0, latency_p50_ms=latency, latency_p95_ms=None,
        input_tokens=None, output_tokens=None, tokens_per_passed=None, cost_usd=None, cost_per_case_usd=cost,
        cost_per_passed_usd=None, spent_usd=None, cache_hits=0, judge_failures=0,
    )  # fmt: skip


def test_the_front_holds_whatever_nobody_beats() -> None:
    figures = [(9, 2.0, 100), (9, 1.0, 100), (8, 0.5, 300), (7, 0.6, 300), (5, None, 50)]
    sides = [side(*each) for each in figures]
    assert [each.pareto for each in mark_pareto_front(sides)] == [False, True, True, False, True]


def test_gates_of_several_versions() -> None:
    both = EvalResult(
        eval_id="e", sides=(side(5, None, None), side(9, None, None)), cases=((), ()), comparison=None,
        trials=1, cases_total=10, cases_hash="", checks_hash="",
    )  # fmt: skip
    assert decide_eval(both, EvalThresholds()).code == 0
    assert decide_eval(both, EvalThresholds(fail_under=0.9)).code == 0
    assert decide_eval(both, EvalThresholds(fail_under=0.95)).code == 1
