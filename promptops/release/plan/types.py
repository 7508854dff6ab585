"""A release plan as frozen values."""

from collections.abc import Mapping
from dataclasses import field
from typing import Literal

from promptops.dataclass import dataclass

MetricKind = Literal["binary", "ratio", "score"]
MetricRole = Literal["guard", "signal", "goal", "hard"]
MissingPolicy = Literal["good", "bad", "exclude"]
PromotionRule = Literal["all_guards", "shadow_and_no_harm"]
DEFAULT_SHADOW_MARGIN = 0.03
DEFAULT_TAIL_MARGIN = 0.05
CHECKS_SOURCE = "checks.pass"  # what a shadow run compares, too


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanMetric:
    """One figure that both arms are compared by.

    ``margin``: of a ``ratio`` the ratio that is still accepted (1.2 = 20 % more), else a difference of
    losses (0.03 = 3 points). ``tail``: of a ratio, the margin of its tail's guard. ``window``: seconds after
    the call in which an outcome counts; None for what is known when the call ends. ``sample``: the share of
    calls drawn for a judge. ``scale``: the range of a ``score``.
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
    tail: float | None = None
    tag: str | None = None  # only calls with this tag


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
    margin: float | None = None  # None: DEFAULT_SHADOW_MARGIN

    @property
    def effective_margin(self) -> float:
        return DEFAULT_SHADOW_MARGIN if self.margin is None else self.margin


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
    """``min_calls``: of both arms, in the last step. ``quality``: None leaves it to the channel.

    With ``shadow_and_no_harm`` the checks have been shown not worse by the shadow phase, and the canary
    has only to show no harm to them in ``min_calls``; every other guard is shown not worse all the same.
    """

    name: str
    eval: PlanEvalGate | None = None
    shadow: PlanShadowGate | None = None
    unit: str = "session"  # call, session, user, or a key of the metadata
    steps: tuple[PlanStep, ...] = ()
    approval: PlanApproval | None = None
    require: PromotionRule = "all_guards"
    min_calls: int = 0
    goals: tuple[str, ...] = ()  # metrics that must be better
    quality: Literal["required", "optional"] | None = None
    slices: tuple[str, ...] | None = None  # tags that are watched by themselves; None: those of the log
    on_inconclusive: Literal["hold", "rollback", "promote"] = "hold"
    deadline: float | None = 14 * 86_400.0  # seconds
    alpha: Alpha = field(default_factory=Alpha)
    observe: ObserveSettings = field(default_factory=ObserveSettings)
    metrics: tuple[PlanMetric, ...] = ()
    content: Mapping[str, object] = field(default_factory=dict, compare=False)  # as it is pinned
    digest: str = ""  # 64 hex digits, of ``content``
    metrics_given: bool = field(default=True, compare=False)  # else the built-in ones: see ``fit``

    @property
    def guards(self) -> tuple[PlanMetric, ...]:
        """Metrics that can roll back, and that must be shown not worse."""
        return tuple(each for each in self.metrics if each.role in ("guard", "hard"))

    @property
    def proven_by_shadow(self) -> tuple[str, ...]:
        """Guards that the shadow phase has shown to be not worse, and the canary need not show again."""
        if self.require != "shadow_and_no_harm":
            return ()
        return tuple(each.name for each in self.guards if each.source == CHECKS_SOURCE)

    @property
    def all_goals(self) -> tuple[str, ...]:
        """Metrics that must be better, named by ``promote.goals`` or by their role."""
        return tuple(
            dict.fromkeys((*self.goals, *(each.name for each in self.metrics if each.role == "goal")))
        )
