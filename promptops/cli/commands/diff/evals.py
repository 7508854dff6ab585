"""How two versions differ in what they answer: the eval of the new one against the old one."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from promptops.cli.options.evaluation import contenders_of, evaluated, failure_of
from promptops.cli.reports.diff.data import Told
from promptops.cli.reports.eval import print_result, render_result
from promptops.config.settings import Settings
from promptops.console import note, print_text
from promptops.evaluation.engine import Outcome, Request
from promptops.evaluation.variants import Contender
from promptops.runner.batch import Options
from promptops.runner.retry import Limits
from promptops.versions.changed_prompts import Pair


def run_pairs(told: Sequence[Told], settings: Settings) -> Iterator[Outcome | None]:
    """The eval of each pair of versions; None where there is nothing to compare, which is said."""
    for one in told:
        pair = one.review.pair
        reason = _hindrance(pair)
        if reason:
            note(f"{pair.name} is not run: {reason}")
        yield None if reason else _evaluated(pair, settings)


def _hindrance(pair: Pair) -> str:
    if pair.old.prompt is None or pair.new.prompt is None:
        return "it is no prompt on both sides"
    return "" if pair.new.prompt.cases else "the new version has no golden set"


def _evaluated(pair: Pair, settings: Settings) -> Outcome:
    control, candidate = (
        _contender(side.reference, settings, arm)
        for side, arm in ((pair.old, "control"), (pair.new, "candidate"))
    )
    request = Request(contenders=(control, candidate), against=True)
    return evaluated(settings, Options(limits=Limits(retries=5)), request)


def _contender(reference: str, settings: Settings, arm: str) -> Contender:
    (found,) = contenders_of([reference], settings)
    return Contender(version=found.version, label=found.label, overrides=found.overrides, arm=arm)


def print_evals(told: Sequence[Told], settings: Settings, *, markdown: bool) -> None:
    for outcome in run_pairs(told, settings):
        if outcome is not None:
            print_text("")
            print_result(outcome.result, "markdown" if markdown else "table")
            _pass_on(outcome)


def with_evals(
    told: Sequence[Told], settings: Settings, entries: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """What ``diff --json`` says of each prompt, with ``eval`` beside it."""
    found = []
    for entry, outcome in zip(entries, run_pairs(told, settings), strict=True):
        result = None if outcome is None else json.loads(render_result(outcome.result, "json"))
        if outcome is not None:
            _pass_on(outcome)
        found.append({**entry, "eval": result})
    return found


def _pass_on(outcome: Outcome) -> None:
    if failure_of(outcome):
        raise KeyboardInterrupt
