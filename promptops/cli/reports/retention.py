"""What of inputs and answers a report may hold: no more than the log, as reports are files and comments.

What is printed on a terminal is not a file: it shows what was answered a moment ago.
"""

from dataclasses import replace

from promptops.config.settings import LogSettings
from promptops.evaluation.result import CaseFlip, CaseResult, EvalResult, TrialResult
from promptops.evaluation.shadow.pair import ShadowAnswer, ShadowPair
from promptops.evaluation.shadow.result import ShadowComparison
from promptops.registry import without_quotes


def without_unkept_texts(result: EvalResult, log: LogSettings) -> EvalResult:
    """An eval's result as it may be written to a file."""
    if log.inputs == log.outputs == "full":
        return result
    cases = tuple(tuple(_case(case, log) for case in side) for side in result.cases)
    compared = result.comparison
    if compared is not None:
        broke, fixed = (
            tuple(_flip(flip, log) for flip in flips) for flips in (compared.broke, compared.fixed)
        )
        compared = replace(compared, broke=broke, fixed=fixed)
    return replace(result, cases=cases, comparison=compared)


def comparison_without_unkept_texts(comparison: ShadowComparison, log: LogSettings) -> ShadowComparison:
    """A shadow run's result as it may be written to a file."""
    if log.inputs == log.outputs == "full":
        return comparison
    broke, fixed, changed = (
        tuple(_pair(pair, log) for pair in pairs)
        for pairs in (comparison.broke, comparison.fixed, comparison.changed)
    )
    reasons = tuple((where, without_quotes(why, log)) for where, why in comparison.left.reasons)
    left = replace(comparison.left, reasons=reasons)
    return replace(comparison, broke=broke, fixed=fixed, changed=changed, left=left)


def _case(case: CaseResult, log: LogSettings) -> CaseResult:
    case = replace(case, trials=tuple(_trial(trial, log) for trial in case.trials))
    return case if log.inputs == "full" else replace(case, inputs={}, expected=None)


def _flip(flip: CaseFlip, log: LogSettings) -> CaseFlip:
    flip = replace(flip, control=_trial(flip.control, log), candidate=_trial(flip.candidate, log))
    return flip if log.inputs == "full" else replace(flip, inputs={}, expected=None)


def _trial(trial: TrialResult, log: LogSettings) -> TrialResult:
    output = trial.output if log.outputs == "full" else None
    return replace(trial, output=output, failed=_names(trial.failed))


def _pair(pair: ShadowPair, log: LogSettings) -> ShadowPair:
    pair = replace(pair, control=_answer(pair.control, log), candidate=_answer(pair.candidate, log))
    return pair if log.inputs == "full" else replace(pair, inputs={})


def _answer(answer: ShadowAnswer, log: LogSettings) -> ShadowAnswer:
    output = answer.output if log.outputs == "full" else None
    return replace(answer, output=output, message="", failed=_names(answer.failed))


def _names(failures: tuple[str, ...]) -> tuple[str, ...]:
    """Which checks failed, without why: that may quote what is not kept."""
    return tuple(failure.partition(": ")[0] for failure in failures)
