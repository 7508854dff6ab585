"""What every format says of an eval, in the same words and with the same digits."""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from promptops.cli.reports.numbers import (
    NO_VALUE,
    format_integer,
    format_milliseconds,
    format_p_value,
    format_percent,
    format_points,
    format_rate_interval,
    format_signed,
    format_usd,
    sign_of,
)
from promptops.console import escape, escape_line, pluralize
from promptops.evaluation.result import (
    CaseFlip,
    CaseResult,
    EvalComparison,
    EvalResult,
    Slice,
    TrialResult,
    VariantResult,
)

_MIN_INPUT_WIDTH = 24  # columns that one of many inputs gets
_STOP_TEXTS = {
    "verdict": "stopped early: the verdict was in",
    "budget": "stopped by the budget: not every case was answered",
    "interrupted": "interrupted: not every case was answered",
    "failures": "stopped as too many calls failed: not every case was answered",
}


def escape_unprintable(text: str) -> str:
    """Text with control characters, overrides of direction and lone surrogates as escapes."""
    return re.sub(r"[\ud800-\udfff]", lambda found: f"\\u{ord(found[0]):04x}", escape(text))


def single_line(text: str, limit: int | None = None) -> str:
    """Text as one line, shortened to ``limit`` characters."""
    flat = escape_unprintable(escape_line(text))
    return flat if limit is None else shorten(flat, limit)


def shorten(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: max(0, limit - 1)] + "…"


# ---- sides


@dataclass(frozen=True, slots=True)
class MetricRow:
    """One row of the table of sides. ``change`` tells how two values are held against each other."""

    name: str
    short: str
    value: Callable[[VariantResult], float | None]
    show: Callable[[float | None], str]
    change: Literal["points", "percent", "count"]
    better: Literal[1, -1]  # the sign of a change for the better

    def text(self, side: VariantResult) -> str:
        return self.show(self.value(side))

    def difference(self, control: VariantResult, candidate: VariantResult) -> float | None:
        old, new = self.value(control), self.value(candidate)
        if old is None or new is None or (self.change == "percent" and old <= 0):
            return None
        return (new - old) / (old if self.change == "percent" else 1)

    def told(self, difference: float | None) -> str:
        if difference is None:
            return ""
        if self.change == "points":
            return format_points(difference)
        if self.change == "count":
            return f"{sign_of(difference)}{abs(difference):g}" if difference else "same"
        written = f"{abs(100 * difference):.0f}"
        return "same" if written == "0" else f"{sign_of(difference)}{written} %"


def _tokens(side: VariantResult) -> int | None:
    known = [part for part in (side.input_tokens, side.output_tokens) if part is not None]
    return sum(known) if known else None


_METRICS = (
    MetricRow("pass rate", "PASSED", lambda side: side.overall.rate, format_percent, "points", 1),
    MetricRow("errors", "ERRORS", lambda side: side.errors, format_integer, "count", -1),
    MetricRow("flaky cases", "FLAKY", lambda side: side.flaky, format_integer, "count", -1),
    MetricRow("latency p50", "P50", lambda side: side.latency_p50_ms, format_milliseconds, "percent", -1),
    MetricRow("latency p95", "P95", lambda side: side.latency_p95_ms, format_milliseconds, "percent", -1),
    MetricRow("tokens", "TOKENS", _tokens, format_integer, "percent", -1),
    MetricRow(
        "tokens per passed", "TOK/PASSED", lambda side: side.tokens_per_passed, format_integer, "percent", -1
    ),
    MetricRow("cost per case", "$/CASE", lambda side: side.cost_per_case_usd, format_usd, "percent", -1),
    MetricRow(
        "cost per passed", "$/PASSED", lambda side: side.cost_per_passed_usd, format_usd, "percent", -1
    ),
    MetricRow("judge failures", "JUDGE?", lambda side: side.judge_failures, format_integer, "count", -1),
)


def metric_rows(sides: Sequence[VariantResult]) -> list[MetricRow]:
    """The rows that say anything of these sides, mean scores last."""
    scores = dict.fromkeys(name for side in sides for name in side.scores)
    known = [*_METRICS, *map(_score_row, scores)]
    if not any(side.judge_failures for side in sides):
        known = [one for one in known if one.name != "judge failures"]
    return [one for one in known if any(one.value(side) is not None for side in sides)]


def _score_row(name: str) -> MetricRow:
    said = single_line(name, 24)
    return MetricRow(
        f"{said} (mean)", said.upper(), lambda side: side.scores.get(name), _format_score, "percent", 1
    )


def _format_score(value: float | None) -> str:
    return NO_VALUE if value is None else f"{value:.3g}"


def side_role(index: int, result: EvalResult) -> str:
    """Control or candidate, where two sides are held against each other."""
    return ("control", "candidate")[index] if result.comparison and index < 2 else ""  # noqa: PLR2004


# ---- the verdict


def eval_headline(result: EvalResult) -> str:
    if result.comparison:
        return single_line(result.comparison.sentence)
    if len(result.sides) == 1:
        return _single_side_headline(result.sides[0])
    counted = [side for side in result.sides if side.overall.rate is not None]
    if not counted:
        return "no case was answered on any side"
    best = max(counted, key=lambda side: side.overall.rate or 0)
    said = f"{single_line(best.label)} passes most: {format_percent(best.overall.rate)}"
    cheap = _cheapest_comparable(best, counted)
    if cheap is best:
        return said
    price = f"{format_usd(cheap.cost_per_case_usd)} a case against {format_usd(best.cost_per_case_usd)}"
    return (
        f"{said}; {single_line(cheap.label)} may be as good: {format_percent(cheap.overall.rate)} at {price}"
    )


def _cheapest_comparable(best: VariantResult, sides: Sequence[VariantResult]) -> VariantResult:
    """The cheapest side whose interval reaches into that of the best: the smallest that does the job."""
    priced = [
        side
        for side in sides
        if side.cost_per_case_usd is not None and (side.overall.high or 0) >= (best.overall.low or 0)
    ]
    return min(priced, key=lambda side: side.cost_per_case_usd or 0, default=best)


def _single_side_headline(side: VariantResult) -> str:
    rate = side.overall
    if not rate.counted:
        return f"{single_line(side.label)}: no case was answered"
    return (
        f"{single_line(side.label)} passes {rate.passed:,} of {pluralize(rate.counted, 'case')}: "
        f"{format_percent(rate.rate)} ({format_rate_interval(rate)})"
    )


def slice_warning(result: EvalResult) -> str | None:
    """What a verdict on the whole would hide."""
    if not result.comparison or not result.comparison.worse_slices:
        return None
    names = ", ".join(single_line(name, 40) for name in result.comparison.worse_slices[:8])
    more = len(result.comparison.worse_slices) - 8
    return f"worse on {names}{f' and {more} more' if more > 0 else ''}, though the whole is not"


def eval_sample_size(result: EvalResult) -> str:
    """How much the verdict rests on."""
    trials = f" × {result.trials} trials" if result.trials > 1 else ""
    answered = f"{result.cases_run:,} of " if 0 < result.cases_run < result.cases_total else ""
    return f"{answered}{pluralize(result.cases_total, 'case')}{trials}"


def eval_notes(result: EvalResult) -> Iterator[str]:
    """What else a reader must know before believing the numbers."""
    yield from map(single_line, result.notes)
    if result.stopped:
        said = _STOP_TEXTS.get(result.stopped, f"stopped: {single_line(result.stopped)}")
        pairs = f" after {pluralize(result.comparison.pairs_used, 'pair')}" if result.comparison else ""
        yield said + pairs
    if failures := sum(side.judge_failures for side in result.sides):
        yield f"{pluralize(failures, 'answer')} of the judge could not be used and count for neither side"
    if hits := sum(side.cache_hits for side in result.sides):
        spent = [side.spent_usd for side in result.sides if side.spent_usd is not None]
        paid = f"; {format_usd(sum(spent))} spent" if spent else ""
        yield f"{pluralize(hits, 'answer')} came from the cache{paid}"


def slices_worst_first(comparison: EvalComparison) -> list[tuple[str, Slice]]:
    """The slices on which cases changed sides, each with its kind, the most harmed first."""
    known = [("tag", one) for one in comparison.tags] + [("check", one) for one in comparison.checks]
    return sorted(
        (pair for pair in known if pair[1].broke or pair[1].fixed), key=lambda pair: _harm_order(pair[1])
    )


def score_lines(comparison: EvalComparison) -> Iterator[str]:
    """How the means of checks that give a number moved, those that fell first."""
    for one in sorted(comparison.scores, key=lambda one: (one.difference, one.p_adjusted)):
        yield (
            f"{single_line(one.name, 40)} scores {one.control:.3g} -> {one.candidate:.3g} on average: "
            f"{format_signed(one.difference)} ({format_signed(one.low)} to {format_signed(one.high)}), "
            f"adjusted p {format_p_value(one.p_adjusted)}"
        )


def _harm_order(one: Slice) -> tuple[float, float]:
    return one.difference, one.p_adjusted


# ---- cases


def flaky_cases(result: EvalResult) -> list[tuple[CaseResult, list[str]]]:
    """Cases that both passed and failed, with "2/3" or "" for each side."""
    first: dict[str, CaseResult] = {}
    rates: dict[str, list[str]] = {}
    for index, cases in enumerate(result.cases):
        for case in cases:
            if case.flaky:
                first.setdefault(case.case_id, case)
                row = rates.setdefault(case.case_id, [""] * len(result.cases))
                row[index] = f"{sum(trial.passed for trial in case.trials)}/{len(case.trials)}"
    return [(case, rates[name]) for name, case in first.items()]


def failed_cases(result: EvalResult) -> list[tuple[CaseResult, TrialResult]]:
    """Of a side on its own: each failed case with a trial that shows it, errors first."""
    if len(result.cases) != 1:
        return []
    found = [(case, first_failed_trial(case)) for case in result.cases[0] if not case.passed and case.trials]
    return sorted(found, key=lambda pair: pair[1].error is None)


def first_failed_trial(case: CaseResult) -> TrialResult:
    return next((trial for trial in case.trials if not trial.passed), case.trials[0])


def trial_failures(trial: TrialResult) -> list[str]:
    """Why a trial did not pass."""
    return [*([f"error: {trial.error}"] if trial.error else []), *trial.failed]


def trial_answer(trial: TrialResult) -> str:
    if trial.output is not None:
        return trial.output
    return f"(no answer: {trial.error})" if trial.error else "(no answer)"


def value_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def eval_inputs_line(inputs: Mapping[str, Any], limit: int) -> str:
    """Inputs on one line; of many long ones, the start of each."""
    texts = [
        f"{single_line(name, 30)}={single_line(value_text(value), limit)}" for name, value in inputs.items()
    ]
    spare = limit - 2 * (len(texts) - 1)
    while sum(map(len, texts)) > spare and len(longest := max(texts, key=len)) > _MIN_INPUT_WIDTH:
        others = sum(map(len, texts)) - len(longest)
        texts[texts.index(longest)] = single_line(
            longest, max(_MIN_INPUT_WIDTH, min(len(longest) - 1, spare - others))
        )
    return shorten("  ".join(texts), limit)


def differing_excerpts(flip: CaseFlip, limit: int) -> tuple[str, str]:
    """Both answers on a line each, from shortly before the place where they part."""
    old, new = single_line(trial_answer(flip.control)), single_line(trial_answer(flip.candidate))
    same = next((i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), 0)
    start = same - limit // 3 if max(len(old), len(new)) > limit and same > limit // 2 else 0
    return (
        single_line(f"…{old[start:]}" if start else old, limit),
        single_line(f"…{new[start:]}" if start else new, limit),
    )
