"""Whether an eval says yes: its exit code, with the reasons. Pure."""

from dataclasses import dataclass

from promptops.evaluation.result import EvalResult, VariantResult

YES, NO, UNDECIDED = 0, 1, 3


@dataclass(frozen=True, slots=True)
class EvalThresholds:
    """What was asked for; nothing asked for means that no case may fail."""

    fail_under: float | None = None
    no_worse_than: float | None = None


@dataclass(frozen=True, slots=True)
class EvalDecision:
    code: int
    reasons: tuple[str, ...] = ()


def decide_eval(result: EvalResult, gate: EvalThresholds) -> EvalDecision:
    """No beats undecided, undecided beats yes."""
    answers = [*_check_pass_rate(result, gate), *_check_margin(result, gate)] or [_check_no_failures(result)]
    code = next((code for code in (NO, UNDECIDED) if any(code == each for each, _ in answers)), YES)
    return EvalDecision(code, tuple(reason for each, reason in answers if each == code and reason))


def candidate_sides(result: EvalResult) -> tuple[VariantResult, ...]:
    return result.sides[1:] if result.comparison else result.sides


def _check_pass_rate(result: EvalResult, gate: EvalThresholds) -> list[tuple[int, str]]:
    """Of several versions to choose from, one that does the job is enough."""
    least = gate.fail_under
    if least is None:
        return []
    best = max(candidate_sides(result), key=lambda side: side.overall.rate or 0.0)
    found = best.overall.rate or 0.0
    if found >= least:
        return [(YES, "")]
    return [(NO, f"{best.label} passes {found:.1%} of the cases, and --fail-under is {least:.1%}")]


def _check_margin(result: EvalResult, gate: EvalThresholds) -> list[tuple[int, str]]:
    compared = result.comparison
    if gate.no_worse_than is None or compared is None:
        return []
    if compared.within_margin:
        return [(YES, "")]
    if compared.verdict == "worse":
        return [(NO, compared.sentence)]
    return [(UNDECIDED, f"undecided: {compared.sentence}")]


def _check_no_failures(result: EvalResult) -> tuple[int, str]:
    """Where several versions are on offer the table is the answer."""
    sides = candidate_sides(result)
    failed = [side for side in sides if side.overall.passed < side.overall.counted]
    if not failed or len(sides) > 1:
        return YES, ""
    overall = failed[0].overall
    return NO, f"{overall.counted - overall.passed:,} of {overall.counted:,} cases failed"
