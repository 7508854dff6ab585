"""Answers of several versions as CSV: a row for each case, three columns for each version."""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence

from promptops.dataclass import dataclass
from promptops.escapes import escape_formula


@dataclass(frozen=True, slots=True)
class AnswerCells:
    """One version's answer to a case."""

    passed: bool
    text: str
    failures: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AnsweredCase:
    """One case with the answer of each version."""

    name: str
    tags: Sequence[str] = ()
    inputs: Mapping[str, str]
    expected: str = ""
    answers: Sequence[AnswerCells]


def answers_csv(labels: Sequence[str], cases: Iterable[AnsweredCase]) -> str:
    """CSV as RFC 4180 has it, safe to open in a spreadsheet."""
    rows = list(cases)
    inputs = list(dict.fromkeys(name for case in rows for name in case.inputs))
    file = io.StringIO()
    table = csv.writer(file)
    table.writerow(map(escape_formula, ["case", "tags", *inputs, "expected", *_columns(labels)]))
    for case in rows:
        given = (case.inputs.get(name, "") for name in inputs)
        answers = (text for answer in case.answers for text in _cells(answer))
        table.writerow(
            map(escape_formula, [case.name, ", ".join(case.tags), *given, case.expected, *answers])
        )
    return file.getvalue()


def _columns(labels: Sequence[str]) -> Iterator[str]:
    for label in labels:
        yield from (f"{label} result", f"{label} answer", f"{label} failures")


def _cells(answer: AnswerCells) -> tuple[str, str, str]:
    return "passed" if answer.passed else "failed", answer.text, "; ".join(answer.failures)
