"""Whether a plan would notice answers that are only wrong: errors, latency and cost say nothing of that."""

import re

from promptops.errors import Invalid
from promptops.release.plan.types import PlanMetric, ReleasePlan
from promptops.release.plan.values import parse_source

_PRODUCTION = {"production", "prod", "prd", "live"}  # words of a channel's name
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")


def guards_quality(plan: ReleasePlan) -> bool:
    """Whether a metric of checks, outcomes or judges can keep a canary of this plan from being promoted.

    One of the calls with a tag alone says nothing of all others.
    """
    deciding = {each.name for each in plan.guards} | set(plan.all_goals)
    return any(each.name in deciding and _is_of_quality(each) for each in plan.metrics)


def _is_of_quality(metric: PlanMetric) -> bool:
    source = parse_source(metric.source)
    return metric.tag is None and (source.place != "run" or source.name == "checks_failed")


def quality_notes(plan: ReleasePlan) -> tuple[str, ...]:
    """A sentence where a canary could be promoted whatever it answers; none where something would notice."""
    if not plan.steps or guards_quality(plan):
        return ()
    guards = ", ".join(each.name for each in plan.guards)
    return (
        f"plan {plan.name} guards no quality: by {guards} alone a version that answers worse is promoted",
    )


def require_quality(plan: ReleasePlan, prompt: str, channel: str) -> None:
    """Raise Invalid, with the ways out, for a plan that has to guard quality and does not."""
    production = not _PRODUCTION.isdisjoint(map(str.lower, _WORD.findall(channel)))
    required = plan.quality == "required" or (plan.quality is None and production)
    if not required or not quality_notes(plan):
        return
    raise Invalid(
        f"plan {plan.name} guards no quality of {prompt}: nothing would notice answers that are only wrong",
        hint=f"add a check to the prompt (promptops checks suggest {prompt}), a metric `judge.PROMPT` or "
        f"`outcome.NAME` to plans.{plan.name}, or `quality: optional` there if that is meant",
    )
