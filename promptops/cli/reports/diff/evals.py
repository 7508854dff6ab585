"""How two versions differ in what they answer: the eval of the new one against the old one."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from promptops.cli.options.evaluation import build_variants, eval_exit_code, run_eval
from promptops.cli.reports.diff.data import DiffReport
from promptops.cli.reports.eval import print_result, render_result
from promptops.cli.reports.retention import report_retention, without_unkept_texts
from promptops.config.settings import Settings
from promptops.console import note, print_text
from promptops.evaluation.engine import EvalOutcome, EvalRequest
from promptops.evaluation.result import EvalResult
from promptops.evaluation.variants import Variant
from promptops.runner.batch import BatchOptions
from promptops.runner.retry import Limits
from promptops.versions.changed_prompts import PromptChange


def run_pair_evals(reports: Sequence[DiffReport], settings: Settings) -> Iterator[EvalOutcome | None]:
    """The eval of each pair of versions; None where there is nothing to compare, which is said."""
    for one in reports:
        pair = one.review.pair
        reason = _skip_reason(pair)
        if reason:
            note(f"{pair.name} is not run: {reason}")
        yield None if reason else _eval_pair(pair, settings)


def _skip_reason(pair: PromptChange) -> str:
    if pair.old.prompt is None or pair.new.prompt is None:
        return "it is not a prompt on both sides"
    return "" if pair.new.prompt.cases else "the new version has no golden set"


def _eval_pair(pair: PromptChange, settings: Settings) -> EvalOutcome:
    control, candidate = (
        _variant(side.reference, settings, arm)
        for side, arm in ((pair.old, "control"), (pair.new, "candidate"))
    )
    request = EvalRequest(variants=(control, candidate), against=True)
    return run_eval(settings, BatchOptions(limits=Limits(retries=5)), request)


def _variant(reference: str, settings: Settings, arm: str) -> Variant:
    (variant,) = build_variants([reference], settings)
    return Variant(version=variant.version, label=variant.label, overrides=variant.overrides, arm=arm)


def _as_kept(outcome: EvalOutcome, report: DiffReport, settings: Settings) -> EvalResult:
    pair = report.review.pair
    sides = (side.prompt for side in (pair.old, pair.new) if side.prompt)
    return without_unkept_texts(outcome.result, report_retention(settings, sides))


def print_evals(reports: Sequence[DiffReport], settings: Settings, *, markdown: bool) -> None:
    for report, outcome in zip(reports, run_pair_evals(reports, settings), strict=True):
        if outcome is not None:
            print_text("")
            if markdown:
                print_result(_as_kept(outcome, report, settings), "markdown")
            else:
                print_result(outcome.result, "table")
            _raise_failure(outcome)


def attach_evals(
    reports: Sequence[DiffReport], settings: Settings, entries: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """What ``diff --json`` says of each prompt, with ``eval`` beside it."""
    rows = []
    for report, entry, outcome in zip(reports, entries, run_pair_evals(reports, settings), strict=True):
        result = None
        if outcome is not None:
            result = json.loads(render_result(_as_kept(outcome, report, settings), "json"))
            _raise_failure(outcome)
        rows.append({**entry, "eval": result})
    return rows


def _raise_failure(outcome: EvalOutcome) -> None:
    if eval_exit_code(outcome):
        raise KeyboardInterrupt
