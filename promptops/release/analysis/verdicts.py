"""From tests to findings: verdicts, what harm is attributed to, sentences. Pure."""

from collections.abc import Mapping
from typing import Any

from promptops.release.analysis import priors as likely
from promptops.release.analysis.confidence_bounds import Bounds
from promptops.release.analysis.findings import MetricFinding
from promptops.release.analysis.metric_tests import MetricTests, RolloutTests, WindowGroup
from promptops.release.plan.types import PlanMetric
from promptops.stats import verdicts
from promptops.stats.eprocess import Hypothesis, log_threshold
from promptops.stats.forecast import calls_needed
from promptops.stats.intervals import Interval, IntervalEstimate
from promptops.stats.stratified import stratified_difference
from promptops.stats.verdicts import VerdictDetails, Wording, decide_verdict, verdict_sentence
from promptops.versions.release_state import Rollout

_MIN_DUE_CALLS = 50  # canary calls that were due before a guard without any value is called silent
_WORDINGS: Mapping[str, Wording] = {
    "run.error": verdicts.ERRORS_WORDING,
    "run.latency_ms": verdicts.LATENCY_WORDING,
    "run.cost_usd": verdicts.COST_WORDING,
    "run.cost_list_usd": verdicts.COST_WORDING,
    "run.truncated": Wording("is cut off", "more often", "less often", "points"),
    "outcome.correct": verdicts.WRONG_ANSWER_WORDING,
    "outcome.thumbs": Wording("is disliked", "more often", "less often", "points"),
}


def evaluate_metrics(
    tests: RolloutTests, rollout: Rollout, subject: str, against: str, bounds: Mapping[str, Bounds]
) -> dict[str, Any]:
    """The fields of Findings that rest on the tests alone."""
    harm = harmful_guards(tests)
    weight = likely.final_step_weight(tests.plan)
    metrics = tuple(
        _metric_finding(
            tests, tests.of(metric.name)[1], metric.name in harm, weight, subject, against, bounds
        )
        for metric in tests.plan.metrics
    )
    return {
        "metrics": metrics,
        "harm": harm,
        "hard": tuple(each.metric.name for each in metrics if each.hard),
        "signals": tuple(each.metric.name for each in metrics if each.metric.role == "signal" and each.worse),
        "silent": _silent_guards(tests, rollout),
    }


def harmful_guards(tests: RolloutTests) -> tuple[str, ...]:
    """Guards to which a rollback is attributed; where no one alone is, the strongest of the group."""
    groups = [lane.group for lane in tests.window_groups if lane.group]
    found: list[str] = []
    for group in groups:
        if not group.rejects(tests.plan.alpha.rollback, len(groups)):
            continue
        evidence = group.attribution()
        threshold = log_threshold(tests.plan.alpha.rollback / len(groups))
        alone = [name for name, log_e in evidence.items() if log_e >= threshold]
        found += alone or list(group.at_highest and [max(group.at_highest, key=group.at_highest.__getitem__)])
    return tuple(found)


def _metric_finding(
    tests: RolloutTests,
    each: MetricTests,
    harmful_: bool,
    weight: float,
    subject: str,
    against: str,
    bounds: Mapping[str, Bounds],
) -> MetricFinding:
    metric, alpha = each.metric, tests.plan.alpha
    guard = metric.role in ("guard", "hard")
    worse = harmful_ or each.hard or (not guard and each.worse.rejects(alpha.rollback))
    not_worse, better = each.not_worse.rejects(alpha.promote), each.better.rejects(alpha.promote)
    said = decide_verdict(worse=worse, not_worse=not_worse, better=better)
    known = bounds.get(metric.name)
    shown = (
        _tighten_bounds(known.interval, metric, worse=worse, not_worse=not_worse, better=better)
        if known
        else None
    )
    n_c, sum_c, n_s, sum_s = each.sums
    finding = VerdictDetails(
        said,
        subject,
        against,
        metric_wording(metric),
        shown,
        each.not_worse.calls,
        metric.margin,
        1 - alpha.promote,
    )
    return MetricFinding(
        metric=metric,
        verdict=said,
        worse=worse,
        not_worse=not_worse,
        better=better,
        log_e_worse=each.worse.log_e,
        log_e_not_worse=each.not_worse.log_e,
        log_e_better=each.better.log_e,
        canary_calls=each.canary_calls,
        stable_calls=each.stable_calls,
        canary_mean=sum_c / n_c if n_c else None,
        stable_mean=sum_s / n_s if n_s else None,
        bounds=shown,
        difference=_difference(each),
        canary_missing=each.missing_counts[0],
        stable_missing=each.missing_counts[1],
        unequal_missing=_missing_matters(metric) and each.is_missing_unequal(alpha.srm),
        late=each.late,
        hard=each.hard,
        calls_needed=None if not_worse else remaining_calls(each, weight, alpha.promote),
        sentence=_hard_sentence(metric, subject) if each.hard else verdict_sentence(finding),
        trail=known.trail if known else (),
    )


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
    if metric.kind != "ratio" and metric.source.startswith("check"):
        return verdicts.CHECKS_WORDING
    if metric.kind == "score":
        return verdicts.SCORE_WORDING
    if found := _WORDINGS.get(metric.source):
        return found
    if metric.kind == "ratio":
        return Wording(f"uses, in {metric.name},", "more", "less", "percent")
    return Wording(f"does badly in {metric.name}", "more often", "less often", "points")


def _difference(each: MetricTests) -> IntervalEstimate | None:
    steps = [step for step in each.steps.values() if step.canary.calls and step.stable.calls]
    return stratified_difference(steps) if steps and each.metric.kind != "ratio" else None


def remaining_calls(each: MetricTests, weight: float, alpha: float) -> float | None:
    """Further calls of both arms until the metric is not worse, if they go on as they have; None: never.

    What a forecast goes by fills in for calls that are not there yet.
    """
    ratio = each.metric.kind == "ratio"
    stable, canary = _mean_ranks(each) if ratio else _mean_losses(each)
    in_all = calls_needed(Hypothesis.NOT_WORSE, each.not_worse.g, weight, stable, canary, alpha)
    if in_all is None:
        return None
    done = each.not_worse.log_e / log_threshold(alpha)
    spread = (likely.RANK_EFFICIENCY if ratio else 1.0) * (each.metric.sample or 1.0)
    return max(1.0, in_all / spread * min(1.0, 1.0 - done))


def _mean_losses(each: MetricTests) -> tuple[float, float]:
    """Mean losses of stable and of the canary, which is expected to be like stable."""
    n_c, sum_c, n_s, sum_s = each.sums
    stable = likely.shrunk_mean(sum_s, n_s, likely.base_rate(each.not_worse.prior))
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
        for lane in tests.window_groups
        for name, each in lane.metrics.items()
        if each.metric.role in ("guard", "hard") and _no_value(lane, each, least or _MIN_DUE_CALLS)
    )


def _no_value(lane: WindowGroup, each: MetricTests, least: int) -> bool:
    sampled = each.metric.sample is not None
    due = each.missing_counts[0] if sampled else lane.canary_calls
    return each.canary_calls == 0 and due >= least
