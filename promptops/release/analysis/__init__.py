"""What a rollout's calls say so far: updated by ``analyze_rollout``, read by ``load_findings``."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from promptops.registry import (
    RegistryDatabase,
    breaker_reason,
    count_reviewed_calls,
    find_first_rollout_run,
    has_outcome,
    load_analysis_states,
    read_registry_id,
    save_analysis_state,
)
from promptops.release.analysis.confidence_bounds import update_bounds
from promptops.release.analysis.eval_gate import eval_gate
from promptops.release.analysis.findings import Findings, MetricFinding
from promptops.release.analysis.findings_json import decode_findings, encode_findings
from promptops.release.analysis.metric_tests import ENGINE
from promptops.release.analysis.missing_rows import missing_rows
from promptops.release.analysis.rollout_tests import RolloutTests, stored_engine
from promptops.release.analysis.scoring import metric_readers
from promptops.release.analysis.update import AnalysisRequest, update_tests
from promptops.release.analysis.verdicts import evaluate_metrics
from promptops.release.plan.types import ReleasePlan
from promptops.release.timestamps import parse_timestamp
from promptops.versions.release_state import ReleasedVersion, Rollout

SUMMARY = "summary"
FORMAT = 1
_DAY_S = 86_400.0


def analyze_rollout(  # noqa: PLR0913 - the last four are seldom given
    registry: RegistryDatabase,
    rollout: Rollout,
    prompt: str,
    channel: str,
    plan: ReleasePlan,
    now: float,
    *,
    committed: Mapping[str, Any] | None = None,
    bounds: bool = True,
    stable: ReleasedVersion | None = None,
) -> Findings:
    """Score what has settled since the last time, and say what all of it shows. ``now`` in seconds.

    ``committed``: the rollout's last evidence on the state branch; ``bounds``: also look for confidence
    sequences; ``stable``: what sentences and base rates compare with. Two of these at once take turns.
    """
    look = AnalysisRequest(
        rollout=rollout,
        prompt=prompt,
        channel=channel,
        plan=plan,
        now=now,
        stable=stable,
        engine=stored_engine(committed) if committed else ENGINE,
    )
    tests = update_tests(registry, look)
    found = update_bounds(registry, rollout.id, tests, search=bounds)
    first, since = find_first_rollout_run(registry, rollout.id)
    against = stable.version if stable else "stable"
    findings = Findings(
        registry=read_registry_id(registry),
        registry_path=str(registry.path),
        watermark=tests.instant.watermark,
        calls=tests.ratio.calls,
        canary_calls=tests.ratio.canary_calls,
        step_canary_calls=tests.step.canary_calls,
        step_calls=tests.step.calls,
        step_started=rollout.step_started,
        waiting=tests.waiting,
        without_unit=tests.without_unit,
        excluded=dict(tests.excluded),
        expected_canary=tests.ratio.expected,
        sample_ratio_alarm=tests.ratio.alarmed(plan.alpha.srm),
        unheard=_unheard_guards(registry, rollout, plan),
        gaps=(*missing_rows(registry, first, since, plan, now), *tests.faults),
        reviewed=_reviewed(registry, rollout, plan),
        breaker=breaker_reason(registry, rollout.id),
        short_of=max(0, _committed_calls(committed) - tests.ratio.calls),
        per_day=_per_day(tests, since, now),
        proof=_proof(tests),
        **evaluate_metrics(tests, rollout, rollout.canary.version, against, found),
    )
    save_analysis_state(registry, rollout.id, SUMMARY, encode_findings(findings), findings.watermark)
    return findings


def _committed_calls(committed: Mapping[str, Any] | None) -> int:
    calls = (committed or {}).get("calls")
    return calls if type(calls) is int else 0


def load_findings(registry: RegistryDatabase, rollout: Rollout) -> Findings | None:
    """What was found the last time; None before the first."""
    return load_all_findings(registry, [rollout]).get(rollout.id)


def load_all_findings(registry: RegistryDatabase, rollouts: Sequence[Rollout]) -> dict[str, Findings]:
    """The same of many: by rollout."""
    states = load_analysis_states(registry, [rollout.id for rollout in rollouts], SUMMARY)
    found = {
        rollout.id: _findings_from(states[rollout.id], rollout)
        for rollout in rollouts
        if rollout.id in states
    }
    return {rollout: each for rollout, each in found.items() if each}


def _findings_from(state: dict[str, Any], rollout: Rollout) -> Findings | None:
    found = decode_findings(state)
    if found and found.step_started != rollout.step_started:  # it has moved on since, and nothing was scored
        return replace(found, step_canary_calls=0, step_calls=0, step_started=rollout.step_started)
    return found


def _reviewed(registry: RegistryDatabase, rollout: Rollout, plan: ReleasePlan) -> int:
    if not any(step.reviewed is not None for step in plan.steps):
        return 0
    return count_reviewed_calls(registry, rollout.id)


def _unheard_guards(registry: RegistryDatabase, rollout: Rollout, plan: ReleasePlan) -> tuple[str, ...]:
    """Where a missing outcome is a good one, the canary looks well until somebody says otherwise."""
    readers = metric_readers([each for each in plan.guards if each.missing == "good"])
    return tuple(
        name
        for name, each in readers.items()
        if each.from_outcomes and not has_outcome(registry, rollout.id, each.outcome_source, each.source.name)
    )


def _per_day(tests: RolloutTests, since: str | None, now: float) -> float | None:
    spent = now - parse_timestamp(since) if since else 0.0
    return tests.ratio.calls / spent * _DAY_S if spent > 0 and tests.ratio.calls else None


def build_evidence(rollout: Rollout, findings: Findings) -> dict[str, Any]:
    """What a transition rests on, for the state branch: no inputs, outputs or users."""
    plain = (
        "registry", "watermark", "calls", "canary_calls", "expected_canary", "excluded", "without_unit",
        "harm", "hard", "signals", "sample_ratio_alarm", "gaps", "breaker",
    )  # fmt: skip
    return {
        "format": FORMAT,
        "rollout": rollout.id,
        **findings.proof,
        **{name: _plain(getattr(findings, name)) for name in plain},
        "metrics": {each.metric.name: _metric(each) for each in findings.metrics},
    }


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _metric(each: MetricFinding) -> dict[str, Any]:
    log_e = {"worse": each.log_e_worse, "not_worse": each.log_e_not_worse, "better": each.log_e_better}
    return {
        "verdict": str(each.verdict),
        "worse": each.worse,
        "not_worse": each.not_worse,
        "better": each.better,
        "log_e": log_e,
        "canary": {
            "calls": each.canary_calls,
            "bad": each.canary_bad,
            "mean": each.canary_mean,
            "missing": each.canary_missing,
        },
        "stable": {
            "calls": each.stable_calls,
            "bad": each.stable_bad,
            "mean": each.stable_mean,
            "missing": each.stable_missing,
        },
        "late": each.late,
        "bounds": asdict(each.bounds) if each.bounds else None,
        "sentence": each.sentence,
    }


def _proof(tests: RolloutTests) -> dict[str, Any]:
    """Counts and sums by arm and step, how far each metric was scored, and what was known beforehand."""
    state = tests.to_json()
    inner = [
        (name, window_group, each)
        for window_group in state["lanes"]
        for name, each in window_group["metrics"].items()
    ]
    return {
        "engine": state["engine"],
        "plan": state["plan"],
        "priors": state["priors"],
        "watermarks": {name: window_group["watermark"] for name, window_group, _ in inner},
        "steps": {name: each["steps"] for name, _, each in inner},
    }


__all__ = ["analyze_rollout", "build_evidence", "eval_gate", "load_all_findings", "load_findings"]
