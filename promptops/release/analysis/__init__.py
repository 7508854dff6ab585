"""What a rollout's calls say so far: brought up to date by ``observe``, read at once by ``stored``."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from promptops.registry.records import utc_text
from promptops.registry.release import observations as log
from promptops.registry.release.breaker import breaker_reason
from promptops.registry.release.exposure import note_met
from promptops.registry.store import Registry
from promptops.release.analysis.confidence_bounds import bounds_of
from promptops.release.analysis.eval_gate import eval_gate
from promptops.release.analysis.findings import Findings, MetricFinding
from promptops.release.analysis.findings_json import decode_findings, encode_findings
from promptops.release.analysis.metric_tests import Tests
from promptops.release.analysis.missing_rows import missing_rows
from promptops.release.analysis.update import Look, bring_up_to_date
from promptops.release.analysis.verdicts import conclude
from promptops.release.plan.types import Plan
from promptops.release.timestamps import seconds_of
from promptops.versions.release_state import Released, Rollout

SUMMARY = "summary"
FORMAT = 1
_DAY_S = 86_400.0


def observe(  # noqa: PLR0913 - the last four are seldom given
    registry: Registry,
    rollout: Rollout,
    prompt: str,
    channel: str,
    plan: Plan,
    now: float,
    *,
    committed: Mapping[str, Any] | None = None,
    bounds: bool = True,
    stable: Released | None = None,
) -> Findings:
    """Score what has settled since the last time, and say what all of it shows. ``now`` in seconds.

    ``committed``: the rollout's last evidence on the state branch; ``bounds``: also look for confidence
    sequences; ``stable``: what sentences and base rates compare with. Two of these at once take turns.
    """
    look = Look(rollout=rollout, prompt=prompt, channel=channel, plan=plan, now=now, stable=stable)
    tests = bring_up_to_date(registry, look)
    found = bounds_of(registry, rollout.id, tests, search=bounds)
    first, since = log.extent(registry, rollout.id)
    against = stable.version if stable else "stable"
    findings = Findings(
        registry=log.registry_id(registry),
        registry_path=str(registry.path),
        watermark=tests.instant.watermark,
        calls=tests.ratio.calls,
        canary_calls=tests.ratio.canary_calls,
        step_canary_calls=_in_step(registry, rollout, tests),
        step_started=rollout.step_started,
        waiting=tests.waiting,
        without_unit=tests.without_unit,
        excluded=dict(tests.excluded),
        expected_canary=tests.ratio.expected,
        sample_ratio_alarm=tests.ratio.alarmed(plan.alpha.srm),
        gaps=(*missing_rows(registry, first, since, plan, now), *tests.faults),
        reviewed=_reviewed(registry, rollout, plan),
        breaker=breaker_reason(registry, rollout.id),
        short_of=max(0, int((committed or {}).get("calls", 0)) - tests.ratio.calls),
        per_day=_per_day(tests, since, now),
        proof=_proof(tests),
        **conclude(tests, rollout, rollout.canary.version, against, found),
    )
    with registry.write() as connection:
        log.save(connection, rollout.id, SUMMARY, encode_findings(findings), findings.watermark)
        note_met(connection, rollout.id)
    return findings


def stored(registry: Registry, rollout: Rollout) -> Findings | None:
    """What was found the last time; None before the first."""
    state = log.load(registry, rollout.id, SUMMARY)
    found = decode_findings(state) if state else None
    if found and found.step_started != rollout.step_started:  # it has moved on since, and nothing was scored
        return replace(found, step_canary_calls=0, step_started=rollout.step_started)
    return found


def _in_step(registry: Registry, rollout: Rollout, tests: Tests) -> int:
    moment = utc_text(seconds_of(rollout.step_started))
    return log.canary_calls_since(registry, rollout.id, moment, tests.instant.watermark)


def _reviewed(registry: Registry, rollout: Rollout, plan: Plan) -> int:
    if not any(step.reviewed is not None for step in plan.steps):
        return 0
    return log.reviewed_calls(registry, rollout.id)


def _per_day(tests: Tests, since: str | None, now: float) -> float | None:
    spent = now - seconds_of(since) if since else 0.0
    return tests.ratio.calls / spent * _DAY_S if spent > 0 and tests.ratio.calls else None


def committed_evidence(rollout: Rollout, findings: Findings) -> dict[str, Any]:
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
        "canary": {"calls": each.canary_calls, "mean": each.canary_mean, "missing": each.canary_missing},
        "stable": {"calls": each.stable_calls, "mean": each.stable_mean, "missing": each.stable_missing},
        "late": each.late,
        "bounds": asdict(each.bounds) if each.bounds else None,
        "sentence": each.sentence,
    }


def _proof(tests: Tests) -> dict[str, Any]:
    """Counts and sums by arm and step, how far each metric was scored, and what was known beforehand."""
    state = tests.to_json()
    inner = [(name, lane, each) for lane in state["lanes"] for name, each in lane["metrics"].items()]
    return {
        "plan": state["plan"],
        "priors": state["priors"],
        "watermarks": {name: lane["watermark"] for name, lane, _ in inner},
        "steps": {name: each["steps"] for name, _, each in inner},
    }


__all__ = ["committed_evidence", "eval_gate", "observe", "stored"]
