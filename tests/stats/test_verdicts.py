"""The four words, and the sentences that they are shown as."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptops.stats import verdicts
from promptops.stats.intervals import Interval
from promptops.stats.verdicts import (
    Verdict,
    VerdictDetails,
    Wording,
    decide_verdict,
    verdict_sentence,
)


def test_there_are_four_words() -> None:
    assert [str(word) for word in Verdict] == ["worse", "not worse", "better", "undecided"]


@pytest.mark.parametrize(
    ("worse", "not_worse", "better", "word"),
    [
        (False, False, False, Verdict.UNDECIDED),
        (False, True, False, Verdict.NOT_WORSE),
        (False, True, True, Verdict.BETTER),
        (True, True, True, Verdict.WORSE),
        (True, False, False, Verdict.WORSE),
    ],
)
def test_harm_goes_first(worse: bool, not_worse: bool, better: bool, word: Verdict) -> None:
    assert decide_verdict(worse=worse, not_worse=not_worse, better=better) is word


def shown(
    word: Verdict, low: float, high: float, wording: Wording = verdicts.WRONG_ANSWER_WORDING, **more: Any
) -> str:
    finding: dict[str, Any] = {"bounds": Interval(low, high), "count": 640, "margin": 0.03} | more
    return verdict_sentence(
        VerdictDetails(verdict=word, subject="v13", against="v12", wording=wording, **finding)
    )


def test_each_word_is_a_sentence_with_a_number() -> None:
    assert (
        shown(Verdict.NOT_WORSE, -0.03, 0.012)
        == "v13 answers wrong at most 1.2 points more often than v12 (95 %), from 640 calls; limit 3"
    )
    assert (
        shown(Verdict.WORSE, 0.0419, 0.12)
        == "v13 answers wrong at least 4.1 points more often than v12 (95 %), from 640 calls; limit 3"
    )
    assert (
        shown(Verdict.BETTER, -0.3, -0.0201)
        == "v13 answers wrong at least 2 points less often than v12 (95 %), from 640 calls"
    )
    assert (
        shown(Verdict.UNDECIDED, -0.01, 0.0421)
        == "v13 answers wrong at most 4.3 points more often than v12 (95 %), from 640 calls; limit 3; "
        "undecided"
    )


def test_other_kinds_of_metric() -> None:
    assert (
        shown(Verdict.NOT_WORSE, 0.9, 1.081, verdicts.LATENCY_WORDING, margin=1.2, count=1234)
        == "v13 typically takes at most 9 % more time than v12 (95 %), from 1,234 calls; limit 20"
    )
    assert (
        shown(Verdict.WORSE, 1.059, 1.3, verdicts.COST_WORDING, margin=None)
        == "v13 typically costs at least 5 % more than v12 (95 %), from 640 calls"
    )
    assert (
        shown(Verdict.NOT_WORSE, -0.1, 0.034, verdicts.SCORE_WORDING, margin=0.05, counted="pairs", count=1)
        == "v13 scores at most 0.04 lower than v12 (95 %), from 1 pair; limit 0.05"
    )
    assert (
        shown(Verdict.NOT_WORSE, -0.2, -0.01, verdicts.CHECKS_WORDING, confidence=0.975, count=9)
        == "v13 fails checks at least 1 point less often than v12 (97.5 %), from 9 calls; limit 3"
    )
    assert (
        shown(Verdict.WORSE, -0.02, 0.2, verdicts.ERRORS_WORDING)
        == "v13 fails at most 2 points less often than v12 (95 %), from 640 calls; limit 3"
    )


def test_what_was_never_measured_is_said() -> None:
    finding = VerdictDetails(Verdict.UNDECIDED, "v13", "v12", verdicts.WRONG_ANSWER_WORDING, None, 0)
    assert verdict_sentence(finding) == "v13 cannot be compared with v12 yet: no calls scored"


@given(st.floats(-1.0, 1.0), st.sampled_from(Verdict))
def test_a_sentence_never_claims_more_than_the_bound(bound: float, word: Verdict) -> None:
    text = shown(word, bound, bound)
    number = float(text.split(" point")[0].rsplit(" ", 1)[1]) / 100
    claimed = number if "more often" in text else -number
    if word is Verdict.WORSE:
        assert claimed <= bound + 1e-8
    else:
        assert claimed >= bound - 1e-8
    assert abs(claimed - bound) < 0.00101
