"""What of inputs and answers a report may hold: no more than the log, as reports are files and comments.

What is printed on a terminal is not a file: it shows what was answered a moment ago.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import reduce
from typing import Any

from promptops.config.settings import LogSettings, Settings
from promptops.evaluation.result import CaseFlip, CaseResult, EvalResult, TrialResult
from promptops.evaluation.shadow.pair import ShadowAnswer, ShadowPair
from promptops.evaluation.shadow.result import ShadowComparison
from promptops.prompt import Prompt
from promptops.registry import redact_text, redact_value, without_quotes


def report_retention(settings: Settings, prompts: Iterable[Prompt]) -> LogSettings:
    """What the settings and the prompts of a report say of its texts."""
    return reduce(lambda log, prompt: log.with_prompt(prompt.log), prompts, settings.log)


def without_unkept_texts(result: EvalResult, log: LogSettings) -> EvalResult:
    """An eval's result as it may be written to a file."""
    if log.whole:
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
    if log.whole:
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
    return replace(case, inputs=_inputs(case.inputs, log), expected=_value(case.expected, log))


def _flip(flip: CaseFlip, log: LogSettings) -> CaseFlip:
    flip = replace(flip, control=_trial(flip.control, log), candidate=_trial(flip.candidate, log))
    return replace(flip, inputs=_inputs(flip.inputs, log), expected=_value(flip.expected, log))


def _trial(trial: TrialResult, log: LogSettings) -> TrialResult:
    return replace(trial, output=_output(trial.output, log), failed=_failures(trial.failed, log))


def _pair(pair: ShadowPair, log: LogSettings) -> ShadowPair:
    pair = replace(pair, control=_answer(pair.control, log), candidate=_answer(pair.candidate, log))
    return replace(pair, inputs=_inputs(pair.inputs, log))


def _answer(answer: ShadowAnswer, log: LogSettings) -> ShadowAnswer:
    message, failed = without_quotes(answer.message, log), _failures(answer.failed, log)
    return replace(answer, output=_output(answer.output, log), message=message, failed=failed)


def _inputs(inputs: Mapping[str, Any], log: LogSettings) -> Mapping[str, Any]:
    return _value(inputs, log) or {}


def _value(value: Any, log: LogSettings) -> Any:
    return redact_value(value, log) if log.inputs == "full" else None


def _output(output: str | None, log: LogSettings) -> str | None:
    return output and redact_text(output, log) if log.outputs == "full" else None


def _failures(failures: tuple[str, ...], log: LogSettings) -> tuple[str, ...]:
    """Which checks failed; why only where all that it may quote is kept."""
    if log.inputs == log.outputs == "full":
        return tuple(redact_text(failure, log) for failure in failures)
    return tuple(failure.partition(": ")[0] for failure in failures)
