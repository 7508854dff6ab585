"""From tests to findings: verdicts, what harm is attributed to, sentences. Pure."""

from collections.abc import Mapping
from dataclasses import field, replace
from typing import Any

from promptops.dataclass import dataclass
from promptops.release.analysis import priors as likely
from promptops.release.analysis.confidence_bounds import Bounds
from promptops.release.analysis.findings import MetricFinding
from promptops.release.analysis.metric_tests import MetricTests
from promptops.release.analysis.rollout_tests import RolloutTests, WindowGroup
from promptops.release.plan.types import PlanMetric
from promptops.release.plan.values import parse_source
from promptops.stats import verdicts
from promptops.stats.eprocess import Hypothesis, log_threshold
from promptops.stats.forecast import calls_needed
from promptops.stats.guard_group import closed_testing, least_losses
from promptops.stats.intervals import Interval, IntervalEstimate
from promptops.stats.multiple_testing import testable
from promptops.stats.stratified import stratified_difference
from promptops.stats.two_arm import NO_HISTORY
from promptops.stats.verdicts import ArmCounts, VerdictDetails, Wording, decide_verdict, verdict_sentence
from promptops.versions.release_state import Rollout

_MIN_DUE_CALLS = 50  # canary calls that were due before a guard without any value is called silent
_WORDINGS: Mapping[str, Wording] = {
    "run.error": verdicts.ERRORS_WORDING,
    "run.latency_ms": verdicts.LATENCY_WORDING,
    "run.cost_usd": verdicts.COST_WORDING,
    "run.cost_list_usd": verdicts.COST_WORDING,
    "run.truncated": Wording("is cut off", "more often", "less often", "points", "was cut off"),
    "run.blocked": Wording(
        "is blocked by guards", "more often", "less often", "points", "was blocked by guards"
    ),
    "outcome.correct": verdicts.WRONG_ANSWER_WORDING,
    "outcome.thumbs": Wording("is disliked", "more often", "less often", "points", "was disliked"),
}


def evaluate_metrics(
    tests: RolloutTests, rollout: Rollout, subject: str, against: str, bounds: Mapping[str, Bounds]
) -> dict[str, Any]:
    """The fields of Findings that rest on the tests alone."""
    harm, slices = find_harm(tests), find_worse_slices(tests)
    names = subject, against
    metrics = tuple(
        _metric_finding(tests, each.name, harm, slices, names, bounds, rollout.step)
        for each in tests.plan.metrics
    )
    return {
        "metrics": metrics,
        "harm": tuple(harm),
        "hard": tuple(each.metric.name for each in metrics if each.hard),
        "signals": tuple(each.metric.name for each in metrics if each.metric.role == "signal" and each.worse),
        "silent": _silent_guards(tests, rollout),
    }


def find_harm(tests: RolloutTests) -> dict[str, tuple[str, ...]]:
    """Guards to which a rollback is attributed, each with those of which one is worse.

    That is the guard itself where it is proven alone; else all of its group, of which it is the most likely.
    A group whose named guards do no worse than stable so far is not named: the evidence may rest on which
    arm good calls fell on.
    """
    groups = [window_group for window_group in tests.window_groups if window_group.group]
    found: dict[str, tuple[str, ...]] = {}
    for window_group in groups:
        group, alpha = window_group.group, tests.plan.alpha.rollback / len(groups)
        if group is None or not group.rejects(alpha):
            continue
        evidence = group.attribution()
        alone = [name for name, log_e in evidence.items() if log_e >= log_threshold(alpha)]
        named: dict[str, tuple[str, ...]] = {name: (name,) for name in alone}
        if not alone and group.at_highest:
            named = {max(group.at_highest, key=group.at_highest.__getitem__): tuple(group.at_highest)}
        found |= {
            name: those for name, those in named.items() if window_group.metrics[name].differs_for_worse
        }
    return found


@dataclass(frozen=True, slots=True)
class WorseSlices:
    """``names`` of signals of one tag that are shown worse; ``least`` by name the losses that others lack."""

    names: frozenset[str] = frozenset()
    least: Mapping[str, int] = field(default_factory=dict)


def find_worse_slices(tests: RolloutTests) -> WorseSlices:
    """Slices that are worse, so that even one wrong name is unlikely: by closed testing.

    Left out are those with fewer losses, of both arms together, than could ever show it.
    """
    slices = [
        each
        for window_group in tests.window_groups
        for each in window_group.metrics.values()
        if each.metric.tag is not None
    ]
    alpha = tests.plan.alpha.rollback
    odds = max(
        ((1 - step.weight) / step.weight for each in slices for step in each.steps.values()), default=1.0
    )
    losses = [round(each.sums[1] + each.sums[3]) for each in slices]
    least, able = testable(losses, lambda count: least_losses(count, alpha, odds))
    evidence = closed_testing({slices[place].metric.name: slices[place].worse.log_e for place in able})
    return WorseSlices(
        frozenset(
            name
            for name, log_e in evidence.items()
            if log_e >= log_threshold(alpha) and tests.of(name)[1].differs_for_worse
        ),
        {each.metric.name: least for at, each in enumerate(slices) if at not in able},
    )


def is_metric_worse(
    each: MetricTests, harm: Mapping[str, tuple[str, ...]], slices: WorseSlices, alpha: float
) -> bool:
    """Whether a metric has been shown to be worse: a guard by its group, a slice among all, others alone.

    In the first engine a guard that only is the likeliest of its group counted as well.
    """
    if each.metric.tag is not None and each.metric.role == "signal":
        return each.metric.name in slices.names
    if each.metric.role not in ("guard", "hard"):
        return each.hard or each.is_worse(alpha)
    those = harm.get(each.metric.name, ())
    return each.hard or (len(those) == 1 or (bool(those) and each.engine == 1))


def _metric_finding(
    tests: RolloutTests,
    name: str,
    harm: Mapping[str, tuple[str, ...]],
    slices: WorseSlices,
    names: tuple[str, str],
    bounds: Mapping[str, Bounds],
    step: int,
) -> MetricFinding:
    each, alpha = tests.of(name)[1], tests.plan.alpha
    metric, (subject, against) = each.metric, names
    worse = is_metric_worse(each, harm, slices, alpha.rollback)
    not_worse, better = each.is_not_worse(alpha.promote), each.is_better(alpha.promote)
    verdict = decide_verdict(worse=worse, not_worse=not_worse, better=better)
    known = bounds.get(name)
    proven = worse and (each.engine == 1 or name in harm or metric.role not in ("guard", "hard"))
    shown = (
        _tighten_bounds(known.interval, metric, worse=proven, not_worse=not_worse, better=better)
        if known and name not in slices.least
        else None
    )
    n_c, sum_c, n_s, sum_s = each.sums
    counts = arm_counts(each)
    finding = VerdictDetails(
        verdict,
        subject,
        against,
        metric_wording(metric),
        shown,
        each.not_worse.calls,
        metric.margin,
        1 - alpha.promote,
        arms=counts,
    )
    return MetricFinding(
        metric=metric,
        verdict=verdict,
        worse=worse,
        not_worse=not_worse,
        better=better,
        log_e_worse=each.worse.log_e,
        log_e_not_worse=each.not_worse.log_e,
        log_e_better=each.better.log_e,
        canary_calls=each.canary_calls,
        stable_calls=each.stable_calls,
        canary_bad=counts.subject_bad,
        stable_bad=counts.against_bad,
        canary_mean=sum_c / n_c if n_c else None,
        stable_mean=sum_s / n_s if n_s else None,
        bounds=shown,
        difference=_difference(each),
        canary_missing=each.missing_counts[0],
        stable_missing=each.missing_counts[1],
        unequal_missing=_missing_matters(metric) and each.is_missing_unequal(alpha.srm),
        late=each.late,
        hard=each.hard,
        calls_needed=None if not_worse else remaining_calls(tests, each, step),
        sentence=_thin_sentence(finding, slices.least[name])
        if name in slices.least
        else _sentence(finding, each, harm.get(name, ()), 1 - alpha.rollback),
        losses_needed=slices.least.get(name),
        trail=known.trail if known else (),
    )


def arm_counts(each: MetricTests) -> ArmCounts:
    n_c, sum_c, n_s, sum_s = each.sums
    if each.metric.kind != "binary":
        return ArmCounts(int(n_c), int(n_s))
    return ArmCounts(int(n_c), int(n_s), round(sum_c), round(sum_s))


def _sentence(finding: VerdictDetails, each: MetricTests, those: tuple[str, ...], confidence: float) -> str:
    if each.hard:
        return _hard_sentence(each.metric, finding.subject)
    sentence = verdict_sentence(finding)
    if len(those) < 2:  # of several guards one is worse
        return sentence
    return (
        f"one of {', '.join(those)} is worse ({confidence * 100:.4g} %), most likely {each.metric.name}: "
        f"{sentence}"
    )


def _thin_sentence(finding: VerdictDetails, least: int) -> str:
    counts = verdict_sentence(replace(finding, bounds=None)).removesuffix(": not compared yet")
    return f"{counts}; too few to tell (needs {least:,} that fail)"


def _tighten_bounds(
    found: Interval, metric: PlanMetric, *, worse: bool, not_worse: bool, better: bool
) -> Interval:
    """Bounds that were found a few calls ago, with what the tests have shown since."""
    neutral = 1.0 if metric.kind == "ratio" else 0.0
    low = max(found.low, neutral) if worse else found.low
    high = min(found.high, metric.margin) if not_worse else found.high
    return Interval(low, min(high, neutral) if better else high)


def _missing_matters(metric: PlanMetric) -> bool:
    """A signal without values, such as the cost of a model whose price is unknown, spoils nothing else."""
    return not (metric.role == "signal" and metric.source.startswith("run."))


def _hard_sentence(metric: PlanMetric, subject: str) -> str:
    return f"{subject} has failed {metric.name}, which may not happen once"


def metric_wording(metric: PlanMetric) -> Wording:
    """How a metric is spoken of; one that has no words of its own by its name."""
    wording = _metric_wording(metric)
    if metric.tag is None:
        return wording
    on = f" on {metric.tag}"
    return replace(wording, verb=wording.verb + on, counted=wording.counted and wording.counted + on)


def _metric_wording(metric: PlanMetric) -> Wording:
    if metric.kind != "ratio" and metric.source.startswith("check"):
        return verdicts.CHECKS_WORDING
    if metric.kind == "score":
        return verdicts.SCORE_WORDING
    if found := _WORDINGS.get(metric.source):
        return found
    if above := _above_wording(metric):
        return above
    if metric.kind == "ratio":
        return Wording(f"typically uses, in {metric.name},", "more", "less", "percent")
    return Wording(
        f"does badly in {metric.name}", "more often", "less often", "points", f"did badly in {metric.name}"
    )


def _above_wording(metric: PlanMetric) -> Wording | None:
    """Of a comparison of a time or a cost with a number."""
    source = parse_source(metric.source)
    if source.operator != ">" or source.place != "run":
        return None
    if source.name.endswith("_ms"):
        than = f"longer than {source.bound / 1000:.3g} s"
        return Wording(f"takes {than}", "more often", "less often", "points", f"took {than}")
    if source.name.endswith("_usd"):
        than = f"more than ${source.bound:.3g}"
        return Wording(f"costs {than}", "more often", "less often", "points", f"cost {than}")
    return None


def _difference(each: MetricTests) -> IntervalEstimate | None:
    steps = [step for step in each.steps.values() if step.canary.calls and step.stable.calls]
    return stratified_difference(steps) if steps and each.metric.kind != "ratio" else None


def remaining_calls(tests: RolloutTests, each: MetricTests, step: int) -> float | None:
    """Further calls of both arms until the metric is not worse, if they go on as they have; None: never.

    ``step``: the present one. What a forecast goes by fills in for calls that are not there yet.
    """
    ratio, alpha = each.metric.kind == "ratio", tests.plan.alpha.promote
    history = tests.priors.get(each.metric.name, NO_HISTORY)
    stable, canary = _mean_ranks(each) if ratio else _mean_losses(each, likely.base_rate(history))
    spread = (likely.RANK_EFFICIENCY if ratio else 1.0) * (each.metric.sample or 1.0)

    def needed(weight: float) -> float | None:
        found = calls_needed(Hypothesis.NOT_WORSE, each.not_worse.g, weight, stable, canary, alpha)
        return None if found is None else found / spread

    def seen(weight_bp: int) -> int:
        return each.steps[weight_bp].canary.calls if weight_bp in each.steps else 0

    open_share = min(1.0, 1.0 - each.not_worse.log_e / log_threshold(alpha))
    ahead = likely.steps_ahead(tests.plan, step, seen)
    found = likely.calls_through_steps(ahead, needed, max(0.0, open_share))
    return None if found is None else max(1.0, found)


def _mean_losses(each: MetricTests, base_rate: float) -> tuple[float, float]:
    """Mean losses of stable and of the canary, which is expected to be like stable."""
    n_c, sum_c, n_s, sum_s = each.sums
    stable = likely.shrunk_mean(sum_s, n_s, base_rate)
    return stable, likely.shrunk_mean(sum_c, n_c, stable)


def _mean_ranks(each: MetricTests) -> tuple[float, float]:
    """Mean ranks; what the margin takes off the canary's is in the losses of ``not_worse`` alone."""
    total = sum(step.stable.total for step in each.steps.values())
    within = each.not_worse.total - total
    alike = likely.expected_rank(each.seen, each.metric.margin)
    return likely.shrunk_mean(total, each.stable_calls, 0.5), likely.shrunk_mean(
        within, each.canary_calls, alike
    )


def _silent_guards(tests: RolloutTests, rollout: Rollout) -> tuple[str, ...]:
    """Guards that have had calls enough and not one value of the canary's."""
    steps = tests.plan.steps
    least = steps[rollout.step].min_canary if rollout.step < len(steps) else 0
    return tuple(
        name
        for window_group in tests.window_groups
        for name, each in window_group.metrics.items()
        if each.metric.role in ("guard", "hard") and _no_value(window_group, each, least or _MIN_DUE_CALLS)
    )


def _no_value(window_group: WindowGroup, each: MetricTests, least: int) -> bool:
    sampled = each.metric.sample is not None
    due = each.missing_counts[0] if sampled else window_group.canary_calls
    return each.canary_calls == 0 and due >= least
