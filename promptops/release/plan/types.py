"""A release plan as frozen values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

MetricKind = Literal["binary", "ratio", "score"]
MetricRole = Literal["guard", "signal", "goal", "hard"]
MissingPolicy = Literal["good", "bad", "exclude"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanMetric:
    """One figure that both arms are compared by.

    ``margin``: of a ``ratio`` the ratio that is still accepted (1.2 = 20 % more), else a difference of
    losses (0.03 = 3 points). ``window``: seconds after the call in which an outcome counts; None for what
    is known when the call ends. ``sample``: the share of calls drawn for a judge. ``scale``: the range of a
    ``score``.
    """

    name: str
    kind: MetricKind
    source: str  # run.COLUMN, check.NAME, checks.pass, outcome.NAME, judge.PROMPT, or run.COLUMN > NUMBER
    worse: Literal["higher", "lower"]
    role: MetricRole
    margin: float
    window: float | None = None
    missing: MissingPolicy = "exclude"
    sample: float | None = None
    scale: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanStep:
    """A weight with what must be met before the next step, or a stop for a person."""

    weight_bp: int | None = None  # None: the weight of the step before stays
    min_canary: int = 0  # canary calls scored within this step
    min_duration: float = 0.0  # seconds
    approval: bool = False
    reviewed: int | None = None  # canary outputs that a person must have read

    @property
    def is_manual(self) -> bool:
        return self.approval or self.reviewed is not None

    @property
    def label(self) -> str:
        if self.weight_bp is not None:
            return f"{self.weight_bp / 100:g}%"
        return "approval" if self.approval else f"{self.reviewed} reviewed"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanEvalGate:
    require: Literal["undecided_ok", "not_worse"] = "undecided_ok"
    margin: float = 0.03


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanShadowGate:
    require: Literal["undecided_ok", "not_worse"] = "not_worse"
    sample: int = 200
    min_pairs: int = 100
    max_usd: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanApproval:
    """Who may approve. ``approvers``: addresses, or ``@DOMAIN``; none is anybody."""

    approvers: tuple[str, ...] = ()
    own_change: Literal["allow", "refuse"] = "allow"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alpha:
    rollback: float = 0.05
    promote: float = 0.05
    srm: float = 0.001


@dataclass(frozen=True, slots=True, kw_only=True)
class ObserveSettings:
    """Seconds."""

    call_timeout: float = 120.0
    feedback_window: float = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleasePlan:
    name: str
    eval: PlanEvalGate | None = None
    shadow: PlanShadowGate | None = None
    unit: str = "session"  # call, session, user, or a key of the metadata
    steps: tuple[PlanStep, ...] = ()
    approval: PlanApproval | None = None
    goals: tuple[str, ...] = ()  # metrics that must be better
    on_inconclusive: Literal["hold", "rollback", "promote"] = "hold"
    deadline: float | None = 14 * 86_400.0  # seconds
    alpha: Alpha = field(default_factory=Alpha)
    observe: ObserveSettings = field(default_factory=ObserveSettings)
    metrics: tuple[PlanMetric, ...] = ()
    content: Mapping[str, object] = field(default_factory=dict, compare=False)  # as it is pinned
    digest: str = ""  # 64 hex digits, of ``content``
    metrics_given: bool = field(default=True, compare=False)  # else the built-in ones: see ``fit``

    @property
    def all_goals(self) -> tuple[str, ...]:
        """Metrics that must be better, named by ``promote.goals`` or by their role."""
        return tuple(
            dict.fromkeys((*self.goals, *(each.name for each in self.metrics if each.role == "goal")))
        )
