"""How two versions differ in what they answer: the eval of the new one against the old one."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from promptops.cli.options.evaluation import build_variants, eval_exit_code, run_eval
from promptops.cli.reports.diff.data import DiffReport
from promptops.cli.reports.eval import print_result, render_result
from promptops.cli.reports.markdown import CommentSection, code_line, prose
from promptops.cli.reports.retention import report_retention, without_unkept_texts
from promptops.config.settings import Settings
from promptops.console import note, print_text
from promptops.dataclass import dataclass
from promptops.errors import PromptopsError
from promptops.evaluation.engine import DEFAULT_MARGIN, EvalOutcome, EvalRequest
from promptops.evaluation.gate import (
    NO,
    UNDECIDED,
    YES,
    EvalThresholds,
    GateDecision,
    combine_decisions,
    decide_eval,
)
from promptops.evaluation.result import EvalResult
from promptops.evaluation.variants import Variant
from promptops.runner.batch import BatchOptions
from promptops.runner.retry import Limits
from promptops.versions.changed_prompts import PromptChange

_VERDICTS = {NO: "worse", UNDECIDED: "not shown", YES: "no worse"}
_MAX_LINES = 50
_MAX_REASON = 300  # characters


@dataclass(frozen=True, slots=True)
class PairEval:
    """The eval of one pair. ``problem``: why there is none, or what ended it too early."""

    outcome: EvalOutcome | None
    problem: str = ""


class PairEvals:
    """The evals of all pairs of a diff, within one budget, held to one margin.

    ``max_cost`` is in dollars; without ``no_worse_than`` nothing is decided. What one fails of ends them all,
    and is raised by ``exit_code``, so that what is known by then can be shown.
    """

    def __init__(
        self, settings: Settings, max_cost: float | None = None, no_worse_than: float | None = None
    ) -> None:
        self._settings = settings
        self._left = max_cost
        self._thresholds = EvalThresholds(no_worse_than=no_worse_than)
        self._decisions: list[GateDecision] = []
        self._failure: PromptopsError | None = None

    def run(self, reports: Sequence[DiffReport]) -> Iterator[PairEval]:
        for one in reports:
            pair = one.review.pair
            skipped = _skip_reason(pair)
            if skipped and pair.status not in ("added", "deleted"):
                self._decide(pair, GateDecision(UNDECIDED, (f"undecided: it is not run: {skipped}",)))
            problem = "the evals ended before it" if self._failure else skipped
            done = PairEval(None, problem) if problem else self._eval(pair)
            if problem:
                note(f"{pair.name} is not run: {problem}")
            yield done

    def decision(self) -> GateDecision:
        return combine_decisions(self._decisions)

    def exit_code(self) -> int:
        """1 where a pair is worse, else 3 where one is undecided; says which. Raises what ended the evals."""
        decision = self.decision()
        for reason in decision.reasons:
            note(reason)
        if self._failure:
            raise self._failure
        return decision.code

    def _eval(self, pair: PromptChange) -> PairEval:
        margin = self._thresholds.no_worse_than
        outcome = None
        try:
            outcome = _eval_pair(pair, self._settings, self._left, margin)
            self._count(outcome)
            if eval_exit_code(outcome):
                raise KeyboardInterrupt
        except PromptopsError as error:
            self._failure = error
            return PairEval(outcome, error.message)
        self._decide(pair, decide_eval(outcome.result, self._thresholds))
        return PairEval(outcome)

    def _count(self, outcome: EvalOutcome) -> None:
        if self._left is not None:
            spent = sum(side.spent_usd or 0.0 for side in outcome.result.sides)
            self._left = max(0.0, self._left - spent)

    def _decide(self, pair: PromptChange, decision: GateDecision) -> None:
        if self._thresholds.no_worse_than is not None:
            reasons = tuple(f"{pair.name}: {reason}" for reason in decision.reasons)
            self._decisions.append(GateDecision(decision.code, reasons))


def _skip_reason(pair: PromptChange) -> str:
    if pair.old.prompt is None or pair.new.prompt is None:
        return "it is not a prompt on both sides"
    return "" if pair.new.prompt.cases else "the new version has no golden set"


def _eval_pair(
    pair: PromptChange, settings: Settings, max_cost: float | None, margin: float | None
) -> EvalOutcome:
    control, candidate = (
        _variant(side.reference, settings, arm)
        for side, arm in ((pair.old, "control"), (pair.new, "candidate"))
    )
    margin = DEFAULT_MARGIN if margin is None else margin
    request = EvalRequest(variants=(control, candidate), against=True, margin=margin)
    return run_eval(settings, BatchOptions(limits=Limits(retries=5), max_cost=max_cost), request)


def _variant(reference: str, settings: Settings, arm: str) -> Variant:
    (variant,) = build_variants([reference], settings)
    return Variant(version=variant.version, label=variant.label, overrides=variant.overrides, arm=arm)


def _as_kept(outcome: EvalOutcome, report: DiffReport, settings: Settings) -> EvalResult:
    pair = report.review.pair
    sides = (side.prompt for side in (pair.old, pair.new) if side.prompt)
    return without_unkept_texts(outcome.result, report_retention(settings, sides))


def print_evals(reports: Sequence[DiffReport], evals: PairEvals) -> None:
    for done in evals.run(reports):
        if done.outcome is not None:
            print_text("")
            print_result(done.outcome.result, "table")


def markdown_evals(
    reports: Sequence[DiffReport], settings: Settings, evals: PairEvals
) -> tuple[list[str], list[CommentSection]]:
    """For the comment of a diff: lines on what is not evaluated and what the gate decides, and the evals."""
    shown, lines = [], []
    for report, done in zip(reports, evals.run(reports), strict=True):
        name = code_line(report.review.pair.name)
        if done.problem:
            partly = " to its end" if done.outcome else ""
            lines.append(f"- {name} is not evaluated{partly}: {prose(done.problem, _MAX_REASON)}")
        if done.outcome is not None:
            text = render_result(_as_kept(done.outcome, report, settings), "markdown")
            shown.append(CommentSection(f"\n{text}", "evals", short=f"\n{name}: _too long to show here_\n"))
    decision = evals.decision()
    lines += [
        f"- **{_VERDICTS[decision.code]}**: {prose(reason, _MAX_REASON)}" for reason in decision.reasons
    ]
    more = [f"- and {len(lines) - _MAX_LINES} more"] if len(lines) > _MAX_LINES else []
    return [*lines[:_MAX_LINES], *more], shown


def attach_evals(
    reports: Sequence[DiffReport], settings: Settings, evals: PairEvals, entries: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """What ``diff --json`` says of each prompt, with ``eval`` and ``eval_problem`` beside it."""
    rows = []
    for report, entry, done in zip(reports, entries, evals.run(reports), strict=True):
        result = None
        if done.outcome is not None:
            result = json.loads(render_result(_as_kept(done.outcome, report, settings), "json"))
        rows.append({**entry, "eval": result, "eval_problem": done.problem or None})
    return rows
