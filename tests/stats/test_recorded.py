"""Recorded model changes and ratings by people: known counts, p-values and verdicts must come out."""

import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from promptops.evaluation.paired_counts import ScoreDifferences, ScoreSlice
from promptops.stats import agreement
from promptops.stats.eprocess import Hypothesis, paired_test
from promptops.stats.paired import mcnemar, paired_rates

BINARY = [
    ("llmdrift/prime-gpt35", "llmdrift/truth-prime-gpt35"),
    ("llmdrift/prime-gpt4", "llmdrift/truth-prime-gpt4"),
    ("llmdrift/sensitive-gpt35", "llmdrift/truth-sensitive-gpt35"),
    ("llmdrift/sensitive-gpt4", "llmdrift/truth-sensitive-gpt4"),
    ("gsm8k-systems/pairs-175b", "gsm8k-systems/truth-pairs-175b"),
    ("mmlupro/mistral-v01-to-v02", "mmlupro/truth-mistral-v01-to-v02"),
    ("bbh-prompt-change/pairs", "bbh-prompt-change/truth"),
]
SCORED = [
    ("alpacaeval/gpt35-0301-to-1106", "alpacaeval/truth-gpt35-0301-to-1106"),
    ("alpacaeval/gpt35-0301-to-1106-weightedjudge", "alpacaeval/truth-gpt35-0301-to-1106-weightedjudge"),
]


@cache
def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def truth(shared: Path, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((shared / "data" / f"{name}.json").read_text("utf-8"))
    return found


def counts(pairs: Iterator[Mapping[str, Any]]) -> tuple[int, int, int]:
    broke = fixed = number = 0
    for pair in pairs:
        before, after = bool(pair["baseline"]["correct"]), bool(pair["candidate"]["correct"])
        broke, fixed, number = broke + (before and not after), fixed + (after and not before), number + 1
    return broke, fixed, number


@pytest.mark.parametrize(("name", "expected"), BINARY)
def test_recorded_pairs_give_the_known_counts_and_p_values(shared: Path, name: str, expected: str) -> None:
    pairs = lines(shared / "data" / f"{name}.jsonl")
    for task, known in truth(shared, expected).items():
        if task.startswith("_"):
            continue
        broke, fixed, number = counts(pair for pair in pairs if pair["task"] == task)
        assert (broke, fixed, number) == (known["broke"], known["fixed"], known["n"])
        assert mcnemar(broke, fixed) == pytest.approx(known["mcnemar_exact_p"], rel=0.006)
        found = paired_rates(broke, fixed, number)
        assert found.value == pytest.approx(-known["diff"], abs=6e-5)
        word = "no significant change" if found.low <= 0 <= found.high else "improve"
        assert (word if found.value < 0 or word != "improve" else "regress") == known["verdict"]


def compared(pairs: list[tuple[float, float]]) -> ScoreSlice:
    scores = ScoreDifferences()
    for control, candidate in pairs:
        scores.add(control, candidate)
    found = scores.slice("score")
    assert found is not None
    return found


@pytest.mark.parametrize(("name", "expected"), SCORED)
def test_recorded_preferences_give_the_known_difference(shared: Path, name: str, expected: str) -> None:
    known = truth(shared, expected)["_extra"]
    pairs = lines(shared / "data" / f"{name}.jsonl")
    wins = [(p["baseline"]["win"], p["candidate"]["win"]) for p in pairs]
    judged = [(a, b) for a, b in wins if a is not None and b is not None]
    found = compared(judged)
    assert found.pairs == known["n"]
    assert 100 * found.difference == pytest.approx(known["paired_diff_points"], abs=0.006)
    assert 100 * (found.high - found.difference) == pytest.approx(1.963 * known["paired_se_points"], abs=0.02)
    assert (found.p < 0.05) == (abs(known["z"]) > 1.96)


def verdict_after(pairs: list[dict[str, Any]], question: Hypothesis, bound: float) -> int | None:
    test = paired_test(question, bound)
    for number, pair in enumerate(pairs, start=1):
        test.update(float(pair["baseline"]["correct"]) - float(pair["candidate"]["correct"]))
        if test.rejects(0.05):
            return number
    return None


def test_recorded_changes_are_caught_within_a_hundred_pairs(shared: Path) -> None:
    gpt4 = [p for p in lines(shared / "data/llmdrift/prime-gpt4.jsonl") if p["task"].startswith("prime")]
    gpt35 = [p for p in lines(shared / "data/llmdrift/prime-gpt35.jsonl") if p["task"].startswith("prime")]
    assert (verdict_after(gpt4, Hypothesis.WORSE, 0.0) or 999) < 20
    assert verdict_after(gpt4, Hypothesis.NOT_WORSE, 0.03) is None
    assert (verdict_after(gpt35, Hypothesis.NOT_WORSE, 0.0) or 999) < 20
    assert verdict_after(gpt35, Hypothesis.WORSE, 0.0) is None


def test_a_judge_asked_again_is_no_change(shared: Path) -> None:
    judged = [line["scores"] for line in lines(shared / "data/judge-noise/vicuna_eval.jsonl")]
    assert sum(len(set(scores)) > 1 for scores in judged) == 121
    found = compared([(s[0] / 5, s[1] / 5) for s in judged])
    assert found.low < 0 < found.high
    assert found.p > 0.05
    for question in Hypothesis:
        test = paired_test(question, 0.0)
        for scores in judged:
            test.update((scores[0] - scores[1]) / 5)
        assert not test.rejects(0.05)
    assert 0.05 < agreement.detectable_difference(judged, len(judged)) < 0.2


def test_a_judge_agrees_with_itself_as_the_references_say(shared: Path) -> None:
    krippendorff = pytest.importorskip("krippendorff")
    inter_rater = pytest.importorskip("statsmodels.stats.inter_rater")
    judged = [line["scores"] for line in lines(shared / "data/judge-noise/vicuna_eval.jsonl")]
    for level in ("nominal", "ordinal", "interval"):
        expected = krippendorff.alpha(list(zip(*judged, strict=True)), level_of_measurement=level)
        found = agreement.krippendorff_alpha(judged, level=level)
        assert found.value == pytest.approx(expected)
        assert found.low < found.value < found.high
    first, second = [s[0] for s in judged], [s[1] for s in judged]
    table = [
        [sum((a, b) == pair for pair in zip(first, second, strict=True)) for b in range(1, 6)]
        for a in range(1, 6)
    ]
    expected = inter_rater.cohens_kappa(table, wt="quadratic")
    found = agreement.cohen_kappa(first, second, weights="quadratic", categories=[1, 2, 3, 4, 5])
    assert found.value == pytest.approx(expected.kappa)
    assert found.low == pytest.approx(expected.kappa_low)


def test_people_agree_on_sentiment_as_the_reference_says(shared: Path) -> None:
    krippendorff = pytest.importorskip("krippendorff")
    rated = [line["ratings"] for line in lines(shared / "data/sentiment-raters/tweets.jsonl")]
    most = max(map(len, rated))
    matrix = [[ratings[at] if at < len(ratings) else float("nan") for ratings in rated] for at in range(most)]
    for level in ("ordinal", "interval"):
        expected = krippendorff.alpha(matrix, level_of_measurement=level)
        found = agreement.krippendorff_alpha(rated, level=level)
        assert found.value == pytest.approx(expected)
        assert found.high - found.low < 0.05
