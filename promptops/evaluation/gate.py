"""Whether a comparison says yes: its exit code, with the reasons. Pure."""

from collections.abc import Iterable

from promptops.dataclass import dataclass
from promptops.evaluation.result import EvalResult, VariantResult
from promptops.evaluation.shadow.result import MetricComparison, ShadowComparison

YES, NO, UNDECIDED = 0, 1, 3


@dataclass(frozen=True, slots=True)
class EvalThresholds:
    """What was asked for; nothing asked for means that no case may fail.

    ``undecided_ok``: of ``no_worse_than``, only what is worse is a no.
    """

    fail_under: float | None = None
    no_worse_than: float | None = None
    undecided_ok: bool = False


@dataclass(frozen=True, slots=True)
class GateDecision:
    code: int
    reasons: tuple[str, ...] = ()


def combine_decisions(decisions: Iterable[GateDecision]) -> GateDecision:
    """No beats undecided, undecided beats yes; the reasons are of those that decide."""
    made = list(decisions)
    code = next((code for code in (NO, UNDECIDED) if any(each.code == code for each in made)), YES)
    return GateDecision(code, tuple(reason for each in made if each.code == code for reason in each.reasons))


def decide_eval(result: EvalResult, thresholds: EvalThresholds) -> GateDecision:
    decisions = [*_check_pass_rate(result, thresholds), *_check_margin(result, thresholds)]
    return combine_decisions(decisions or [_check_no_failures(result)])


def decide_shadow(comparison: ShadowComparison) -> GateDecision:
    """No where it is worse, or goes unanswered more often; yes where it is shown not to be worse."""
    primary = comparison.questions[0]
    quality = _decide_margin(primary.verdict, primary.sentence, within_margin=primary.not_worse)
    silences = (GateDecision(NO, (each.sentence,)) for each in comparison.questions if _is_silence(each))
    passes = primary.name == "judge" or primary.control is None or primary.control < 1.0
    nothing = _check_control(passes, primary.verdict)
    return combine_decisions([quality, *silences, *nothing, *_check_checks(comparison.worse_checks)])


def _check_control(passes: bool, verdict: str) -> list[GateDecision]:
    """Undecided where the control passes nothing, and so could not be worse: it is not a yardstick."""
    if passes or verdict == "better":
        return []
    return [
        GateDecision(UNDECIDED, ("the control passes nothing, so nothing can be worse: do the checks fit?",))
    ]


def _check_checks(worse: tuple[str, ...]) -> list[GateDecision]:
    return [GateDecision(NO, (f"worse on the check {name}",)) for name in worse]


def _is_silence(metric: MetricComparison) -> bool:
    return metric.name == "unanswered" and metric.verdict == "worse" and not metric.not_worse


def candidate_sides(result: EvalResult) -> tuple[VariantResult, ...]:
    return result.sides[1:] if result.comparison else result.sides


def _check_pass_rate(result: EvalResult, thresholds: EvalThresholds) -> list[GateDecision]:
    """Of several versions to choose from, one that does the job is enough."""
    least = thresholds.fail_under
    if least is None:
        return []
    best = max(candidate_sides(result), key=lambda side: side.overall.rate or 0.0)
    rate = best.overall.rate or 0.0
    if rate >= least:
        return [GateDecision(YES)]
    return [
        GateDecision(NO, (f"{best.label} passes {rate:.1%} of the cases, and --fail-under is {least:.1%}",))
    ]


def _check_margin(result: EvalResult, thresholds: EvalThresholds) -> list[GateDecision]:
    compared = result.comparison
    if thresholds.no_worse_than is None or compared is None:
        return []
    decision = _decide_margin(compared.verdict, compared.sentence, within_margin=compared.within_margin)
    if decision.code == UNDECIDED and thresholds.undecided_ok:
        decision = GateDecision(YES)
    control, candidate = (side.overall.passed > 0 for side in result.sides[:2])
    passes = control or not compared.pairs_used or (candidate and thresholds.undecided_ok)
    nothing = _check_control(passes, compared.verdict)
    return [decision, *nothing, *_check_checks(compared.worse_checks)]


def _decide_margin(verdict: str, sentence: str, *, within_margin: bool) -> GateDecision:
    if within_margin:
        return GateDecision(YES)
    if verdict == "worse":
        return GateDecision(NO, (sentence,))
    return GateDecision(UNDECIDED, (f"undecided: {sentence}",))


def _check_no_failures(result: EvalResult) -> GateDecision:
    """Where several versions are on offer the table is the answer."""
    sides = candidate_sides(result)
    failed = [side for side in sides if side.overall.passed < side.overall.counted]
    if not failed or len(sides) > 1:
        return GateDecision(YES)
    overall = failed[0].overall
    return GateDecision(NO, (f"{overall.counted - overall.passed:,} of {overall.counted:,} cases failed",))
