"""What is looked at once, against scipy, statsmodels and examples from the literature."""

import itertools
import math
import random
from collections.abc import Sequence

import krippendorff
import numpy as np
import pytest
import scipy
from hypothesis import given, settings
from hypothesis import strategies as st

from promptops.errors import Invalid, Undecided
from promptops.stats import agreement, correlation, distributions, intervals, paired
from promptops.stats.multiple_testing import holm
from promptops.stats.stratified import ArmTally, StepStratum

RATES = [(0, 1), (1, 1), (0, 30), (3, 30), (30, 30), (57, 200), (2, 10_000), (123_456, 1_000_000)]
P_VALUES = st.lists(st.floats(0.0, 1.0), max_size=12)


# Distributions


@given(st.floats(0.0, 1.0), st.floats(0.5, 2000.0), st.floats(0.5, 2000.0))
def test_the_beta_distribution(x: float, a: float, b: float) -> None:
    assert distributions.beta_cdf(x, a, b) == pytest.approx(
        scipy.stats.beta.cdf(x, a, b), rel=1e-8, abs=1e-12
    )


@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.95, 0.999])
@pytest.mark.parametrize("freedom", [1, 2, 9, 30, 5000])
def test_students_distribution(confidence: float, freedom: int) -> None:
    t = distributions.student_quantile(confidence, freedom)
    assert t == pytest.approx(scipy.stats.t.ppf(1 - (1 - confidence) / 2, freedom), rel=1e-8)


def test_the_normal_distribution() -> None:
    assert distributions.two_sided_z(0.95) == pytest.approx(1.959964, abs=1e-6)
    with pytest.raises(Invalid, match="confidence"):
        distributions.two_sided_z(95)


@given(st.integers(0, 200), st.integers(0, 200), st.floats(0.01, 0.99))
def test_the_binomial_distribution(successes: int, more: int, rate: float) -> None:
    found = distributions.binomial_cdf(successes, successes + more, rate)
    assert found == pytest.approx(scipy.stats.binom.cdf(successes, successes + more, rate), rel=1e-8)
    assert distributions.binomial_cdf(-1, 5, rate) == 0.0


# Intervals


@pytest.mark.parametrize(("successes", "trials"), RATES)
@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
def test_intervals_of_a_rate(successes: int, trials: int, confidence: float) -> None:
    from statsmodels.stats.proportion import proportion_confint

    for ours, method in ((intervals.wilson_interval, "wilson"), (intervals.clopper_pearson_interval, "beta")):
        low, high = proportion_confint(successes, trials, 1 - confidence, method)
        found = ours(successes, trials, confidence)
        assert found.low == pytest.approx(low, rel=1e-8, abs=1e-12)
        assert found.high == pytest.approx(high, rel=1e-8, abs=1e-12)
        assert successes / trials in found


@pytest.mark.no_cover
@given(st.integers(0, 400), st.integers(1, 400), st.floats(0.5, 0.999))
def test_an_interval_holds_its_rate_and_the_exact_one_is_inside_zero_to_one(
    successes: int, failures: int, confidence: float
) -> None:
    trials = successes + failures
    for ours in (intervals.wilson_interval, intervals.clopper_pearson_interval):
        found = ours(successes, trials, confidence)
        assert 0.0 <= found.low <= successes / trials <= found.high <= 1.0


def test_rates_that_cannot_be() -> None:
    assert intervals.wilson_interval(0, 0) == intervals.Interval(0.0, 1.0)
    assert intervals.clopper_pearson_interval(0, 0) == intervals.Interval(0.0, 1.0)
    for ours in (intervals.wilson_interval, intervals.clopper_pearson_interval):
        with pytest.raises(Invalid, match="5 successes of 4"):
            ours(5, 4)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40), st.floats(0.0, 1.0))
def test_quantiles(values: list[float], probability: float) -> None:
    expected = np.quantile(values, probability)
    assert intervals.quantile(values, probability) == pytest.approx(expected, rel=1e-9, abs=1e-6)
    with pytest.raises(Invalid, match="quantile"):
        intervals.quantile([], probability)


@pytest.mark.parametrize(("ours", "theirs"), [((3, 20), (9, 30)), ((0, 20), (0, 30)), ((20, 20), (1, 30))])
def test_the_difference_of_a_step_is_that_of_agresti_and_caffo(
    ours: tuple[int, int], theirs: tuple[int, int]
) -> None:
    from statsmodels.stats.proportion import confint_proportions_2indep

    step = StepStratum(0.4, ArmTally(ours[1], ours[0], ours[0]), ArmTally(theirs[1], theirs[0], theirs[0]))
    low, high = confint_proportions_2indep(*ours, *theirs, method="agresti-caffo", compare="diff")
    found = step.difference()
    assert found.low == pytest.approx(max(-1.0, min(low, found.value)))
    assert found.high == pytest.approx(min(1.0, max(high, found.value)))


# Pairs


@given(st.integers(0, 300), st.integers(0, 300))
def test_mcnemars_test(broke: int, fixed: int) -> None:
    expected = scipy.stats.binomtest(broke, broke + fixed).pvalue if broke + fixed else 1.0
    assert paired.mcnemar(broke, fixed) == pytest.approx(expected, rel=1e-8)


def test_mcnemars_test_of_many_pairs() -> None:
    assert paired.mcnemar(50_000, 51_000) == pytest.approx(
        scipy.stats.binomtest(50_000, 101_000).pvalue, rel=1e-7
    )
    assert paired.mcnemar(2000, 0) == 0.0 or paired.mcnemar(2000, 0) < 1e-300
    with pytest.raises(Invalid, match="not negative"):
        paired.mcnemar(-1, 2)


def _restricted_rate(broke: int, fixed: int, pairs: int, difference: float) -> float:
    """The likeliest share of fixed pairs where broke - fixed must be ``difference``, found numerically."""

    def unlikely(share: float) -> float:
        terms = (
            (fixed, share),
            (broke, share + difference),
            (pairs - broke - fixed, 1 - 2 * share - difference),
        )
        return -sum(n * math.log(max(p, 1e-300)) for n, p in terms if n)

    edges = (max(0.0, -difference), (1 - difference) / 2)
    return float(scipy.optimize.minimize_scalar(unlikely, bounds=edges, options={"xatol": 1e-12}).x)


@pytest.mark.parametrize(("broke", "fixed", "pairs"), [(12, 3, 50), (5, 9, 30), (40, 41, 500), (7, 2, 12)])
def test_tangos_interval_is_where_the_score_test_rejects(broke: int, fixed: int, pairs: int) -> None:
    found = paired.paired_rates(broke, fixed, pairs)
    assert found.value == pytest.approx((broke - fixed) / pairs)
    for bound in (found.low, found.high):
        share = _restricted_rate(broke, fixed, pairs, bound)
        variance = pairs * (2 * share + bound - bound**2)
        z = (broke - fixed - pairs * bound) / math.sqrt(variance)
        assert abs(z) == pytest.approx(1.959964, rel=1e-4)


def test_tangos_interval_where_nothing_or_everything_differs() -> None:
    z = 1.959964**2
    found = paired.paired_rates(0, 0, 50)
    assert (found.low, found.high) == pytest.approx((-z / (50 + z), z / (50 + z)), abs=1e-6)
    assert paired.paired_rates(10, 0, 10).high == 1.0
    assert paired.paired_rates(0, 10, 10).low == -1.0
    assert paired.paired_rates(10, 0, 10).low > 0.0
    with pytest.raises(Invalid, match="contradict"):
        paired.paired_rates(3, 3, 5)
    with pytest.raises(Undecided, match="one pair"):
        paired.paired_rates(0, 0, 0)


@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 200))
def test_a_paired_interval_holds_its_difference_and_mirrors(broke: int, fixed: int, same: int) -> None:
    if not (pairs := broke + fixed + same):
        return
    found, mirrored = paired.paired_rates(broke, fixed, pairs), paired.paired_rates(fixed, broke, pairs)
    assert -1.0 <= found.low <= found.value <= found.high <= 1.0
    assert (found.low, found.high) == pytest.approx((-mirrored.high, -mirrored.low), abs=1e-9)


@settings(max_examples=40)
@given(st.lists(st.sampled_from([-2.0, -1.0, -0.3, 0.0, 0.1, 0.2, 1.0]), min_size=2, max_size=10))
def test_the_sign_flip_test_counts_every_assignment(differences: list[float]) -> None:
    moved = [d for d in differences if d]
    bound = abs(sum(moved)) - 1e-9
    extreme = [
        abs(sum(s * d for s, d in zip(signs, moved, strict=True))) >= bound
        for signs in itertools.product((1, -1), repeat=len(moved))
    ]
    assert paired.sign_flip(differences) == pytest.approx(sum(extreme) / len(extreme))


def test_the_sign_flip_test_agrees_with_scipy() -> None:
    draw = random.Random(2)
    few = [draw.gauss(0.4, 1.0) for _ in range(12)]
    many = [draw.gauss(0.15, 1.0) for _ in range(300)]

    def total(sample: Sequence[float], axis: int = -1) -> object:
        return np.sum(sample, axis=axis)

    exact = scipy.stats.permutation_test(
        (np.array(few),), total, permutation_type="samples", n_resamples=1 << 13
    )
    assert paired.sign_flip(few) == pytest.approx(exact.pvalue)
    t_test = scipy.stats.ttest_1samp(many, 0.0).pvalue
    assert paired.sign_flip(many) == pytest.approx(t_test, abs=0.01)
    assert paired.sign_flip(many) == paired.sign_flip(many)
    assert paired.sign_flip([1.0] * 100) == pytest.approx(1 / 20_001)
    assert paired.sign_flip([0.0, 0.0]) == 1.0
    with pytest.raises(Invalid, match="finite"):
        paired.sign_flip([math.nan])


# Several tests at once


@settings(max_examples=40, deadline=None)
@given(P_VALUES)
def test_holm(p_values: list[float]) -> None:
    from statsmodels.stats.multitest import multipletests

    found = holm(p_values)
    if p_values:
        assert found == pytest.approx(list(multipletests(p_values, method="holm")[1]))
    assert all(p - 1e-12 <= adjusted <= 1.0 for p, adjusted in zip(p_values, found, strict=True))
    in_order = [adjusted for _, adjusted in sorted(zip(p_values, found, strict=True))]
    assert in_order == sorted(in_order)


def test_what_is_no_p_value() -> None:
    with pytest.raises(Invalid, match="p-value"):
        holm([0.5, math.nan])


# Agreement


def test_cohens_kappa() -> None:
    from statsmodels.stats.inter_rater import cohens_kappa

    draw = random.Random(8)
    first = [draw.choice("abcd") for _ in range(120)]
    second = [each if draw.random() < 0.6 else draw.choice("abcd") for each in first]
    table = [
        [sum(pair == (a, b) for pair in zip(first, second, strict=True)) for b in "abcd"] for a in "abcd"
    ]
    for weights, theirs in (("none", None), ("linear", "linear"), ("quadratic", "quadratic")):
        expected = cohens_kappa(np.array(table), wt=theirs)
        found = agreement.cohen_kappa(first, second, weights=weights)
        assert found.value == pytest.approx(expected.kappa)
        assert (found.low, found.high) == pytest.approx((expected.kappa_low, expected.kappa_upp))


def test_cohens_kappa_at_the_ends() -> None:
    same = agreement.cohen_kappa([1, 2, 1, 2], [1, 2, 1, 2])
    assert (same.value, same.low, same.high) == (1.0, 1.0, 1.0)
    assert agreement.cohen_kappa([1, 2], [2, 1]).value == -1.0
    with pytest.raises(Undecided, match="one category"):
        agreement.cohen_kappa(["a", "a"], ["a", "a"])
    with pytest.raises(Invalid, match="not among the categories: c"):
        agreement.cohen_kappa(["a", "c"], ["a", "b"], categories=["a", "b"])
    with pytest.raises(Invalid, match="same items"):
        agreement.cohen_kappa(["a"], [])
    with pytest.raises(Undecided, match="at least one item"):
        agreement.raw_agreement([], [])
    assert agreement.raw_agreement("aab", "abb").value == pytest.approx(2 / 3)


_ = None
KRIPPENDORFF_2011 = [  # one line an observer, from "Computing Krippendorff's Alpha-Reliability", section C
    [1, 2, 3, 3, 2, 1, 4, 1, 2, _, _, _],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, _, 3],
    [_, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, _],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, _],
]


@pytest.mark.parametrize(
    ("level", "published"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)]
)
def test_krippendorffs_own_example(level: agreement.Level, published: float) -> None:
    items = [list(item) for item in zip(*KRIPPENDORFF_2011, strict=True)]
    found = agreement.krippendorff_alpha(items, level=level)
    assert found.value == pytest.approx(published, abs=5e-4)
    assert found.count == 11
    assert found.low < found.value < found.high <= 1.0


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.lists(st.sampled_from([1, 2, 3, 5, None]), min_size=3, max_size=3), min_size=3, max_size=25),
    st.sampled_from(["nominal", "ordinal", "interval"]),
)
def test_krippendorffs_alpha_agrees_with_the_reference(
    items: list[list[int | None]], level: agreement.Level
) -> None:
    rated = [item for item in items if sum(value is not None for value in item) > 1]
    if len({value for item in rated for value in item if value is not None}) < 2:
        with pytest.raises(Undecided, match="alpha is undefined"):
            agreement.krippendorff_alpha(items, level=level)
        return
    matrix = [[math.nan if value is None else value for value in rater] for rater in zip(*items, strict=True)]
    expected = krippendorff.alpha(matrix, level_of_measurement=level)
    assert agreement.krippendorff_alpha(items, level=level).value == pytest.approx(expected, abs=1e-9)


def test_the_jackknife_leaves_one_item_out_at_a_time() -> None:
    items = [[1, 1], [2, 2], [1, 2], [3, 3], [2, 2], [3, 1]]
    left_out = [agreement.krippendorff_alpha(items[:at] + items[at + 1 :]).value for at in range(len(items))]
    error = math.sqrt(5 / 6 * sum((each - np.mean(left_out)) ** 2 for each in left_out))
    found = agreement.krippendorff_alpha(items)
    assert found.value - found.low == pytest.approx(scipy.stats.t.ppf(0.975, 5) * error)


def test_alpha_of_words_and_of_a_single_item() -> None:
    assert agreement.krippendorff_alpha([["yes", "yes"], ["no", "no"]]).value == 1.0
    alone = agreement.krippendorff_alpha([["yes", "no"]])
    assert (alone.low, alone.high) == (-1.0, 1.0)
    with pytest.raises(Invalid, match="needs numbers, not 'no'"):
        agreement.krippendorff_alpha([["yes", "no"]], level="interval")


def test_the_smallest_difference_a_judge_can_see() -> None:
    repeats = [[3.0, 4.0], [2.0, 2.0], [5.0, 4.0], [1.0]]
    expected = (1.959964 + 0.841621) * math.sqrt(2 * (1.0 / 3) / 100)
    assert agreement.detectable_difference(repeats, 100) == pytest.approx(expected, rel=1e-5)
    with pytest.raises(Undecided, match="at least twice"):
        agreement.detectable_difference([[1.0]], 100)


# Correlation


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=4, max_size=40))
def test_correlations(pairs: list[tuple[int, int]]) -> None:
    first, second = [float(a) for a, _ in pairs], [float(b) for _, b in pairs]
    if len(set(first)) == 1 or len(set(second)) == 1:
        with pytest.raises(Undecided, match="never varies"):
            correlation.pearson(first, second)
        return
    expected = scipy.stats.pearsonr(first, second)
    found = correlation.pearson(first, second)
    assert found.value == pytest.approx(expected.statistic, abs=1e-9)
    if abs(found.value) < 0.999:
        interval = expected.confidence_interval(0.95)
        assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    rho = correlation.spearman(first, second)
    assert rho.value == pytest.approx(scipy.stats.spearmanr(first, second).statistic, abs=1e-9)
    assert rho.low <= rho.value <= rho.high
    assert correlation.ranks(first) == list(scipy.stats.rankdata(first))


def test_correlations_need_pairs() -> None:
    with pytest.raises(Invalid, match="needs pairs"):
        correlation.pearson([1.0], [])
    with pytest.raises(Undecided, match="4 pairs"):
        correlation.spearman([1.0, 2.0], [1.0, 2.0])
