"""Pairs as the cases that an eval's formats draw."""

from promptops.evaluation.result import Flip, Trial
from promptops.evaluation.shadow.pair import Pair, Side


def flip_of(pair: Pair) -> Flip:
    return Flip(
        case_id=pair.source or f"pair {pair.number}",
        tags=pair.tags,
        inputs=pair.inputs,
        expected=None,
        control=_trial(pair.control),
        candidate=_trial(pair.candidate),
        loss=1.0,
    )


def _trial(side: Side) -> Trial:
    tokens = (side.input_tokens, side.output_tokens)
    return Trial(
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
