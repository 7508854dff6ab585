"""What a comparison found: plain frozen data, read by every format."""

from collections.abc import Mapping
from dataclasses import field
from typing import Any

from promptops.dataclass import dataclass
from promptops.evaluation.result import Slice
from promptops.evaluation.shadow.pair import ShadowPair
from promptops.evaluation.shadow.similarity import OutputSimilarity


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricComparison:
    """One thing the candidate may be worse in. Bounds are of losses, candidate minus control, or of a ratio.

    ``control`` and ``candidate``: the rate or the median of each side, where there is one.
    """

    name: str  # checks, errors, judge, unanswered; latency, cost, tokens, length
    verdict: str
    sentence: str
    margin: float
    low: float
    high: float
    pairs: int
    control: float | None = None
    candidate: float | None = None
    not_worse: bool = False
    e_values: Mapping[str, float] = field(default_factory=dict)
    trail: tuple[tuple[int, float, float], ...] = ()  # (pairs, low, high) on the way


@dataclass(frozen=True, slots=True, kw_only=True)
class SideInfo:
    """One of the two versions."""

    label: str
    digest: str
    model: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExclusionCounts:
    """Inputs that were left out before anything was called."""

    considered: int = 0
    doubled: int = 0
    of_same_unit: int = 0
    redacted: int = 0
    incompatible: int = 0
    without_answer: int = 0
    reasons: tuple[tuple[str, str], ...] = ()  # (run or line, why), the first few


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowComparison:
    """The candidate held against the control. ``questions[0]`` is what the verdict is about."""

    shadow_id: str
    prompt: str
    control: SideInfo
    candidate: SideInfo
    verdict: str  # worse | not worse | better | undecided
    sentence: str
    questions: tuple[MetricComparison, ...]
    whole: Slice
    tags: tuple[Slice, ...]
    checks: tuple[Slice, ...]
    worse_slices: tuple[str, ...]
    worse_checks: tuple[str, ...]
    thin_slices: tuple[str, ...]
    broke: tuple[ShadowPair, ...]
    fixed: tuple[ShadowPair, ...]
    broke_total: int
    fixed_total: int
    changed: tuple[ShadowPair, ...]  # answers that differ though both sides pass, or both fail
    likeness: OutputSimilarity
    pairs: int  # answered by both sides
    unanswered: Mapping[str, Mapping[str, int]]  # arm -> error type -> pairs
    truncated: Mapping[str, int]  # arm -> answers that were cut off at the most tokens they may have
    planned: int
    left: ExclusionCounts
    margin: float
    spent_usd: float
    seed: int
    mode: str = "replay"  # replay, recorded, aa, live
    stopped: str | None = (
        None  # verdict, all, shard, budget, interrupted, failures, cancelled, live; None: under way
    )
    started_at: str = ""
    noise: Mapping[str, Any] = field(default_factory=dict)
