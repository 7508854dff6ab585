"""What a promotion rests on: what is still to be shown, guard by guard, and the sentence when all is."""

from promptops.release.analysis.findings import Findings, MetricFinding
from promptops.release.plan.types import PlanMetric, ReleasePlan


def missing_proof(plan: ReleasePlan, findings: Findings) -> tuple[str, ...]:
    """What proof a promotion lacks, guard by guard and goal by goal; empty when it may be."""
    known = {each.metric.name: each for each in findings.metrics}
    by_shadow = plan.proven_by_shadow
    lacking = [
        f"{guard.name}: {why}"
        for guard in plan.guards
        if (why := _unproven(guard, known.get(guard.name), findings, shown=guard.name in by_shadow))
    ]
    if (missing := plan.min_calls - findings.step_calls) > 0:
        lacking.append(f"{missing:,} more calls in the last step ({plan.min_calls:,} are due)")
    lacking += [
        f"{name} must be better: {_open_reason(found)}"
        for name in plan.all_goals
        if not ((found := known.get(name)) and found.better and not found.worse)
    ]
    return tuple(lacking)


def promotion_reason(plan: ReleasePlan, findings: Findings) -> str:
    """Why the canary is promoted, once nothing is missing."""
    better = f"; better: {', '.join(plan.all_goals)}" if plan.all_goals else ""
    if not plan.proven_by_shadow or plan.shadow is None:
        return f"every guard is not worse{better}"
    names, points = ", ".join(plan.proven_by_shadow), 100 * plan.shadow.effective_margin
    return (
        f"{names}: not worse by {points:.3g} points on logged inputs, and no harm in {findings.step_calls:,} "
        f"live calls; every other guard is not worse{better}"
    )


def _unproven(
    guard: PlanMetric, found: MetricFinding | None, findings: Findings, *, shown: bool
) -> str | None:
    """Why a guard lets nothing through yet. ``shown``: by the shadow phase, so that no harm is enough."""
    if found is None or found.worse or not (found.not_worse or shown):
        return _open_reason(found)
    if guard.name in findings.unheard:
        return f"no {guard.source} has come for any call, so nothing would be noticed"
    if guard.kind == "ratio" or found.better:
        return None
    if (bad := found.stable_mean or 0.0) >= 1.0:
        return f"stable passes nothing, so nothing can be worse: {found.sentence}"
    if bad + guard.margin >= 1.0:
        return f"stable does so badly that the limit lies beyond the worst: {found.sentence}"
    return None


def _open_reason(found: MetricFinding | None) -> str:
    if found is None:
        return "nothing is known yet"
    needed = "" if found.calls_needed is None else f"; about {max(1, round(found.calls_needed)):,} more calls"
    return f"{found.sentence or found.verdict}{needed}"
