"""Every answer of an eval, case by case with the versions side by side: in a terminal, in HTML, as CSV."""

from collections.abc import Iterator, Sequence

from promptops.cli.reports.cases import (
    CaseAnswer,
    CaseReport,
    first_failed_trial,
    inputs_line,
    trial_answer,
    trial_failures,
)
from promptops.cli.reports.eval.answer_columns import answer_lines
from promptops.cli.reports.eval.view import side_role
from promptops.console import StyledLine
from promptops.escapes import escape_line
from promptops.evaluation.result import CaseResult, EvalResult
from promptops.reports.answers_csv import AnswerCells, AnsweredCase, answers_csv
from promptops.reports.numbers import pluralize
from promptops.reports.texts import value_text


def answered_cases(result: EvalResult) -> list[CaseReport]:
    """The listed cases in the order of the golden set, each with one answer of every side.

    Of several trials the first that failed is shown where the case failed, else the first.
    """
    titles = [side_role(index, result) or side.label for index, side in enumerate(result.sides)]
    return [
        CaseReport(
            name=sides[0].case_id,
            tags=sides[0].tags,
            inputs=sides[0].inputs,
            expected=sides[0].expected,
            answers=tuple(_answer(title, case) for title, case in zip(titles, sides, strict=True)),
        )
        for sides in zip(*result.cases, strict=True)
        if all(case.trials for case in sides)
    ]


def _answer(title: str, case: CaseResult) -> CaseAnswer:
    trial = case.trials[0] if case.passed else first_failed_trial(case)
    trials = len(case.trials)
    passed = sum(each.passed for each in case.trials)
    shown = f"{title}, {passed} of {trials} trials passed" if trials > 1 else title
    failures = () if case.passed else tuple(trial_failures(trial))
    return CaseAnswer(shown, trial_answer(trial), case.passed, failures)


def sides_differ(case: CaseReport) -> bool:
    """Whether some sides passed the case and others failed it."""
    return len({answer.passed for answer in case.answers}) > 1


# ---- terminal


def answers_lines(result: EvalResult, width: int, *, marks: bool = True) -> Iterator[StyledLine]:
    """``marks``: where no colours say which words differ from those of the first side."""
    cases = answered_cases(result)
    yield []
    yield [(f"answers to {pluralize(len(cases), 'case')}", "bold"), (_differing(result, cases), "dim")]
    for case in cases:
        yield []
        yield from _case_lines(case, width, marks=marks)
    if result.unlisted:
        yield []
        yield [(f"and {pluralize(result.unlisted, 'case')} not listed: promptops runs list", "dim")]


def _differing(result: EvalResult, cases: Sequence[CaseReport]) -> str:
    if len(result.sides) == 1:
        return ""
    said = sum(len({answer.text for answer in case.answers}) > 1 for case in cases)
    judged = sum(map(sides_differ, cases))
    return f": {said:,} answered differently, {judged:,} passed by some only"


def _case_lines(case: CaseReport, width: int, *, marks: bool) -> Iterator[StyledLine]:
    name = escape_line(case.name, width // 2)
    tags = escape_line(", ".join(case.tags), width - len(name) - 2)
    yield [(name, "bold"), (f"  {tags}".rstrip(), "dim")]
    if case.inputs:
        yield [(f"    {inputs_line(case.inputs, width - 4)}", "dim")]
    if case.expected is not None:
        yield [("    expected ", "dim"), (escape_line(value_text(case.expected), width - 13), "")]
    yield from answer_lines(case.answers, width, marks=marks)


# ---- CSV


def render_eval_csv(result: EvalResult) -> str:
    """A row for each listed case: inputs, what is expected, and each side's result, answer and failures."""
    cases = (
        AnsweredCase(
            name=case.name,
            tags=case.tags,
            inputs={name: value_text(value) for name, value in case.inputs.items()},
            expected="" if case.expected is None else value_text(case.expected),
            answers=[AnswerCells(answer.passed, answer.text, answer.failures) for answer in case.answers],
        )
        for case in answered_cases(result)
    )
    return answers_csv([side.label for side in result.sides], cases)
