"""The pairs that a plan wants before a canary is served to anybody."""

from dataclasses import replace

from promptops.cli.options.release import require_confirmation
from promptops.cli.options.replay import ReplayOptions
from promptops.cli.progress import transfer_line
from promptops.config.settings import Settings
from promptops.dataclass import dataclass
from promptops.errors import OverBudget
from promptops.registry import list_shadow_runs_comparing, shadow_run_spent_usd
from promptops.release.context import (
    Target,
    active_rollout,
    open_release_context,
    parse_target,
    wrong_phase_error,
)
from promptops.release.plan import PlanShadowGate
from promptops.versions.release_state import ChannelState, Rollout


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutShadowRequest:
    """``left_usd`` is what the plan allows and earlier shadow runs of the two versions have not spent."""

    target: Target
    candidate: str
    control: str
    gate: PlanShadowGate
    left_usd: float | None


def prepare_rollout_shadow(settings: Settings, name: str, *, yes: bool) -> RolloutShadowRequest:
    """What is to be made. Asks first, as it spends.

    Raises Invalid in any other phase, OverBudget where the plan's money is spent.
    """
    target = parse_target(name, settings)
    with open_release_context(settings, on_transfer=transfer_line()) as context:
        state = context.channel(target)
        rollout = active_rollout(state, target)
        gate = context.ledger.plan(rollout.plan).shadow
        if rollout.phase != "shadow" or gate is None or state.stable is None:
            raise wrong_phase_error(rollout, target, "shadow")
        pair = (rollout.canary.digest, state.stable.digest)
        earlier = [
            row
            for row in list_shadow_runs_comparing(context.registry, target.prompt, *pair)
            if row.finished_at
        ]
        spent = sum(shadow_run_spent_usd(context.registry, row.shadow_id) for row in earlier)
    left = None if gate.max_usd is None else gate.max_usd - spent
    if left is not None and left <= 0:
        raise OverBudget(
            f"the {gate.max_usd:g} USD of the plan's shadow phase are spent",
            hint=f"promptops release abort {target}, or raise max_usd in the plan and start again",
        )
    most = f", {left:.2f} USD at most" if left is not None else ""
    require_confirmation(
        f"ask {rollout.canary.version} and {state.stable.version} about {gate.sample:,} inputs{most}?",
        yes=yes,
        needed=True,
    )
    return _rollout_request(target, state, rollout, gate, left)


def with_gate(options: ReplayOptions, wanted: RolloutShadowRequest) -> ReplayOptions:
    """So many inputs and pairs as the plan says, and no more money than it has left."""
    inputs, gate = options.inputs, wanted.gate
    if inputs.file is None and inputs.last is None:
        inputs = replace(inputs, sample=gate.sample)
    limits = [each for each in (options.max_cost, wanted.left_usd) if each is not None]
    until = replace(options.until, min_pairs=max(options.until.min_pairs, gate.min_pairs))
    settings = replace(options.settings, margin=gate.effective_margin)
    return replace(options, inputs=inputs, until=until, settings=settings, max_cost=min(limits, default=None))


def _rollout_request(
    target: Target, state: ChannelState, rollout: Rollout, gate: PlanShadowGate, left: float | None
) -> RolloutShadowRequest:
    stable = state.stable
    assert stable is not None  # noqa: S101 - looked at before
    return RolloutShadowRequest(
        target=target,
        candidate=f"{target.prompt}@{rollout.canary.version}",
        control=f"{target.prompt}@{stable.version}",
        gate=gate,
        left_usd=left,
    )
