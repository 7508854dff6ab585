"""Signals of slices: calls with one tag may fail more often though all calls together do not.

Each slice is the guard of the checks once more, of the calls with a tag alone, as a signal. Which tags is
known before the first call of a rollout, so that the choice says nothing of its outcomes.
"""

import re
from collections.abc import Sequence
from dataclasses import replace

from promptops.release.plan.loader import with_digest
from promptops.release.plan.types import CHECKS_SOURCE, PlanMetric, ReleasePlan

MAX_LOGGED_SLICES = 10
_MAX_NAME = 64


def wants_slices(plan: ReleasePlan) -> bool:
    """Whether the log is to say which tags are watched."""
    return plan.slices is None and _checks_guard(plan) is not None and not watched_tags(plan)


def watched_tags(plan: ReleasePlan) -> tuple[str, ...]:
    return tuple(each.tag for each in plan.metrics if each.tag is not None)


def with_slices(plan: ReleasePlan, logged: Sequence[str] = ()) -> ReleasePlan:
    """The plan with a signal for each tag that it names, else for each ``logged`` one."""
    guard, known = _checks_guard(plan), watched_tags(plan)
    tags = logged if plan.slices is None else plan.slices
    wanted = [tag for tag in dict.fromkeys(tags) if tag not in known]
    if guard is None or not wanted:
        return plan
    metrics = list(plan.metrics)
    for tag in wanted:
        metrics.append(replace(guard, name=_name(guard, tag, metrics), role="signal", tag=tag))
    return with_digest(replace(plan, metrics=tuple(metrics)))


def _checks_guard(plan: ReleasePlan) -> PlanMetric | None:
    guards = (each for each in plan.guards if each.source == CHECKS_SOURCE and each.tag is None)
    return next(guards, None)


def _name(guard: PlanMetric, tag: str, others: Sequence[PlanMetric]) -> str:
    plain = re.sub(r"[^A-Za-z0-9_.-]+", "-", f"{guard.name}.{tag}")[: _MAX_NAME - 4]
    taken = {each.name for each in others}
    return next(name for n in range(len(taken) + 2) if (name := f"{plain}-{n}" if n else plain) not in taken)
