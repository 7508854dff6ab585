"""Comparisons of shadow runs, made by hand of pairs of answers."""

import json
from typing import Any

from promptops.evaluation.shadow.aggregator import ShadowAggregator, ShadowRunInfo
from promptops.evaluation.shadow.pair import ShadowAnswer, ShadowPair
from promptops.evaluation.shadow.result import ShadowComparison, SideInfo

HOSTILE = "</code></pre><script>alert(1)</script> @everyone #1 | ```"


def side(output: str | None = "yes", **more: Any) -> ShadowAnswer:
    return ShadowAnswer(run_id="01A", output=output, **more)


def pair(number: int, control: ShadowAnswer, candidate: ShadowAnswer, **more: Any) -> ShadowPair:
    fields = {"source": None, "inputs": {"q": f"question {number}"}, "tags": (), **more}
    return ShadowPair(number=number, control=control, candidate=candidate, **fields)


def passing(passed: bool, output: str = "yes", **more: Any) -> ShadowAnswer:
    failed = () if passed else ("right: is not right",)
    return side(output, checks={"right": passed}, failed=failed, **more)


def compared(pairs: list[ShadowPair], prompt: str = "support/triage", **frame: Any) -> ShadowComparison:
    aggregator = ShadowAggregator("checks", 0.03)
    for each in pairs:
        aggregator.add(each)
    parties = (
        SideInfo(label=f"{prompt}@1", digest="1" * 64, model="m"),
        SideInfo(label=f"{prompt}@2", digest="2" * 64, model="m"),
    )
    about = ShadowRunInfo(
        shadow_id="01SHADOW",
        prompt=prompt,
        control=parties[0],
        candidate=parties[1],
        planned=len(pairs),
        seed=7,
        **frame,
    )
    return aggregator.result(about, stopped="all", spent_usd=0.25)


def broken(count: int = 40) -> list[ShadowPair]:
    """The candidate fails every third, takes twice as long, and says ``label`` in JSON differently."""
    return [
        pair(
            number,
            passing(
                True,
                json.dumps({"label": "a", "n": number}),
                latency_ms=100.0,
                cost_usd=0.001,
                output_tokens=5,
            ),
            passing(
                number % 3 > 0,
                json.dumps({"label": "a" if number % 3 else HOSTILE, "n": number}),
                latency_ms=200.0 + number,
                cost_usd=0.001,
                output_tokens=5,
            ),
            tags=("even" if number % 2 == 0 else "odd",),
        )
        for number in range(1, count + 1)
    ]
