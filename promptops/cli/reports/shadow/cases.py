"""Pairs as the cases that an eval's formats draw."""

from promptops.evaluation.result import CaseFlip, TrialResult
from promptops.evaluation.shadow.pair import ShadowAnswer, ShadowPair


def pair_to_flip(pair: ShadowPair) -> CaseFlip:
    return CaseFlip(
        case_id=pair.source or f"pair {pair.number}",
        tags=pair.tags,
        inputs=pair.inputs,
        expected=None,
        control=_trial(pair.control),
        candidate=_trial(pair.candidate),
        loss=1.0,
    )


def _trial(side: ShadowAnswer) -> TrialResult:
    tokens = (side.input_tokens, side.output_tokens)
    return TrialResult(
        run_id=side.run_id,
        output=side.output,
        passed=side.passed,
        error=side.error,
        failed=side.problems,
        latency_ms=side.latency_ms,
        cost_usd=side.cost_usd,
        tokens=None if None in tokens else sum(each or 0 for each in tokens),
        cached=False,
    )
