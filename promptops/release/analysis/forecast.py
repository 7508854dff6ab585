"""How many calls and days a rollout will take, from logged base rates and traffic."""

from collections.abc import Mapping, Sequence
from dataclasses import field, replace

from promptops.config.clock import utc_text
from promptops.dataclass import dataclass
from promptops.registry import (
    RegistryDatabase,
    calls_before,
    column,
    read_call_outcomes,
    read_channel_traffic,
)
from promptops.release.analysis import priors as likely
from promptops.release.analysis.scoring import CallBatch, metric_readers
from promptops.release.plan.types import PlanMetric, ReleasePlan
from promptops.release.timestamps import parse_timestamp
from promptops.stats.eprocess import Hypothesis, log_threshold
from promptops.stats.forecast import calls_needed
from promptops.stats.power import harm_power
from promptops.stats.rank_losses import Percentiles

_DAY_S = 86_400.0
_TRAFFIC_S = 7 * _DAY_S
_HISTORY_S = 30 * _DAY_S
_ALL_BP = 10_000
STATED_DROP = 0.10  # whose discovery is stated of a canary that only has to show no harm


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """``calls``: of both arms, until each guard has shown what the plan wants if the canary is like stable.

    None: never. Two of three rollouts need fewer (simulated: 62 to 66 %). ``days`` of that, at ``per_day``
    observations, durations of steps included; None without traffic or end. ``power``: the chance that a drop
    of ``STATED_DROP`` is found, where the plan wants no harm and not a proof.
    """

    plan: str = ""
    calls: Mapping[str, float | None] = field(default_factory=dict)
    days: float | None = None
    per_day: float | None = None
    deadline_days: float | None = None
    known: tuple[str, ...] = ()  # metrics whose base rate is logged; the others are taken at 5 % or as alike
    power: float | None = None
    sentence: str = ""
    advice: str = ""  # what decides sooner, or at all, with the command; empty where the plan will do
    recommended: str | None = None  # a plan

    @property
    def in_time(self) -> bool:
        """Whether it is known to come to its end before the deadline."""
        return self.days is not None and (self.deadline_days is None or self.days <= self.deadline_days)


@dataclass(frozen=True, slots=True)
class ChannelHistory:
    """What is logged of a channel: calls of stable in 30 days, and observations a day in the last seven."""

    calls: CallBatch
    calls_per_day: float | None
    units_per_day: float | None

    def per_day(self, plan: ReleasePlan) -> float | None:
        """Calls, or units where a unit counts once."""
        return self.calls_per_day if plan.unit == "call" else self.units_per_day


def read_channel_history(
    registry: RegistryDatabase, prompt: str, channel: str, plan: ReleasePlan, stable_digest: str, now: float
) -> ChannelHistory:
    """``now``: seconds since the epoch. ``plan`` says what of a call is read."""
    rows = calls_before(registry, prompt, channel, stable_digest, utc_text(now - _HISTORY_S), utc_text(now))
    words = any(gauge.from_outcomes for gauge in metric_readers(plan.metrics).values())
    outcomes = read_call_outcomes(registry, column(rows, "seq")) if words else {}
    calls = CallBatch(rows, [False] * len(rows), outcomes, plan.observe.call_timeout)
    number, units, first = read_channel_traffic(registry, prompt, channel, utc_text(now - _TRAFFIC_S))
    if first is None:
        return ChannelHistory(calls, None, None)
    spent = max(now - parse_timestamp(first), 3600.0) / _DAY_S
    return ChannelHistory(calls, number / spent, units / spent)


def forecast_rollout(plan: ReleasePlan, history: ChannelHistory) -> Forecast:
    """For a canary that is as good as stable."""
    readers = metric_readers(plan.guards)
    values = {name: reader.known_before(history.calls) for name, reader in readers.items()}
    per_day = history.per_day(plan)
    stages = _stages(plan, per_day)
    needed = {each.name: _calls_until_shown(each, values[each.name], stages, plan) for each in plan.guards}
    most = max((each for each in needed.values() if each is not None), default=0.0)
    days = None if None in needed.values() else _days(stages, most, per_day)
    deadline = None if plan.deadline is None else plan.deadline / _DAY_S
    power = _power(plan, values, stages)
    return Forecast(
        plan=plan.name,
        calls=needed,
        days=days,
        per_day=per_day,
        deadline_days=deadline,
        known=tuple(name for name, found in values.items() if found),
        power=power,
        sentence=_sentence(needed, most, days, per_day, deadline) + _power_clause(plan, power),
    )


@dataclass(frozen=True, slots=True)
class _Stage:
    """A weight, and the calls of both arms and the days that are spent at it at least."""

    weight: float
    calls: float
    days: float


def _stages(plan: ReleasePlan, per_day: float | None) -> list[_Stage]:
    """Without traffic a duration is taken to bring no more calls than the step wants."""
    stages = []
    for step in plan.steps:
        if step.weight_bp:
            weight, days = step.weight_bp / _ALL_BP, step.min_duration / _DAY_S
            stages.append(_Stage(weight, max(step.min_canary / weight, days * (per_day or 0.0)), days))
    if not stages:
        return [_Stage(0.5, 0.0, 0.0)]
    return [*stages[:-1], replace(stages[-1], calls=max(stages[-1].calls, plan.min_calls))]


def _calls_until_shown(
    metric: PlanMetric, values: Sequence[float], stages: Sequence[_Stage], plan: ReleasePlan
) -> float | None:
    if metric.name in plan.proven_by_shadow:
        return sum(stage.calls for stage in stages)
    steps = [(stage.weight, stage.calls) for stage in stages]
    return likely.calls_through_steps(steps, lambda weight: _calls_needed(metric, values, weight, plan))


def _power(
    plan: ReleasePlan, values: Mapping[str, Sequence[float]], stages: Sequence[_Stage]
) -> float | None:
    """Of the first guard that need only show no harm."""
    if not plan.proven_by_shadow:
        return None
    rate = _loss_rate(values[plan.proven_by_shadow[0]])
    played = [(stage.weight, round(stage.calls)) for stage in stages]
    together = sum(guard.window is None for guard in plan.guards)
    return harm_power(played, rate, min(1.0, rate + STATED_DROP), plan.alpha.rollback, together)


def _loss_rate(values: Sequence[float]) -> float:
    return (sum(values) + 0.5) / (len(values) + 1) if values else likely.DEFAULT_LOSS_RATE


def _calls_needed(
    metric: PlanMetric, values: Sequence[float], weight: float, plan: ReleasePlan
) -> float | None:
    alpha = plan.alpha.promote
    if metric.kind == "ratio":
        return _ratio_calls_needed(values, metric.margin, weight, alpha)
    rate = _loss_rate(values)
    found = calls_needed(Hypothesis.NOT_WORSE, metric.margin, weight, rate, rate, alpha)
    share = metric.sample or 1.0
    return None if found is None else max(found, log_threshold(alpha)) / share


def _ratio_calls_needed(values: Sequence[float], margin: float, weight: float, alpha: float) -> float | None:
    """From where stable's own values would rank, each divided by the margin."""
    seen = Percentiles()
    for value in values:
        seen.add(value)
    found = calls_needed(Hypothesis.NOT_WORSE, 0.0, weight, 0.5, likely.expected_rank(seen, margin), alpha)
    return None if found is None else found / likely.RANK_EFFICIENCY


_ROUND_TO_100_FROM = 1000
_HOURS_UP_TO = 2


def _days(stages: Sequence[_Stage], needed: float, per_day: float | None) -> float | None:
    """Stages one after the other, each as long as it must be."""
    if not per_day:
        return None
    days = sum(max(stage.calls / per_day, stage.days) for stage in stages)
    return days + max(0.0, needed - sum(stage.calls for stage in stages)) / per_day


def _sentence(
    needed: Mapping[str, float | None],
    most: float,
    days: float | None,
    per_day: float | None,
    deadline: float | None,
) -> str:
    never = [name for name, each in needed.items() if each is None]
    if never:
        return f"{', '.join(never)} cannot be shown not worse by this margin, at any traffic: widen it"
    if not needed:
        return "no guards: nothing has to be proven"
    if per_day is None or days is None:
        return (
            f"≈ {_round(most):,} calls until every guard can be shown to be not worse (two of three end by "
            "then); no traffic is logged yet, so not how many days that is"
        )
    sentence = f"≈ {_round(most):,} calls ≈ {format_days(days)} at your traffic (two of three end by then)"
    if deadline is None:
        return sentence
    limit = f"{deadline:,.0f}" if deadline >= 100 else f"{deadline:.3g}"
    return f"{sentence}; deadline {limit} d" + (": probably undecided" if days > deadline else "")


def _power_clause(plan: ReleasePlan, power: float | None) -> str:
    if power is None or plan.shadow is None:
        return ""
    names, drop = ", ".join(plan.proven_by_shadow), 100 * STATED_DROP
    return (
        f"; {names} by {plan.shadow.sample:,} logged inputs, and {plan.min_calls:,} live calls find a drop "
        f"of {drop:g} points in {100 * power:.0f} % of cases"
    )


def _round(calls: float) -> int:
    return round(int(calls), -2) if calls >= _ROUND_TO_100_FROM else max(10, round(int(calls), -1))


def format_days(days: float) -> str:
    if days >= _HOURS_UP_TO:
        return f"{days:,.0f} days"
    hours = max(1, round(days * 24))
    return f"{hours} hour{'s'[: hours != 1]}"
