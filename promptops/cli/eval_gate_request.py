"""The eval that a plan wants before a canary is served to anybody."""

from collections.abc import Mapping

from promptops.cli.progress import transfer_line
from promptops.config.settings import Settings
from promptops.dataclass import dataclass
from promptops.errors import Invalid
from promptops.registry import RegistryDatabase
from promptops.release.context import (
    Target,
    active_rollout,
    open_release_context,
    parse_target,
    wrong_phase_error,
)
from promptops.release.plan import PlanEvalGate


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutEvalRequest:
    """Two versions by reference, and what the plan wants of the one."""

    target: Target
    candidate: str
    control: str
    gate: PlanEvalGate


def prepare_rollout_eval(settings: Settings, name: str, others: Mapping[str, object]) -> RolloutEvalRequest:
    """The versions and the margin of the canary that waits on NAME[:CHANNEL].

    ``others``: arguments and options that would ask for something else, by name. Raises Invalid where one of
    them is given, and in any phase but eval.
    """
    for option in (each for each, value in others.items() if value):
        raise Invalid(
            f"--plan says what is compared, so {option} cannot", hint=f"promptops eval --plan {name}"
        )
    target = parse_target(name, settings)
    with open_release_context(
        settings, registry=RegistryDatabase.open_existing, on_transfer=transfer_line()
    ) as context:
        state = context.channel(target)
        rollout = active_rollout(state, target)
        gate = context.ledger.plan(rollout.plan).eval
    if rollout.phase != "eval" or gate is None or state.stable is None:
        raise wrong_phase_error(rollout, target, "eval")
    # by number: a digest names the oldest commit that has it, and the golden set may have grown since
    candidate, control = (f"{target.prompt}@{side.version}" for side in (rollout.canary, state.stable))
    return RolloutEvalRequest(target=target, candidate=candidate, control=control, gate=gate)
