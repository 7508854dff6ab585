"""What ``shadow run --rollout`` makes: the pairs that a plan wants before anybody meets a canary."""

import time
from dataclasses import dataclass

from promptops.cli.options.release import agreed
from promptops.config.settings import Settings
from promptops.errors import Invalid, OverBudget
from promptops.registry.shadow.runs import shadows_of, spent_on
from promptops.release.context import Target, active_rollout, open_desk, target_of
from promptops.release.plan import ShadowGate
from promptops.versions.release_state import ChannelState, Rollout


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """``left_usd`` is what the plan allows and earlier shadow runs of the two versions have not spent."""

    target: Target
    candidate: str
    control: str
    gate: ShadowGate
    left_usd: float | None


def rollout_pairs(settings: Settings, name: str, *, yes: bool) -> Wanted:
    """What is to be made. Asks first, as it spends.

    Raises Invalid in any other phase, OverBudget where the plan's money is spent.
    """
    target = target_of(name, settings)
    with open_desk(settings, now=time.time()) as desk:
        state = desk.channel(target)
        rollout = active_rollout(state, target)
        gate = desk.ledger.plan(rollout.plan).shadow
        if rollout.phase != "shadow" or gate is None or state.stable is None:
            raise Invalid(
                f"the canary {rollout.canary.version} is {rollout.phase}, not in the phase shadow",
                hint=f"promptops status {target} shows what is next",
            )
        pair = (rollout.canary.digest, state.stable.digest)
        earlier = [row for row in shadows_of(desk.registry, target.prompt, *pair) if row.finished_at]
        spent = sum(spent_on(desk.registry, row.shadow_id) for row in earlier)
    left = None if gate.max_usd is None else gate.max_usd - spent
    if left is not None and left <= 0:
        raise OverBudget(
            f"the {gate.max_usd:g} USD of the plan's shadow phase are spent",
            hint=f"promptops release abort {target}, or raise max_usd in the plan and start again",
        )
    most = f", {left:.2f} USD at most" if left is not None else ""
    agreed(
        f"ask {rollout.canary.version} and {state.stable.version} about {gate.sample:,} inputs{most}?",
        yes=yes,
        needed=True,
    )
    return _wanted(target, state, rollout, gate, left)


def _wanted(
    target: Target, state: ChannelState, rollout: Rollout, gate: ShadowGate, left: float | None
) -> Wanted:
    stable = state.stable
    assert stable is not None  # noqa: S101 - looked at before
    return Wanted(
        target=target,
        candidate=f"{target.prompt}@{rollout.canary.version}",
        control=f"{target.prompt}@{stable.version}",
        gate=gate,
        left_usd=left,
    )
