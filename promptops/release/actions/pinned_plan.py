"""What a plan takes from the log when a rollout starts: where tails begin, and which tags are slices.

It is pinned with the plan. A rollout that goes on keeps what it began with.
"""

from collections.abc import Iterator

from promptops.config.clock import utc_text
from promptops.registry import frequent_tags
from promptops.release.analysis.forecast import read_channel_history
from promptops.release.analysis.scoring import metric_readers
from promptops.release.context import ReleaseContext, Target
from promptops.release.plan.slice_signals import MAX_LOGGED_SLICES, wants_slices, watched_tags, with_slices
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

_HISTORY_S = 30 * 86_400.0


def pin_plan(
    context: ReleaseContext, target: Target, stable: ReleasedVersion, plan: ReleasePlan, rollout: str
) -> ReleasePlan:
    """The plan with guards of its ratios' tails and signals of its slices."""
    thresholds = _logged_thresholds(context, target, stable, plan)
    tags = _logged_tags(context, target, stable, plan)
    for before in _earlier_plans(context, target, rollout):  # newest first: the oldest stays
        thresholds |= tail_thresholds(before)
        tags = watched_tags(before) or tags
    return with_slices(with_tail_guards(plan, thresholds), tags)


def _earlier_plans(context: ReleaseContext, target: Target, rollout: str) -> Iterator[ReleasePlan]:
    for record in context.ledger.log(target.prompt, target.channel):
        found = record.transition.rollout
        if found and found.id == rollout:
            yield context.ledger.plan(found.plan)


def _logged_thresholds(
    context: ReleaseContext, target: Target, stable: ReleasedVersion, plan: ReleasePlan
) -> dict[str, float]:
    readers = metric_readers(missing_tails(plan))
    if not readers:
        return {}
    history = read_channel_history(
        context.registry, target.prompt, target.channel, plan, stable.digest, context.now
    )
    values = {name: reader.known_before(history.calls) for name, reader in readers.items()}
    return {
        name: quantile(each, TAIL_QUANTILE) for name, each in values.items() if len(each) >= MIN_TAIL_VALUES
    }


def _logged_tags(
    context: ReleaseContext, target: Target, stable: ReleasedVersion, plan: ReleasePlan
) -> tuple[str, ...]:
    if not wants_slices(plan):
        return ()
    since = utc_text(context.now - _HISTORY_S)
    return frequent_tags(context.registry, target.prompt, stable.digest, since, MAX_LOGGED_SLICES)


def tail_notes(plan: ReleasePlan) -> tuple[str, ...]:
    """A sentence where a ratio's tail is not guarded."""
    return tuple(
        f"the tail of {each.name} has no guard: {MIN_TAIL_VALUES} logged calls of stable are needed"
        for each in missing_tails(plan)
    )
