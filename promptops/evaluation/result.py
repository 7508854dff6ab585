"""What an eval found: plain frozen data, made by the engine, read by every format."""

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any

from promptops.dataclass import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """Passed of counted, with a Wilson interval; ``rate`` is None when nothing was counted."""

    passed: int
    counted: int
    rate: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialResult:
    """One answer to one case: enough to read it, the run holds the rest."""

    run_id: str
    output: str | None
    passed: bool
    error: str | None  # error type; a check that raised counts as an error too
    failed: tuple[str, ...]  # "name: why", one for each failed check
    latency_ms: float | None
    cost_usd: float | None
    tokens: int | None
    cached: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseResult:
    """All trials of one case on one side; flaky when some passed and some failed."""

    case_id: str
    tags: tuple[str, ...]
    inputs: Mapping[str, Any]
    expected: Any
    trials: tuple[TrialResult, ...]
    passed: bool  # more than half of its trials passed
    flaky: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantResult:
    """One version over the golden set."""

    label: str  # pasteable: support/triage@3f2c9e1, or the model for --model
    prompt: str
    digest: str
    model: str
    overall: Rate  # over cases
    by_check: Mapping[str, Rate]
    by_tag: Mapping[str, Rate]
    scores: Mapping[str, float]  # mean of checks that give a number
    errors: int
    flaky: int
    latency_p50_ms: float | None
    latency_p95_ms: float | None
    input_tokens: int | None
    output_tokens: int | None
    tokens_per_passed: float | None
    cost_usd: float | None
    cost_per_case_usd: float | None
    cost_per_passed_usd: float | None
    spent_usd: float | None
    cache_hits: int
    judge_failures: int
    truncated: int = 0  # answers that were cut off at the most tokens they may have
    pareto: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """Control against candidate on one slice (all, a tag, a check); p adjusted over the slices shown."""

    name: str
    pairs: int
    difference: float  # candidate minus control, in pass rate
    low: float
    high: float
    broke: int
    fixed: int
    p: float
    p_adjusted: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreSlice:
    """Control against candidate by a score (a judge's, a similarity), case by case."""

    name: str
    pairs: int
    control: float
    candidate: float
    difference: float  # candidate minus control
    low: float
    high: float
    p: float
    p_adjusted: float


def worse_check_losses(checks: Sequence[Slice], worse: Sequence[str]) -> dict[str, float]:
    """Of the checks that are shown to be worse, by how much each may be: what a margin is held against."""
    return {each.name: -each.low for each in checks if each.name in worse}


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseFlip:
    """A case that one side passes and the other does not; ``loss`` orders them, worst first."""

    case_id: str
    tags: tuple[str, ...]
    inputs: Mapping[str, Any]
    expected: Any
    control: TrialResult
    candidate: TrialResult
    loss: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EvalComparison:
    """The candidate (sides[1]) held against the control (sides[0])."""

    verdict: str  # worse | not worse | better | undecided
    sentence: str
    margin: float
    whole: Slice
    tags: tuple[Slice, ...]
    checks: tuple[Slice, ...]
    worse_slices: tuple[str, ...]  # got worse though the whole did not
    worse_checks: tuple[str, ...] = ()  # shown to be worse, by more than the margin may be
    thin_slices: tuple[str, ...] = ()  # sentences about those with too few pairs to tell
    broke: tuple[CaseFlip, ...]
    fixed: tuple[CaseFlip, ...]
    pairs_used: int
    e_values: Mapping[str, float] = field(default_factory=dict)
    within_margin: bool = False  # at most the margin worse
    scores: tuple[ScoreSlice, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class EvalResult:
    eval_id: str
    sides: tuple[VariantResult, ...]
    cases: tuple[tuple[CaseResult, ...], ...]  # per side; only what the formats list, bounded
    comparison: EvalComparison | None
    trials: int
    cases_total: int
    cases_hash: str
    checks_hash: str
    changed: tuple[str, ...] = ()  # what changed between control and candidate, in words (compare)
    stopped: str | None = None
    """Why it ended early: "verdict", "budget", "interrupted", "failures", "cancelled" or "shard"."""
    started_at: str = ""
    finished_at: str = ""
    unlisted: int = 0  # cases that ``cases`` leaves out, of those that were answered
    cases_run: int = 0  # of ``cases_total``, those that were answered on every side
    seed: int | None = None  # with which the cases were shuffled
    notes: tuple[str, ...] = ()
