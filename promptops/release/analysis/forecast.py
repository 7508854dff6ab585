"""How many calls and days a rollout will take, from logged base rates and traffic."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from promptops.config.clock import utc_text
from promptops.registry import RegistryDatabase, calls_before, read_call_outcomes, read_channel_traffic
from promptops.release.analysis import priors as likely
from promptops.release.analysis.scoring import LoggedCall, MetricReader, logged_call, metric_readers
from promptops.release.plan.types import PlanMetric, PlanStep, ReleasePlan
from promptops.release.timestamps import parse_timestamp
from promptops.stats.eprocess import Hypothesis, log_threshold
from promptops.stats.forecast import calls_needed
from promptops.stats.rank_losses import Percentiles

_DAY_S = 86_400.0
_TRAFFIC_S = 7 * _DAY_S
_HISTORY_S = 30 * _DAY_S
_ALL_BP = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """``calls``: of both arms, until each guard is not worse if the canary is like stable; None: never.

    ``days`` of that, at ``per_day`` observations, durations of steps included; None without traffic or end.
    """

    calls: Mapping[str, float | None] = field(default_factory=dict)
    days: float | None = None
    per_day: float | None = None
    deadline_days: float | None = None
    known: tuple[str, ...] = ()  # metrics whose base rate is logged; the others are taken at 5 % or as alike
    sentence: str = ""


def forecast_rollout(
    registry: RegistryDatabase, prompt: str, channel: str, plan: ReleasePlan, stable_digest: str, now: float
) -> Forecast:
    """For a canary that is as good as stable. ``now``: seconds since the epoch."""
    calls = _stable_history(registry, prompt, channel, stable_digest, plan, now)
    proofs = [each for each in plan.metrics if each.role in ("guard", "hard")]
    weight = likely.final_step_weight(plan)
    values = {name: _values(gauge, calls) for name, gauge in metric_readers(proofs).items()}
    needed = {each.name: _calls_needed(each, values[each.name], weight, plan) for each in proofs}
    per_day = _per_day(registry, prompt, channel, plan, now)
    most = max((each for each in needed.values() if each is not None), default=0.0)
    days = None if None in needed.values() else _days(plan.steps, most, per_day)
    deadline = None if plan.deadline is None else plan.deadline / _DAY_S
    return Forecast(
        calls=needed,
        days=days,
        per_day=per_day,
        deadline_days=deadline,
        known=tuple(name for name, found in values.items() if found),
        sentence=_sentence(needed, most, days, per_day, deadline),
    )


def _stable_history(
    registry: RegistryDatabase, prompt: str, channel: str, digest: str, plan: ReleasePlan, now: float
) -> Sequence[LoggedCall]:
    rows = calls_before(registry, prompt, channel, digest, utc_text(now - _HISTORY_S), utc_text(now))
    words = any(gauge.from_outcomes for gauge in metric_readers(plan.metrics).values())
    said = read_call_outcomes(registry, [row["seq"] for row in rows]) if words else {}
    timeout = plan.observe.call_timeout
    return [logged_call(row, said.get(row["seq"], ()), dead=False, timeout=timeout) for row in rows]


def _values(gauge: MetricReader, calls: Sequence[LoggedCall]) -> list[float]:
    return [v for call in calls if isinstance(v := gauge.value(call, over=True), float)]


def _calls_needed(
    metric: PlanMetric, values: Sequence[float], weight: float, plan: ReleasePlan
) -> float | None:
    alpha = plan.alpha.promote
    if metric.kind == "ratio":
        return _ratio_calls_needed(values, metric.margin, weight, alpha)
    rate = (sum(values) + 0.5) / (len(values) + 1) if values else likely.DEFAULT_LOSS_RATE
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


def _per_day(
    registry: RegistryDatabase, prompt: str, channel: str, plan: ReleasePlan, now: float
) -> float | None:
    """Observations a day over the last week: calls, or units where a unit counts once."""
    calls, units, first = read_channel_traffic(registry, prompt, channel, utc_text(now - _TRAFFIC_S))
    if first is None:
        return None
    spent = max(now - parse_timestamp(first), 3600.0)
    return (calls if plan.unit == "call" else units) / spent * _DAY_S


def _days(steps: Sequence[PlanStep], needed: float, per_day: float | None) -> float | None:
    """Steps one after the other, each as long as it must be; proof is collected in all of them."""
    if not per_day:
        return None
    days = calls = 0.0
    weight_bp = _ALL_BP // 2
    for step in steps:
        weight_bp = step.weight_bp or weight_bp
        due = step.min_canary * _ALL_BP / weight_bp
        spent = max(due / per_day, step.min_duration / _DAY_S)
        days, calls = days + spent, calls + spent * per_day
    return days + max(0.0, needed - calls) / per_day


def _sentence(
    needed: Mapping[str, float | None],
    most: float,
    days: float | None,
    per_day: float | None,
    deadline: float | None,
) -> str:
    never = [name for name, each in needed.items() if each is None]
    if never:
        return f"{', '.join(never)} cannot be proven not worse by this margin: widen it"
    if not needed:
        return "no guards: nothing has to be proven"
    said = f"≈ {_round(most):,} calls until every guard can be shown to be not worse"
    if per_day is None or days is None:
        return f"{said}; no traffic is logged yet, so not how many days that is"
    said = f"≈ {_round(most):,} calls ≈ {_format_days(days)} at your traffic"
    if deadline is None:
        return said
    said += f"; deadline {deadline:.3g} d"
    if days <= deadline:
        return said
    return f"{said}: probably undecided; consider a shadow run or wider margins"


def _round(calls: float) -> int:
    return round(int(calls), -2) if calls >= _ROUND_TO_100_FROM else max(10, round(int(calls), -1))


def _format_days(days: float) -> str:
    if days >= _HOURS_UP_TO:
        return f"{days:.0f} days"
    hours = max(1, round(days * 24))
    return f"{hours} hour{'s'[: hours != 1]}"
