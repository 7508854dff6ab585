"""Results of evals, made by hand: two versions of a prompt, one alone, and several models."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from promptops.evaluation.result import (
    CaseFlip,
    CaseResult,
    EvalComparison,
    EvalResult,
    Rate,
    Slice,
    TrialResult,
    VariantResult,
)
from promptops.stats.intervals import wilson_interval


def rate(passed: int, counted: int) -> Rate:
    if not counted:
        return Rate(passed=0, counted=0, rate=None, low=None, high=None)
    bounds = wilson_interval(passed, counted)
    return Rate(passed=passed, counted=counted, rate=passed / counted, low=bounds.low, high=bounds.high)


def trial(output: str | None, *failed: str, error: str | None = None, **other: Any) -> TrialResult:
    known = {"run_id": "01K2YB7F3Q", "latency_ms": 812.4, "cost_usd": 0.00021, "tokens": 310, "cached": False}
    return TrialResult(
        output=output, passed=not failed and not error, error=error, failed=failed, **{**known, **other}
    )


def case(case_id: str, *trials: TrialResult, tags: Sequence[str] = (), **other: Any) -> CaseResult:
    passed = sum(one.passed for one in trials)
    known = {"inputs": {"ticket": "Where is my parcel?"}, "expected": None}
    return CaseResult(
        case_id=case_id,
        tags=tuple(tags),
        trials=trials,
        passed=2 * passed > len(trials),
        flaky=0 < passed < len(trials),
        **{**known, **other},
    )


def side(label: str, passed: int = 198, counted: int = 240, **other: Any) -> VariantResult:
    known: dict[str, Any] = {
        "prompt": "support/reply",
        "digest": "sha256:3f2c9e1d88aa41c09b1177ee5d6a0c2f3f2c9e1d88aa41c09b1177ee5d6a0c2f",
        "model": "openai/gpt-4o-mini-2024-07-18",
        "overall": rate(passed, counted),
        "by_check": {},
        "by_tag": {},
        "scores": {},
        "errors": 0,
        "flaky": 0,
        "latency_p50_ms": 812.0,
        "latency_p95_ms": 1934.0,
        "input_tokens": 181_440,
        "output_tokens": 41_280,
        "tokens_per_passed": 1124.8,
        "cost_usd": 0.05198,
        "cost_per_case_usd": 0.000217,
        "cost_per_passed_usd": 0.000263,
        "spent_usd": 0.05198,
        "cache_hits": 0,
        "judge_failures": 0,
    }
    return VariantResult(label=label, **{**known, **other})


def slice_of(name: str, pairs: int, broke: int, fixed: int, p: float, p_adjusted: float) -> Slice:
    difference = (fixed - broke) / pairs
    spread = 1.96 * max(1, broke + fixed) ** 0.5 / pairs
    return Slice(
        name=name,
        pairs=pairs,
        difference=difference,
        low=difference - spread,
        high=difference + spread,
        broke=broke,
        fixed=fixed,
        p=p,
        p_adjusted=p_adjusted,
    )


def flip(
    case_id: str, ticket: str, control: TrialResult, candidate: TrialResult, *tags: str, loss: float = 1.0
) -> CaseFlip:
    return CaseFlip(
        case_id=case_id,
        tags=tags,
        inputs={"ticket": ticket, "language": "en"},
        expected=None,
        control=control,
        candidate=candidate,
        loss=loss,
    )


BROKE = (
    flip(
        "refund-after-30-days",
        "I bought the kettle six weeks ago and it never worked. I want my money back.",
        trial(
            "I'm sorry the kettle never worked. As it arrived faulty, you are covered for two years: we can "
            "send a replacement or refund you in full. Which would you prefer?"
        ),
        trial(
            "I'm sorry the kettle never worked. As your order is older than 30 days, we can send a "
            "replacement, but we can no longer refund you. Which colour would you prefer?",
            "mentions_refund: 'refund you in full' is not in the answer",
            "judge_policy: 1 of 5, a faulty item may be returned for two years",
        ),
        "refunds",
        "faulty",
    ),
    flip(
        "partial-refund",
        "Two of the six glasses were broken. Can I keep the others and get some money back?",
        trial(
            "Sorry about the broken glasses! Keep the other four; I've asked for a third of the price back."
        ),
        trial(
            "Sorry about the broken glasses! Please send all six back and we will refund the whole set.",
            "judge_policy: 2 of 5, the customer asked to keep the rest",
        ),
        "refunds",
    ),
    flip(
        "refund-gift-card",
        "I paid with a gift card. Where does the refund go?",
        trial("Refunds of gift card orders go back to the same card within three days."),
        trial(None, error="timeout"),
        "refunds",
        "payment",
    ),
    flip(
        "shipping-split",
        "Only half of my order came.",
        trial("Your order was sent in two parcels. The second one arrives on Thursday."),
        trial(
            "Your order was sent in two parcels. The second one is on its way: see your account.",
            "gives_date: no date found",
        ),
        "shipping",
    ),
)

FIXED = (
    flip(
        "angry-customer-3",
        "THIS IS THE THIRD TIME I WRITE. Cancel my account!!!",
        trial(
            "Hello! To cancel your account, please open Settings and choose Cancel. Have a great day!",
            "judge_tone: 2 of 5, ignores that the customer wrote three times",
        ),
        trial(
            "I'm sorry that you had to write three times. I have cancelled your account; you'll get a "
            "confirmation within the hour."
        ),
        "tone",
        "account",
        loss=-1.0,
    ),
    flip(
        "german-question",
        "Wo ist meine Rechnung?",
        trial("You can find your invoice under Orders.", "language: en is not de"),
        trial("Ihre Rechnung finden Sie unter „Bestellungen“."),
        "language",
        loss=-1.0,
    ),
)


def compared() -> EvalResult:
    """The whole got better, refunds got worse."""
    tags = {"refunds": (36, 35, 40), "shipping": (52, 53, 60), "account": (44, 52, 60), "tone": (30, 44, 50)}
    tags["language"] = (36, 45, 50)
    checks = {"mentions_refund": (38, 33, 40), "language": (221, 237, 240), "judge_tone": (205, 229, 240)}
    checks |= {"max_words": (240, 239, 240), "judge_policy": (222, 214, 240)}
    tags["refunds"] = (37, 30, 40)
    control = side(
        "support/reply@3f2c9e1",
        198,
        by_tag={name: rate(old, total) for name, (old, _, total) in tags.items()},
        by_check={name: rate(old, total) for name, (old, _, total) in checks.items()},
        flaky=4,
        cache_hits=720,
        spent_usd=0.0,
    )
    candidate = side(
        "support/reply@9ab21c0",
        216,
        by_tag={name: rate(new, total) for name, (_, new, total) in tags.items()},
        by_check={name: rate(new, total) for name, (_, new, total) in checks.items()},
        errors=1,
        flaky=6,
        latency_p50_ms=934.0,
        latency_p95_ms=2140.0,
        input_tokens=201_600,
        output_tokens=46_100,
        tokens_per_passed=1146.8,
        cost_usd=0.0579,
        cost_per_case_usd=0.000241,
        cost_per_passed_usd=0.000268,
        judge_failures=2,
        digest="sha256:9ab21c07e0",
    )
    comparison = EvalComparison(
        verdict="better",
        sentence="support/reply@9ab21c0 fails checks at least 3.2 points less often than "
        "support/reply@3f2c9e1 (95 %), from 240 cases",
        margin=0.03,
        whole=slice_of("all", 240, 9, 27, 0.0041, 0.0041),
        tags=(
            slice_of("refunds", 40, 7, 0, 0.0156, 0.047),
            slice_of("shipping", 60, 2, 3, 1.0, 1.0),
            slice_of("account", 60, 0, 8, 0.0078, 0.039),
            slice_of("tone", 50, 0, 14, 0.0001, 0.0009),
            slice_of("language", 50, 0, 9, 0.0039, 0.023),
        ),
        checks=(
            slice_of("mentions_refund", 40, 5, 0, 0.0625, 0.19),
            slice_of("judge_policy", 240, 9, 1, 0.0215, 0.052),
            slice_of("language", 240, 0, 16, 0.00003, 0.0003),
            slice_of("judge_tone", 240, 3, 27, 0.00001, 0.0001),
            slice_of("max_words", 240, 1, 0, 1.0, 1.0),
        ),
        worse_slices=("refunds",),
        broke=BROKE,
        fixed=FIXED,
        pairs_used=240,
    )
    good, bad = trial("It arrives on Thursday."), trial("Soon.", "gives_date: no date found")
    flaky = case("shipping-abroad", good, bad, good, tags=("shipping",))
    return EvalResult(
        eval_id="01K2YB7EZW",
        sides=(control, candidate),
        cases=((flaky, case("steady", good)), (case("shipping-abroad", bad, bad, good), case("steady", bad))),
        comparison=comparison,
        trials=3,
        cases_total=240,
        cases_hash="c0ffee1234567890",
        checks_hash="beef1234567890ab",
        changed=(
            "system message: 41 words added, 6 removed",
            "parameters.temperature: 0.7 -> 0.2",
            "new input `language` (string, default en)",
        ),
        started_at="2026-03-04T09:30:00.123Z",
        finished_at="2026-03-04T09:33:12.456Z",
    )


def alone(*cases: CaseResult, **other: Any) -> EvalResult:
    listed = cases or (
        case("ok", trial("Your refund is on its way.")),
        case("wrong", trial("Maybe.", "contains: refund"), tags=("refunds",), expected="refund"),
        case("silent", trial(None, error="timeout")),
        case("wavering", trial("refund"), trial("no", "contains: refund"), trial("refund")),
    )
    passed = sum(one.passed for one in listed)
    result = EvalResult(
        eval_id="01K2YB7EZX",
        sides=(side("support/reply@3f2c9e1", passed, len(listed), by_tag={"refunds": rate(0, 1)}),),
        cases=(listed,),
        comparison=None,
        trials=1,
        cases_total=len(listed),
        cases_hash="c0ffee",
        checks_hash="beef",
        started_at="2026-03-04T09:30:00Z",
    )
    return replace(result, **other)


def several() -> EvalResult:
    """Four models, of which the second is neither best nor cheapest."""
    known = [
        ("anthropic/claude-sonnet-4-20250514", 229, 0.0031, 1410.0, 3100.0, True),
        ("openai/gpt-4o-2024-11-20", 221, 0.0036, 990.0, 2300.0, False),
        ("openai/gpt-4o-mini-2024-07-18", 216, 0.00024, 812.0, 1934.0, True),
        ("local/qwen2.5-3b-instruct", 171, 0.0, 2900.0, 5200.0, True),
    ]
    sides = tuple(
        side(
            model,
            passed,
            model=model,
            cost_per_case_usd=cost,
            cost_per_passed_usd=cost * 240 / passed,
            latency_p50_ms=p50,
            latency_p95_ms=p95,
            pareto=front,
            by_tag={"refunds": rate(passed // 6, 40), "tone": rate(passed // 5, 50)},
        )
        for model, passed, cost, p50, p95, front in known
    )
    return replace(alone(), sides=sides, cases=((), (), (), ()), cases_total=240, trials=3)
