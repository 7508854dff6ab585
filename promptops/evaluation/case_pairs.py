"""Cases of a golden set as pairs of a comparison, and what an eval says of it."""

from collections.abc import Sequence

from promptops.evaluation.comparison import PairedComparison, PairSide
from promptops.evaluation.result import CaseFlip, EvalComparison, ScoreSlice
from promptops.evaluation.slices import ALPHA
from promptops.evaluation.summary import (
    WEIGHTED,
    is_majority,
    results_by_check,
    trial_result,
    truncate_inputs,
)
from promptops.evaluation.trials import CaseTrials, TrialRun
from promptops.prompt.cases import expected_json
from promptops.stats.verdicts import verdict_sentence

_SCORE_WEIGHT = 1e-3  # of the severity: what checks say where as many trials passed


def add_case(comparison: PairedComparison[CaseFlip], answered: CaseTrials) -> None:
    control, candidate = map(case_side, answered.sides)
    failed_share = _failed_share(control, candidate, len(results_by_check(answered.sides[0])))
    passes, trials = abs(candidate.passed - control.passed), comparison.trials
    severity = passes / trials + _SCORE_WEIGHT * abs(failed_share) / trials
    comparison.add(
        control,
        candidate,
        tags=answered.case.tags,
        severity=severity,
        example=lambda: case_flip(answered, severity),
    )


def case_side(trials: Sequence[TrialRun]) -> PairSide:
    """Checks and scores of those checks alone that were made on every trial."""
    complete = {
        name: results for name, results in results_by_check(trials).items() if len(results) == len(trials)
    }
    values = {name: [each.value for each in results] for name, results in complete.items()}
    values[WEIGHTED] = [each.weighted for each in trials]
    return PairSide(
        passed=sum(each.passed for each in trials),
        checks={name: sum(each.passed for each in results) for name, results in complete.items()},
        scores={name: mean for name, each in values.items() if (mean := _mean_of_known(each)) is not None},
    )


def _failed_share(control: PairSide, candidate: PairSide, checks: int) -> float:
    """How many more trials fail in the candidate, over all checks."""
    common = control.checks.keys() & candidate.checks.keys()
    return sum(control.checks[name] - candidate.checks[name] for name in common) / max(checks, 1)


def _mean_of_known(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def case_flip(answered: CaseTrials, severity: float) -> CaseFlip:
    case, (control, candidate) = answered.case, answered.sides
    return CaseFlip(
        case_id=case.id,
        tags=case.tags,
        inputs=truncate_inputs(case.inputs),
        expected=expected_json(case.expected),
        control=trial_result(_representative(control)),
        candidate=trial_result(_representative(candidate)),
        loss=severity,
    )


def _with_scores(sentence: str, scores: Sequence[ScoreSlice]) -> str:
    """What is said of the passes, with the means that are shown to have fallen."""
    fell = [each.name for each in scores if each.high < 0 and each.p_adjusted <= ALPHA]
    return f"{sentence}; worse on {', '.join(fell)}" if fell else sentence


def _representative(trials: Sequence[TrialRun]) -> TrialRun:
    """The first that went as most did."""
    passed = is_majority([each.passed for each in trials])
    return next((each for each in trials if each.passed == passed), trials[0])


def eval_comparison(
    comparison: PairedComparison[CaseFlip], control: str, candidate: str, *, at_end: bool
) -> EvalComparison:
    """``at_end``: all cases are in, also where one might have stopped before."""
    details, within_margin = comparison.verdict(control, candidate)
    slices = comparison.slices(at_end=at_end)
    return EvalComparison(
        verdict=str(details.verdict),
        sentence=_with_scores(verdict_sentence(details), slices.scores),
        margin=comparison.margin,
        within_margin=within_margin,
        whole=slices.whole,
        tags=slices.tags,
        checks=slices.checks,
        scores=slices.scores,
        worse_slices=slices.worse_slices,
        worse_checks=slices.worse_checks,
        thin_slices=slices.thin,
        broke=comparison.regressed.worst_first(),
        fixed=comparison.improved.worst_first(),
        pairs_used=slices.whole.pairs,
        e_values=comparison.evidence.e_values if comparison.evidence else {},
    )
