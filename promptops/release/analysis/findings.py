"""What the evidence of one rollout says, as frozen values: made by ``evidence``, read by rules and status."""

from collections.abc import Mapping
from dataclasses import field
from typing import Any

from promptops.dataclass import dataclass
from promptops.release.plan import PlanMetric
from promptops.stats.intervals import Interval, IntervalEstimate
from promptops.stats.verdicts import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricFinding:
    """One metric. Logarithms of e-values; ``bounds`` and ``difference`` in the terms of the margin."""

    metric: PlanMetric
    verdict: Verdict
    worse: bool = False  # for a guard: rollback is attributed to it; for a signal: tested by itself
    not_worse: bool = False
    better: bool = False
    log_e_worse: float = 0.0
    log_e_not_worse: float = 0.0
    log_e_better: float = 0.0
    canary_calls: int = 0  # scored
    stable_calls: int = 0
    canary_bad: int | None = None  # calls with a loss, of a binary metric
    stable_bad: int | None = None
    canary_mean: float | None = None  # of losses, or of the values of a ratio
    stable_mean: float | None = None
    bounds: Interval | None = None  # the confidence sequence
    difference: IntervalEstimate | None = None  # step by step, never pooled
    canary_missing: int = 0
    stable_missing: int = 0
    unequal_missing: bool = False  # values are missing more often on one arm than on the other
    late: int = 0
    hard: bool = False  # a hard metric has seen its first canary loss of 1
    calls_needed: float | None = None  # further calls of both arms until not worse; None: never
    losses_needed: int | None = None  # of a slice with too few to tell: how many of both arms could
    sentence: str = ""
    trail: tuple[tuple[int, float, float], ...] = ()  # (calls, low, high) of the confidence sequence so far


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    registry: str  # its id
    registry_path: str
    watermark: int = 0  # seq up to which calls of the instant metrics are scored
    calls: int = 0  # scored
    canary_calls: int = 0
    step_canary_calls: int = 0  # scored since the present step began
    step_calls: int = 0  # of both arms, as these
    step_started: str = ""  # that step, as the rollout has it
    waiting: int = 0  # calls assigned and not scored yet
    without_unit: int = 0  # fell on a random unit though the plan wants one
    excluded: Mapping[str, int] = field(default_factory=dict)  # reason -> calls
    expected_canary: float = 0.0
    metrics: tuple[MetricFinding, ...] = ()
    harm: tuple[str, ...] = ()  # guards to which a rollback is attributed; the group's best where none alone
    hard: tuple[str, ...] = ()
    signals: tuple[str, ...] = ()  # signals that say worse
    sample_ratio_alarm: bool = False
    gaps: tuple[str, ...] = ()  # each a sentence: which rows of the log are missing
    silent: tuple[str, ...] = ()  # guards without data although min_canary is met
    unheard: tuple[str, ...] = ()  # guards by outcomes that nobody has given any call
    reviewed: int = 0  # canary outputs a person has said something about
    breaker: str | None = None  # why the canary was taken out of service here
    short_of: int = 0  # calls that the committed evidence has and this registry has not
    per_day: float | None = None  # calls a day, over the rollout so far
    proof: Mapping[str, Any] = field(default_factory=dict)  # the plan, priors, watermarks and sums behind it


@dataclass(frozen=True, slots=True, kw_only=True)
class GateFinding:
    """What the eval or shadow phase has to say. ``command`` is what makes the missing results."""

    verdict: Verdict | None  # None: there is no result yet
    sentence: str
    command: str | None = None
    absent: bool = False  # there is nothing to go by at all: the prompt has no cases
    details: Mapping[str, Any] = field(default_factory=dict)
