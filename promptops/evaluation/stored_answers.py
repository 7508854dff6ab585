"""The answers of an eval that has been, read back from the log: cases by versions."""

import json
from collections.abc import Mapping
from dataclasses import field
from typing import Any

from promptops.dataclass import dataclass
from promptops.errors import NotFound
from promptops.evaluation.result import CaseResult, TrialResult
from promptops.evaluation.summary import is_majority, truncate_inputs, truncate_text
from promptops.prompt.tool_calls import comparable_answer
from promptops.registry import RegistryDatabase, RunFilter, RunRecord, iterate_runs

MAX_STORED_CASES = 5_000  # of one eval that are read back
_ARM_ORDER = {"control": 0, "candidate": 1}


@dataclass(frozen=True, slots=True)
class StoredSide:
    """One version in an eval. ``arm``: control or candidate, where two were compared."""

    prompt: str
    digest: str
    model: str
    arm: str | None
    reference: str  # as it was named
    overrides: str  # JSON of what was set in place of the version's own

    @property
    def label(self) -> str:
        """What a person calls it, with what was changed."""
        changed = json.loads(self.overrides)
        model = changed.pop("model", None)
        values = (f"{key.removeprefix('parameters.')}={value}" for key, value in changed.items())
        return " ".join([self.reference, *([str(model)] if model else []), *values])


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredAnswers:
    """``cases``: those that every side answered, as they were first answered; ``left_out``: how many more."""

    eval_id: str
    sides: tuple[StoredSide, ...]
    cases: tuple[tuple[CaseResult, ...], ...]  # per case, a result of each side
    left_out: int = 0


@dataclass(slots=True)
class _Case:
    inputs: Mapping[str, Any]
    trials: dict[StoredSide, dict[int, TrialResult]] = field(default_factory=dict)


def read_stored_answers(registry: RegistryDatabase, eval_id: str) -> StoredAnswers:
    """Raises NotFound for an eval of which the log holds no run.

    What a case expected is not logged, so that it is not told here. A call that a model's grade failed
    counts as failed, as it did then.
    """
    cases: dict[str, _Case] = {}
    sides: dict[StoredSide, None] = {}
    ignored: set[str] = set()
    for run in iterate_runs(registry, RunFilter(eval_id=eval_id, kind="eval")):
        case_id = str(run["case_id"])
        if case_id not in cases and len(cases) >= MAX_STORED_CASES:
            ignored.add(case_id)
            continue
        side = _side(run)
        sides.setdefault(side)
        known = cases.setdefault(case_id, _Case(truncate_inputs(run["inputs"] or {})))
        known.trials.setdefault(side, {})[run["trial"]] = _trial(run)
    if not sides:
        raise NotFound(f"the log holds no answers of eval {eval_id}", hint="promptops eval NAME makes some")
    ordered = tuple(sorted(sides, key=lambda side: _ARM_ORDER.get(side.arm or "", 2)))
    whole = {name: case for name, case in cases.items() if len(case.trials) == len(ordered)}
    return StoredAnswers(
        eval_id=eval_id,
        sides=ordered,
        cases=tuple(
            tuple(_case_result(name, case.inputs, case.trials[side]) for side in ordered)
            for name, case in whole.items()
        ),
        left_out=len(ignored) + len(cases) - len(whole),
    )


def _side(run: RunRecord) -> StoredSide:
    return StoredSide(
        run["prompt"],
        run["digest"],
        run["request_model"],
        run["arm"],
        run["reference"],
        json.dumps(run["overrides"], sort_keys=True, ensure_ascii=False),
    )


def _trial(run: RunRecord) -> TrialResult:
    error = run["error"]
    failed = [
        f"{check['name']}: {check['message']}" if check["message"] else check["name"]
        for check in run["checks"]
        if not check["pass"]
    ]
    tokens = (run["input_tokens"], run["output_tokens"])
    raised = any(check.get("error") for check in run["checks"])
    return TrialResult(
        run_id=run["run_id"],
        output=truncate_text(comparable_answer(run["output"], run["tool_calls"])),
        passed=run["state"] == "finished" and not failed,
        error=error["type"] if error else "check" if raised else None,
        failed=(*([f"{error['type']}: {error['message']}"] if error else []), *failed),
        latency_ms=run["latency_ms"],
        cost_usd=run["cost_usd"],
        tokens=None if None in tokens else sum(tokens),
        cached=run["cache"] is not None,
    )


def _case_result(case_id: str, inputs: Mapping[str, Any], by_number: Mapping[int, TrialResult]) -> CaseResult:
    """The log holds trials in the order in which they ended."""
    trials = [by_number[number] for number in sorted(by_number)]
    passes = [trial.passed for trial in trials]
    return CaseResult(
        case_id=case_id,
        tags=(),
        inputs=inputs,
        expected=None,
        trials=tuple(trials),
        passed=is_majority(passes),
        flaky=0 < sum(passes) < len(passes),
    )
