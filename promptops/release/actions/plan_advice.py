"""Which plan suits the traffic of a channel, and what decides where no canary can."""

from collections.abc import Sequence
from dataclasses import replace

from promptops.dataclass import dataclass
from promptops.errors import Invalid
from promptops.registry import RegistryDatabase, count_distinct_inputs
from promptops.release.actions.candidate import ReleaseCandidate
from promptops.release.analysis.forecast import ChannelHistory, Forecast, forecast_rollout, format_days
from promptops.release.context import Target
from promptops.release.plan import fit_plan, named_plan
from promptops.release.plan.quality import require_quality
from promptops.release.plan.tail_guards import tail_thresholds, with_tail_guards
from promptops.release.plan.types import PlanEvalGate, ReleasePlan
from promptops.release.steps import gate_phases
from promptops.versions.resolve import Version

LOW_TRAFFIC = ("lean", "shadow-first")
_MUCH_SOONER = 0.75  # of the days: less is not worth another plan
_MIN_PAIRS = 100  # inputs below which a shadow run proves nothing of a margin of some points


@dataclass(frozen=True, slots=True)
class PlanChoice:
    """What advice is about: who would be released, by which plan, on which evidence.

    ``supersede``: a canary is active by the time that the advice is followed.
    """

    candidate: ReleaseCandidate
    stable: Version
    plan: ReleasePlan
    history: ChannelHistory
    supersede: bool = False


def with_advice(found: Forecast, choice: PlanChoice, registry: RegistryDatabase) -> Forecast:
    """The forecast with what decides sooner, or at all. Nothing is advised before there is traffic."""
    if not choice.plan.steps or found.per_day is None:
        return found
    inputs = count_distinct_inputs(registry, choice.candidate.target.prompt)
    others = [
        forecast_rollout(plan, choice.history) for plan in _other_plans(choice) if _has_inputs(plan, inputs)
    ]
    sooner = min((each for each in others if each.in_time), key=lambda each: each.days or 0.0, default=None)
    if sooner and sooner.days and (not found.in_time or sooner.days <= _MUCH_SOONER * (found.days or 0.0)):
        instead = " --supersede" if choice.supersede else ""
        command = f"promptops canary {_reference(choice)} --plan {sooner.plan}{instead}"
        advice = f"the plan {sooner.plan} takes {format_days(sooner.days)}: {command}"
        return replace(found, advice=advice, recommended=sooner.plan)
    if found.in_time:
        return found
    return replace(
        found, advice=f"no canary decides this in time; what can: {_other_command(choice, inputs)}"
    )


def _other_plans(choice: PlanChoice) -> Sequence[ReleasePlan]:
    """Those for little traffic, where they guard as much as the plan that was chosen."""
    file, prompts = choice.candidate.file, (choice.candidate.version.prompt, choice.stable.prompt)
    manual = any(step.is_manual for step in choice.plan.steps)
    if manual or choice.plan.metrics_given or choice.plan.name in LOW_TRAFFIC:
        return ()  # what somebody wrote on purpose is not talked out of
    gates = set(gate_phases(choice.plan))
    plans = [plan for name in LOW_TRAFFIC if gates <= set(gate_phases(plan := named_plan(file, name)))]
    fitting = [fit_plan(fit_plan(plan, prompts[0]), prompts[1]) for plan in plans]
    tails = tail_thresholds(choice.plan)
    return [with_tail_guards(plan, tails) for plan in fitting if _is_accepted(plan, choice.candidate.target)]


def _is_accepted(plan: ReleasePlan, target: Target) -> bool:
    try:
        require_quality(plan, target.prompt, target.channel)
    except Invalid:
        return False
    return True


def _has_inputs(plan: ReleasePlan, inputs: int) -> bool:
    return plan.shadow is None or (bool(plan.proven_by_shadow) and inputs >= plan.shadow.sample)


def _reference(choice: PlanChoice) -> str:
    candidate = choice.candidate
    to = "" if candidate.target.channel == "production" else f" --to {candidate.target.channel}"
    return f"{candidate.version.pasteable}{to}"


def _other_command(choice: PlanChoice, inputs: int) -> str:
    """Pairs need a fraction of the calls: on logged inputs, else on the golden set."""
    version, target = choice.candidate.version, choice.candidate.target
    versions = f"{version.pasteable} --against {target}"
    if inputs < _MIN_PAIRS and version.prompt.cases is not None:
        return f"promptops eval {versions} --no-worse-than {_eval_margin(choice.plan):g}"
    return (
        f"promptops shadow run {versions} {f'--sample {inputs}' if inputs >= _MIN_PAIRS else '--inputs FILE'}"
    )


def _eval_margin(plan: ReleasePlan) -> float:
    return (plan.eval or PlanEvalGate()).margin
