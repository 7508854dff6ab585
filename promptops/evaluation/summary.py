"""How one side did: counted case by case, nothing kept but numbers."""

from array import array
from collections.abc import Sequence
from dataclasses import field, replace
from typing import Any

from promptops.dataclass import dataclass
from promptops.evaluation.result import CaseResult, Rate, TrialResult, VariantResult
from promptops.evaluation.trials import TrialRun
from promptops.evaluation.variants import Variant
from promptops.prompt.cases import Case, expected_json
from promptops.prompt.tool_calls import comparable_answer
from promptops.registry import CheckResult
from promptops.stats.intervals import clopper_pearson_interval, quantile, wilson_interval

_MAX_EXACT = 40  # cases up to which an interval is exact
_MAX_CHARS = 2_000  # characters of a text that are kept to be shown; the run holds the rest
_MEDIAN, _TAIL = 0.5, 0.95


def pass_rate(passed: int, counted: int) -> Rate:
    if not counted:
        return Rate(passed=0, counted=0, rate=None, low=None, high=None)
    bounds = (clopper_pearson_interval if counted <= _MAX_EXACT else wilson_interval)(passed, counted)
    return Rate(passed=passed, counted=counted, rate=passed / counted, low=bounds.low, high=bounds.high)


@dataclass(slots=True)
class PassCount:
    passed: int = 0
    counted: int = 0

    def add(self, passed: bool) -> None:
        self.passed += passed
        self.counted += 1

    @property
    def rate(self) -> Rate:
        return pass_rate(self.passed, self.counted)


@dataclass(slots=True)
class NullableSum:
    """A total that is unknown once a part of it is; ``count`` of the parts."""

    total: float = 0.0
    count: int = 0
    unknown: int = 0

    def add(self, value: float | None) -> None:
        self.unknown += value is None
        self.count += value is not None
        self.total += value or 0.0

    @property
    def whole(self) -> float | None:
        return self.total if self.count and not self.unknown else None

    @property
    def mean(self) -> float:
        return self.total / self.count


def is_majority(answers: Sequence[bool]) -> bool:
    """Whether more than half hold."""
    return 2 * sum(answers) > len(answers)


WEIGHTED = "weighted checks"  # the score that checks of different weights add up to


def results_by_check(answers: Sequence[TrialRun]) -> dict[str, list[CheckResult]]:
    """Of each check what it said of the answers that it was made on."""
    results: dict[str, list[CheckResult]] = {}
    for answer in answers:
        for check in answer.checks:
            results.setdefault(check.name, []).append(check)
    return results


@dataclass(slots=True)
class VariantSummary:
    """Counts one side; a case passes when more than half of its trials do."""

    variant: Variant
    overall: PassCount = field(default_factory=PassCount)
    checks: dict[str, PassCount] = field(default_factory=dict)
    tags: dict[str, PassCount] = field(default_factory=dict)
    scores: dict[str, NullableSum] = field(default_factory=dict)
    latencies: "array[float]" = field(default_factory=lambda: array("d"))
    input_tokens: NullableSum = field(default_factory=NullableSum)
    output_tokens: NullableSum = field(default_factory=NullableSum)
    cost: NullableSum = field(default_factory=NullableSum)
    spent: NullableSum = field(default_factory=NullableSum)
    answers_passed: int = 0
    errors: int = 0
    flaky: int = 0
    cache_hits: int = 0
    judge_failures: int = 0
    truncated: int = 0

    def add(self, case: Case, answers: Sequence[TrialRun]) -> None:
        passes = [answer.passed for answer in answers]
        self.overall.add(is_majority(passes))
        self.flaky += 0 < sum(passes) < len(passes)
        self.answers_passed += sum(passes)
        for tag in dict.fromkeys(case.tags):
            self.tags.setdefault(tag, PassCount()).add(is_majority(passes))
        for name, results in results_by_check(answers).items():
            self.checks.setdefault(name, PassCount()).add(is_majority([each.passed for each in results]))
            self._score(name, results)
        for answer in answers:
            if answer.weighted is not None:
                self.scores.setdefault(WEIGHTED, NullableSum()).add(answer.weighted)
            self.errors += answer.error is not None
            self._add_usage(answer)

    def _score(self, name: str, results: Sequence[CheckResult]) -> None:
        for check in results:
            self.judge_failures += check.failed
            if check.value is not None:
                self.scores.setdefault(name, NullableSum()).add(check.value)

    def _add_usage(self, answer: TrialRun) -> None:
        if answer.run is None:
            return
        end = answer.run.finished
        self.cache_hits += end.cache_source is not None
        if answer.run.error is not None:
            return
        self.truncated += answer.run.truncated
        if end.latency_ms is not None:
            self.latencies.append(end.latency_ms)
        self.input_tokens.add(end.input_tokens)
        self.output_tokens.add(end.output_tokens)
        self.cost.add(end.cost_usd)
        self.spent.add(None if end.spent_usd is None else end.spent_usd + answer.judged_usd)

    def side(self) -> VariantResult:
        version = self.variant.version
        tokens = _sum_or_none(self.input_tokens.whole, self.output_tokens.whole)
        return VariantResult(
            label=self.variant.label,
            prompt=version.prompt.name,
            digest=version.prompt.digest,
            model=version.prompt.model,
            overall=self.overall.rate,
            by_check={name: count.rate for name, count in self.checks.items()},
            by_tag={name: count.rate for name, count in sorted(self.tags.items())},
            scores={name: total.mean for name, total in self.scores.items()},
            errors=self.errors,
            flaky=self.flaky,
            latency_p50_ms=quantile(self.latencies, _MEDIAN) if self.latencies else None,
            latency_p95_ms=quantile(self.latencies, _TAIL) if self.latencies else None,
            input_tokens=_int_or_none(self.input_tokens.whole),
            output_tokens=_int_or_none(self.output_tokens.whole),
            tokens_per_passed=_ratio_or_none(tokens, self.answers_passed),
            cost_usd=self.cost.whole,
            cost_per_case_usd=_ratio_or_none(self.cost.whole, self.cost.count),
            cost_per_passed_usd=_ratio_or_none(self.cost.whole, self.answers_passed),
            spent_usd=self.spent.whole,
            cache_hits=self.cache_hits,
            judge_failures=self.judge_failures,
            truncated=self.truncated,
        )


def _sum_or_none(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one + other


def _int_or_none(value: float | None) -> int | None:
    return None if value is None else int(value)


def _ratio_or_none(total: float | None, count: int) -> float | None:
    return total / count if total is not None and count else None


def mark_pareto_front(sides: Sequence[VariantResult]) -> tuple[VariantResult, ...]:
    """Mark those that no other side beats: at least as good, cheap and quick, and in one of these more so."""
    return tuple(replace(side, pareto=not any(_beats(other, side) for other in sides)) for side in sides)


def _beats(one: VariantResult, other: VariantResult) -> bool:
    """Where a figure of either is unknown, the others decide."""
    pairs = [
        (-(one.overall.rate or 0.0), -(other.overall.rate or 0.0)),
        (one.cost_per_case_usd, other.cost_per_case_usd),
        (one.latency_p50_ms, other.latency_p50_ms),
    ]
    known = [(a, b) for a, b in pairs if a is not None and b is not None]
    return all(a <= b for a, b in known) and any(a < b for a, b in known)


def trial_result(answer: TrialRun) -> TrialResult:
    failed = tuple(
        f"{check.name}: {check.message}" if check.message else check.name
        for check in answer.checks
        if not check.passed
    )
    if answer.run is None:
        return TrialResult(
            run_id="",
            output=None,
            passed=False,
            error=answer.error,
            failed=(answer.problem,),
            latency_ms=None,
            cost_usd=None,
            tokens=None,
            cached=False,
        )
    end = answer.run.finished
    call_problem = (f"{end.error_type}: {end.error_message}",) if end.error_type else ()
    return TrialResult(
        run_id=answer.run.started.run_id,
        output=truncate_text(comparable_answer(end.output, end.tool_calls)),
        passed=answer.passed,
        error=answer.error,
        failed=(*call_problem, *failed),
        latency_ms=end.latency_ms,
        cost_usd=end.cost_usd,
        tokens=_int_or_none(_sum_or_none(end.input_tokens, end.output_tokens)),
        cached=end.cache_source is not None,
    )


def case_result(case: Case, answers: Sequence[TrialRun]) -> CaseResult:
    passes = [answer.passed for answer in answers]
    return CaseResult(
        case_id=case.id,
        tags=case.tags,
        inputs=truncate_inputs(case.inputs),
        expected=truncate_text(expected_json(case.expected)),
        trials=tuple(map(trial_result, answers)),
        passed=is_majority(passes),
        flaky=0 < sum(passes) < len(passes),
    )


def truncate_inputs(inputs: Any) -> dict[str, Any]:
    return {name: truncate_text(value) for name, value in inputs.items()}


def truncate_text(value: Any) -> Any:
    """A long text cut to what is shown of it; anything else as it is."""
    if isinstance(value, str) and len(value) > _MAX_CHARS:
        return f"{value[:_MAX_CHARS]}… ({len(value):,} characters)"
    return value
