"""What of an eval is kept in the registry, a record for each side."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from promptops.evaluation.result import EvalComparison, EvalResult, VariantResult, worse_check_losses
from promptops.prompt.canonical_json import sha256_hex
from promptops.registry import EvalRecord

_STORED_FIELDS = (
    "errors", "flaky", "latency_p50_ms", "latency_p95_ms", "input_tokens", "output_tokens", "cost_usd",
    "cost_per_case_usd", "cost_per_passed_usd", "judge_failures",
)  # fmt: skip


def eval_records(result: EvalResult) -> Iterator[EvalRecord]:
    compared = result.comparison
    for number, side in enumerate(result.sides):
        candidate = compared is not None and number == 1
        own = candidate or (compared is None and number == 0)
        yield EvalRecord(
            eval_id=result.eval_id if own else f"{result.eval_id}-{number}",
            prompt=side.prompt,
            digest=side.digest,
            against=result.sides[0].digest if candidate else None,
            cases_hash=sha256_hex(f"{result.cases_hash} {result.checks_hash}".encode()),
            trials=result.trials,
            counts=_counts(side),
            verdicts=_verdicts(compared) if compared and candidate else {},
            started_at=result.started_at,
            finished_at=result.finished_at if result.stopped in (None, "verdict") else None,
        )


def _counts(side: VariantResult) -> dict[str, Any]:
    overall = side.overall
    return {
        "cases": overall.counted,
        "passed": overall.passed,
        "rate": overall.rate,
        "low": overall.low,
        "high": overall.high,
        "checks": {name: [rate.passed, rate.counted] for name, rate in side.by_check.items()},
        "tags": {name: [rate.passed, rate.counted] for name, rate in side.by_tag.items()},
        "scores": dict(side.scores),
        **{name: getattr(side, name) for name in _STORED_FIELDS},
    }


def _verdicts(compared: EvalComparison) -> dict[str, Any]:
    return {
        "verdict": compared.verdict,
        "sentence": compared.sentence,
        "margin": compared.margin,
        "within_margin": compared.within_margin,
        "worse_slices": list(compared.worse_slices),
        "worse_checks": worse_check_losses(compared.checks, compared.worse_checks),
        "whole": asdict(compared.whole),
        "e_values": dict(compared.e_values),
    }
