"""Cases by versions, as pages show them: of an eval, and of a shadow run."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from promptops.dataclass import dataclass
from promptops.evaluation.result import CaseResult
from promptops.evaluation.shadow.pair import ShadowAnswer, ShadowPair
from promptops.evaluation.stored_answers import StoredAnswers
from promptops.reports.answers_csv import AnswerCells, AnsweredCase, answers_csv
from promptops.reports.texts import value_text

_MAX_CELLS = 80  # of one page, so that it stays below 300 KB
_MIN_ROWS, _MAX_ROWS = 5, 40


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerCell:
    """One version's answer to a case. ``note``: trials, where there were several."""

    run_id: str
    passed: bool
    text: str
    failures: Sequence[str]
    latency_ms: float | None
    cost_usd: float | None
    note: str = ""


@dataclass(frozen=True, slots=True)
class AnswerRow:
    name: str
    inputs: Mapping[str, Any]
    cells: Sequence[AnswerCell]

    @property
    def given(self) -> list[tuple[str, str]]:
        return [(name, value_text(value)) for name, value in self.inputs.items()]

    @property
    def differs(self) -> bool:
        """Whether some versions passed the case and others failed it."""
        return len({cell.passed for cell in self.cells}) > 1

    @property
    def failed(self) -> bool:
        return not all(cell.passed for cell in self.cells)


FILTERS: Mapping[str, Callable[[AnswerRow], bool]] = {
    "all": lambda _: True,
    "differ": lambda row: row.differs,
    "failed": lambda row: row.failed,
}
ORDERS: Mapping[str, Callable[[AnswerRow], Any]] = {
    "differ": lambda row: (not row.differs, not row.failed),
    "case": lambda row: row.name,
    "slowest": lambda row: -max((cell.latency_ms or 0.0 for cell in row.cells), default=0.0),
    "dearest": lambda row: -max((cell.cost_usd or 0.0 for cell in row.cells), default=0.0),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerPage:
    """What one page shows of a table. ``total``: rows that the filter leaves."""

    rows: Sequence[AnswerRow]
    total: int
    number: int
    pages: int


@dataclass(frozen=True, slots=True)
class AnswerTable:
    labels: Sequence[str]
    rows: Sequence[AnswerRow]

    def counts(self) -> dict[str, int]:
        """How many rows each filter leaves."""
        return {name: sum(map(chosen, self.rows)) for name, chosen in FILTERS.items()}

    def passed(self) -> list[int]:
        """Of each version, the cases that it passed."""
        return [sum(row.cells[place].passed for row in self.rows) for place in range(len(self.labels))]

    def page(self, *, show: str, order: str, number: int) -> AnswerPage:
        rows = sorted(filter(FILTERS[show], self.rows), key=ORDERS[order])
        size = min(_MAX_ROWS, max(_MIN_ROWS, _MAX_CELLS // max(1, len(self.labels))))
        pages = max(1, -(-len(rows) // size))
        number = min(number, pages)
        return AnswerPage(
            rows=rows[(number - 1) * size : number * size], total=len(rows), number=number, pages=pages
        )

    def csv(self) -> str:
        return answers_csv(
            self.labels,
            (
                AnsweredCase(
                    name=row.name,
                    inputs=dict(row.given),
                    answers=[AnswerCells(cell.passed, cell.text, cell.failures) for cell in row.cells],
                )
                for row in self.rows
            ),
        )


def eval_table(answers: StoredAnswers) -> AnswerTable:
    roles = [f"{side.arm}: {side.label}" if side.arm else side.label for side in answers.sides]
    rows = [
        AnswerRow(case[0].case_id, case[0].inputs, [_case_cell(side) for side in case])
        for case in answers.cases
    ]
    return AnswerTable(roles, rows)


def _case_cell(case: CaseResult) -> AnswerCell:
    """Of several trials one that failed where the case did."""
    trial = next((each for each in case.trials if each.passed == case.passed), case.trials[0])
    passed = sum(each.passed for each in case.trials)
    several = f"{passed} of {len(case.trials)} trials" if len(case.trials) > 1 else ""
    return AnswerCell(
        run_id=trial.run_id,
        passed=case.passed,
        text=_text(trial.output, trial.error),
        failures=() if case.passed else trial.failed,
        latency_ms=trial.latency_ms,
        cost_usd=trial.cost_usd,
        note=several,
    )


def shadow_table(labels: Sequence[str], pairs: Sequence[ShadowPair]) -> AnswerTable:
    named = [f"{arm}: {label}" for arm, label in zip(("control", "candidate"), labels, strict=True)]
    rows = [
        AnswerRow(
            f"pair {pair.number}", pair.inputs, [_shadow_cell(pair.control), _shadow_cell(pair.candidate)]
        )
        for pair in pairs
    ]
    return AnswerTable(named, rows)


def _shadow_cell(answer: ShadowAnswer) -> AnswerCell:
    return AnswerCell(
        run_id=answer.run_id,
        passed=answer.passed,
        text=_text(answer.output, answer.error),
        failures=answer.problems,
        latency_ms=answer.latency_ms,
        cost_usd=answer.cost_usd,
    )


def _text(output: str | None, error: str | None) -> str:
    if output is not None:
        return output
    return f"(no answer: {error})" if error else "(not kept)"
