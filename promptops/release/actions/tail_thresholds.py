"""Where the tails of a channel begin: from the log when a rollout starts, and from then on as they were."""

from promptops.release.analysis.forecast import metric_values, read_channel_history
from promptops.release.analysis.scoring import metric_readers
from promptops.release.context import ReleaseContext, Target
from promptops.release.plan.tail_guards import (
    MIN_TAIL_VALUES,
    TAIL_QUANTILE,
    missing_tails,
    tail_thresholds,
    with_tail_guards,
)
from promptops.release.plan.types import ReleasePlan
from promptops.stats.intervals import quantile
from promptops.versions.release_state import ReleasedVersion


def guard_tails(
    context: ReleaseContext, target: Target, stable: ReleasedVersion, plan: ReleasePlan, rollout: str
) -> ReleasePlan:
    """The plan with guards of its ratios' tails. A rollout that goes on keeps the numbers it began with."""
    before = _thresholds_of_rollout(context, target, rollout)
    return with_tail_guards(plan, _logged_thresholds(context, target, stable, plan) | before)


def _thresholds_of_rollout(context: ReleaseContext, target: Target, rollout: str) -> dict[str, float]:
    known: dict[str, float] = {}
    for record in context.ledger.log(target.prompt, target.channel):  # newest first: the oldest stays
        found = record.transition.rollout
        if found and found.id == rollout:
            known |= tail_thresholds(context.ledger.plan(found.plan))
    return known


def _logged_thresholds(
    context: ReleaseContext, target: Target, stable: ReleasedVersion, plan: ReleasePlan
) -> dict[str, float]:
    readers = metric_readers(missing_tails(plan))
    if not readers:
        return {}
    history = read_channel_history(
        context.registry, target.prompt, target.channel, plan, stable.digest, context.now
    )
    values = {name: metric_values(reader, history.calls) for name, reader in readers.items()}
    return {
        name: quantile(each, TAIL_QUANTILE) for name, each in values.items() if len(each) >= MIN_TAIL_VALUES
    }


def tail_notes(plan: ReleasePlan) -> tuple[str, ...]:
    """A sentence where a ratio's tail is not guarded."""
    names = ", ".join(each.name for each in missing_tails(plan))
    return (
        (f"the tail of {names} has no guard: {MIN_TAIL_VALUES} logged calls of stable are needed",)
        if names
        else ()
    )
