"""What every format says of an eval, in the same words and with the same digits."""

from collections.abc import Callable, Iterator, Sequence
from typing import Literal

from promptops.cli.reports.cases import first_failed_trial
from promptops.cli.reports.tables import Cell, ReportTable, plain_cells
from promptops.dataclass import dataclass
from promptops.escapes import escape_line
from promptops.evaluation.result import (
    CaseResult,
    EvalComparison,
    EvalResult,
    TrialResult,
    VariantResult,
)
from promptops.reports.labels import PAIR
from promptops.reports.numbers import (
    format_integer,
    format_milliseconds,
    format_p_value,
    format_percent,
    format_percent_change,
    format_points,
    format_rate_interval,
    format_score,
    format_signed,
    format_usd,
    pluralize,
    sign_of,
)

_NEGLIGIBLE_CHANGE = 0.05
_MAX_SCORES = 30
_STOP_TEXTS = {
    "verdict": "stopped early: the verdict was in",
    "budget": "stopped by the budget: not every case was answered",
    "interrupted": "interrupted: not every case was answered",
    "failures": "stopped as too many calls failed: not every case was answered",
    "shard": "one shard of the cases: the same command without --shard judges all of them",
}


# ---- sides


@dataclass(frozen=True, slots=True)
class MetricRow:
    """One row of the table of sides. ``change``: how two values are compared."""

    name: str
    value: Callable[[VariantResult], float | None]
    show: Callable[[float | None], str]
    change: Literal["points", "percent", "count"]
    better: Literal[1, -1]  # the sign of a change for the better
    total: Callable[[VariantResult], int] | None = None  # of which it is a part

    def text(self, side: VariantResult) -> str:
        value = self.value(side)
        part = f" of {self.total(side):,}" if self.total and value is not None else ""
        return f"{self.show(value)}{part}"

    def difference(self, control: VariantResult, candidate: VariantResult) -> float | None:
        old, new = self.value(control), self.value(candidate)
        if old is None or new is None or (self.change == "percent" and old <= 0):
            return None
        return (new - old) / (old if self.change == "percent" else 1)

    def change_text(self, difference: float | None) -> str:
        if difference is None:
            return ""
        if self.change == "points":
            return format_points(difference)
        if self.change == "count":
            return f"{sign_of(difference)}{abs(difference):g}" if difference else "same"
        return format_percent_change(difference)


def _tokens(side: VariantResult) -> int | None:
    counts = [count for count in (side.input_tokens, side.output_tokens) if count is not None]
    return sum(counts) if counts else None


_METRICS = (
    MetricRow(
        "cases passed",
        lambda side: side.overall.passed if side.overall.counted else None,
        format_integer,
        "count",
        1,
        lambda side: side.overall.counted,
    ),
    MetricRow("pass rate", lambda side: side.overall.rate, format_percent, "points", 1),
    MetricRow("errors", lambda side: side.errors, format_integer, "count", -1),
    MetricRow("flaky cases", lambda side: side.flaky, format_integer, "count", -1),
    MetricRow("latency p50", lambda side: side.latency_p50_ms, format_milliseconds, "percent", -1),
    MetricRow("latency p95", lambda side: side.latency_p95_ms, format_milliseconds, "percent", -1),
    MetricRow("tokens", _tokens, format_integer, "percent", -1),
    MetricRow("tokens per passed", lambda side: side.tokens_per_passed, format_integer, "percent", -1),
    MetricRow("cost per case", lambda side: side.cost_per_case_usd, format_usd, "percent", -1),
    MetricRow("cost per passed", lambda side: side.cost_per_passed_usd, format_usd, "percent", -1),
    MetricRow("judge failures", lambda side: side.judge_failures, format_integer, "count", -1),
    MetricRow("cut off", lambda side: side.truncated, format_integer, "count", -1),
)
_ONLY_WHERE_ANY = frozenset({"judge failures", "cut off"})


_CHOICE_ORDER = {"pass rate": 0, "cost per case": 1, "latency p50": 2, "latency p95": 3}  # what decides first


def metric_rows(sides: Sequence[VariantResult]) -> list[MetricRow]:
    """The rows that say anything of these sides, mean scores last."""
    scores = [*dict.fromkeys(name for side in sides for name in side.scores)][:_MAX_SCORES]
    rows = [*_METRICS, *map(_score_row, scores)]
    rows = [row for row in rows if row.name not in _ONLY_WHERE_ANY or any(map(row.value, sides))]
    return [one for one in rows if any(one.value(side) is not None for side in sides)]


def _score_row(name: str) -> MetricRow:
    label = escape_line(name, 24)
    return MetricRow(f"{label} (mean)", lambda side: side.scores.get(name), format_score, "percent", 1)


def change_tone(metric: MetricRow, difference: float | None) -> str:
    """Whether a change is one for the better or the worse; small ones of time and money are neither."""
    if not difference or (metric.change == "percent" and abs(difference) < _NEGLIGIBLE_CHANGE):
        return ""
    return "good" if difference * metric.better > 0 else "bad"


def side_role(index: int, result: EvalResult) -> str:
    """Control or candidate, where two sides are held against each other."""
    return PAIR[index] if result.comparison and index < len(PAIR) else ""


def sides_table(result: EvalResult, most: int) -> ReportTable:
    """Two sides stand beside each other with what changed, several have a row each; the first ``most``."""
    several = len(result.sides) > len(PAIR)
    return _side_rows(result, most) if several else _side_columns(result)


def _side_columns(result: EvalResult) -> ReportTable:
    sides, change = result.sides, len(result.sides) > 1
    labels = [Cell(side.label, kind=side_role(i, result), code=True) for i, side in enumerate(sides)]
    rows = []
    for metric in metric_rows(sides):
        row = [Cell(metric.name), *(_metric_cell(metric, side) for side in sides)]
        if change:
            difference = metric.difference(*sides)
            row.append(Cell(metric.change_text(difference), tone=change_tone(metric, difference)))
        rows.append(row)
    headers = [Cell(""), *labels, *plain_cells("change") * change]
    return ReportTable(caption="Each side in numbers", headers=headers, rows=rows)


def _side_rows(result: EvalResult, most: int) -> ReportTable:
    from promptops.reports.svg import side_marker

    metrics = [metric for metric in metric_rows(result.sides) if metric.name != "tokens"]
    metrics.sort(key=lambda metric: _CHOICE_ORDER.get(metric.name, len(_CHOICE_ORDER)))
    sides, number = result.sides[:most], len(result.sides)
    rows = []
    for index, side in enumerate(sides):
        front = "★ Pareto front" if side.pareto else ""
        name = Cell(side.label, note=front, code=True, marker=side_marker(index, number))
        rows.append([name, *(_metric_cell(metric, side) for metric in metrics)])
    return ReportTable(
        caption="Each side in numbers",
        headers=plain_cells("side", *(metric.name for metric in metrics)),
        rows=rows,
        more="; ".join(
            [
                *["★ no other side is both better and cheaper"] * any(side.pareto for side in result.sides),
                *[f"and {number - most} more sides"] * (number > most),
            ]
        ),
    )


def _metric_cell(metric: MetricRow, side: VariantResult) -> Cell:
    interval = format_rate_interval(side.overall) if metric.change == "points" else ""
    return Cell(metric.text(side), note=interval)


# ---- the verdict


def eval_headline(result: EvalResult) -> str:
    if result.comparison:
        return escape_line(result.comparison.sentence)
    if len(result.sides) == 1:
        return _single_side_headline(result.sides[0])
    counted = [side for side in result.sides if side.overall.rate is not None]
    if not counted:
        return "no case was answered on any side"
    best = max(counted, key=lambda side: side.overall.rate or 0)
    text = f"{escape_line(best.label)} passes most: {format_percent(best.overall.rate)}"
    cheap = _cheapest_comparable(best, counted)
    if cheap is best:
        return text
    price = f"{format_usd(cheap.cost_per_case_usd)} a case against {format_usd(best.cost_per_case_usd)}"
    return (
        f"{text}; {escape_line(cheap.label)} may be as good: {format_percent(cheap.overall.rate)} at {price}"
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
        return f"{escape_line(side.label)}: no case was answered"
    return (
        f"{escape_line(side.label)} passes {rate.passed:,} of {pluralize(rate.counted, 'case')}: "
        f"{format_percent(rate.rate)} ({format_rate_interval(rate)})"
    )


def slice_warning(result: EvalResult) -> str | None:
    """What a verdict on the whole would hide."""
    if not result.comparison or not result.comparison.worse_slices:
        return None
    names = ", ".join(escape_line(name, 40) for name in result.comparison.worse_slices[:8])
    more = len(result.comparison.worse_slices) - 8
    return f"worse on {names}{f' and {more} more' if more > 0 else ''}, though the whole is not"


def eval_sample_size(result: EvalResult) -> str:
    """How much the verdict rests on, and what was spent on it."""
    trials = f" × {result.trials} trials" if result.trials > 1 else ""
    answered = f"{result.cases_run:,} of " if 0 < result.cases_run < result.cases_total else ""
    known = [side.spent_usd for side in result.sides if side.spent_usd is not None]
    spent = f"; {format_usd(sum(known))} spent" if known else "; of unknown cost" if result.cases_run else ""
    more = " and more of unknown cost" if known and len(known) < len(result.sides) else ""
    return f"{answered}{pluralize(result.cases_total, 'case')}{trials}{spent}{more}"


def eval_notes(result: EvalResult) -> Iterator[str]:
    """What else a reader must know before believing the numbers."""
    yield from map(escape_line, result.notes)
    if result.stopped:
        reason = _STOP_TEXTS.get(result.stopped, f"stopped: {escape_line(result.stopped)}")
        pairs = f" after {pluralize(result.comparison.pairs_used, 'pair')}" if result.comparison else ""
        yield reason + pairs
    if failures := sum(side.judge_failures for side in result.sides):
        yield f"{pluralize(failures, 'answer')} of the judge could not be used and count for neither side"
    if cut := sum(side.truncated for side in result.sides):
        yield f"{pluralize(cut, 'answer')} cut off at the most tokens allowed: raise parameters.max_tokens"
    if hits := sum(side.cache_hits for side in result.sides):
        yield f"{pluralize(hits, 'answer')} came from the cache"


def score_lines(comparison: EvalComparison) -> Iterator[str]:
    """How the means of checks that give a number moved, those that fell first."""
    for one in sorted(comparison.scores, key=lambda one: (one.difference, one.p_adjusted)):
        yield (
            f"{escape_line(one.name, 40)} scores {one.control:.3g} -> {one.candidate:.3g} on average: "
            f"{format_signed(one.difference)} ({format_signed(one.low)} to {format_signed(one.high)}), "
            f"adjusted p {format_p_value(one.p_adjusted)}"
        )


def eval_facts(result: EvalResult) -> Iterator[tuple[str, str]]:
    """What the report is of, so that it can be made again."""
    yield "Eval", result.eval_id
    yield "Cases", f"{result.cases_total:,} ({result.cases_hash[:12]})"
    yield "Checks", result.checks_hash[:12]
    yield "Trials", str(result.trials)
    yield from (
        (name, at) for name, at in (("Started", result.started_at), ("Finished", result.finished_at)) if at
    )
    for side in result.sides:
        spent = f", {format_usd(side.spent_usd)} spent" if side.spent_usd is not None else ""
        yield side.label, f"sha256:{side.digest.removeprefix('sha256:')[:12]}, {side.model}{spent}"


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
    failed = [(case, first_failed_trial(case)) for case in result.cases[0] if not case.passed and case.trials]
    return sorted(failed, key=lambda pair: pair[1].error is None)
