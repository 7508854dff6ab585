"""Measures of likeness agree with the implementations that papers are written with."""

import random

import jiwer
import pytest
import sacrebleu
from rapidfuzz.distance import Levenshtein

from promptops.checks.similarity import METRICS, bleu, chrf, cosine, levenshtein, required_modules, wer
from promptops.checks.types import CheckError

PAIRS = [
    ("the cat sat on the mat", "the cat sat on the mat"),
    ("The cat, it sat - on 2 mats!", "the cat sat on the mat."),
    ("a completely different sentence", "nothing shared here"),
    ("Straße nach München", "Strasse nach Muenchen"),
    ("", "something"),
    ("one", "one two three four five six"),
    ("b a b a c", "a b a c c"),
]


def random_pairs(count: int) -> list[tuple[str, str]]:
    draw = random.Random(7)
    words = ["alpha", "beta", "gamma", "delta", "ε", "x-1"]
    text = lambda: " ".join(draw.choices(words, k=draw.randint(1, 12)))
    return [(text(), text()) for _ in range(count)]


ALL = PAIRS + random_pairs(100)


@pytest.mark.parametrize(
    ("ours", "theirs"), [("rouge_1", "rouge1"), ("rouge_2", "rouge2"), ("rouge_l", "rougeL")]
)
def test_rouge_agrees_with_rouge_score(ours: str, theirs: str) -> None:
    from rouge_score.rouge_scorer import RougeScorer  # with scipy, a second

    scorer = RougeScorer([theirs])
    for output, reference in ALL:
        wanted = scorer.score(reference, output)[theirs].fmeasure
        assert METRICS[ours](output, reference) == pytest.approx(wanted)


def test_bleu_and_chrf_are_sacrebleus_in_hundredths() -> None:
    for output, reference in ALL:
        assert bleu(output, reference) == pytest.approx(
            sacrebleu.sentence_bleu(output, [reference]).score / 100
        )
        assert chrf(output, reference) == pytest.approx(
            sacrebleu.sentence_chrf(output, [reference]).score / 100
        )


def test_wer_is_one_less_jiwers() -> None:
    for output, reference in ALL:
        assert wer(output, reference) == pytest.approx(1 - jiwer.wer(reference, output))
    assert (wer("", ""), wer("x", "")) == (1, 0)


def test_levenshtein_is_the_ratio_of_edits_to_the_longer_text() -> None:
    for output, reference in ALL:
        longer = max(len(output), len(reference))
        assert levenshtein(output, reference) == pytest.approx(
            1 - Levenshtein.distance(output, reference) / longer
        )


def test_cosine_compares_vectors_of_one_length() -> None:
    assert cosine([3, 4], [6, 8]) == pytest.approx(1)
    assert cosine([1, 0], [0, 1]) == 0
    for one, other in (([1.0], [1.0, 2.0]), ([0.0], [1.0])):
        with pytest.raises(CheckError):
            cosine(one, other)


@pytest.mark.parametrize(
    ("argument", "modules"),
    [
        ("text", ("rapidfuzz",)),
        (None, ("rapidfuzz",)),
        ({"by": "chrf"}, ("sacrebleu",)),
        ({"by": "rouge_1"}, ()),
        ({"by": "embedding"}, ()),
    ],
)
def test_only_the_library_of_the_measure_is_needed(argument: object, modules: tuple[str, ...]) -> None:
    assert tuple(required_modules(argument)) == modules
