"""How near an output comes to a text, from 0 (nothing in common) to 1 (the same).

levenshtein  one less edits/length of the longer, by characters (rapidfuzz's normalized similarity)
rouge_1, rouge_2, rouge_l  F1 over n-grams or the longest common subsequence of ``[a-z0-9]+`` words, in lower
             case and without stemming: google-research's rouge-score, which is English only
bleu, chrf   sacrebleu's sentence scores with their defaults, divided by 100
wer          one less the word error rate (substitutions, insertions and deletions by the words of the
             reference), so that higher is better here as well; below 0 where errors outnumber the words
embedding    cosine of the vectors that an OpenAI-compatible endpoint gives: costs a call
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from promptops.checks.text import argument_or_expected
from promptops.checks.types import (
    CheckError,
    CheckSubject,
    CheckVerdict,
    GraderClient,
    to_texts,
    truncate_line,
)

EMBEDDING_MODEL = "openai/text-embedding-3-small"
THRESHOLD = 0.8
_WORD = "[a-z0-9]+"


def levenshtein(output: str, reference: str) -> float:
    from rapidfuzz.distance import Levenshtein

    return float(Levenshtein.normalized_similarity(output, reference))


def rouge_1(output: str, reference: str) -> float:
    return _rouge_n(output, reference, 1)


def rouge_2(output: str, reference: str) -> float:
    return _rouge_n(output, reference, 2)


def rouge_l(output: str, reference: str) -> float:
    from rapidfuzz.distance import LCSseq

    ours, theirs = _words(output), _words(reference)
    return _f1(LCSseq.similarity(ours, theirs), len(ours), len(theirs))


def _rouge_n(output: str, reference: str, size: int) -> float:
    ours, theirs = (Counter(n_grams(_words(text), size)) for text in (output, reference))
    return _f1((ours & theirs).total(), ours.total(), theirs.total())


def _f1(shared: int, ours: int, theirs: int) -> float:
    return 2 * shared / (ours + theirs) if shared else 0.0


def _words(text: str) -> list[str]:
    return re.findall(_WORD, text.lower())


def n_grams(words: Sequence[str], size: int) -> list[tuple[str, ...]]:
    return list(zip(*(words[start:] for start in range(size)), strict=False))


def bleu(output: str, reference: str) -> float:
    from sacrebleu.metrics.bleu import BLEU

    return float(BLEU(effective_order=True).sentence_score(output, [reference]).score) / 100


def chrf(output: str, reference: str) -> float:
    from sacrebleu.metrics.chrf import CHRF

    return float(CHRF().sentence_score(output, [reference]).score) / 100


def wer(output: str, reference: str) -> float:
    from rapidfuzz.distance import Levenshtein

    wanted = reference.split()
    if not wanted:
        return float(not output.split())
    return 1 - Levenshtein.distance(output.split(), wanted) / len(wanted)


METRICS: Mapping[str, Callable[[str, str], float]] = {
    "levenshtein": levenshtein,
    "rouge_1": rouge_1,
    "rouge_2": rouge_2,
    "rouge_l": rouge_l,
    "bleu": bleu,
    "chrf": chrf,
    "wer": wer,
}
SIMILARITY_SCHEMA: Mapping[str, Any] = {
    "type": ["string", "array", "object"],
    "items": {"type": "string"},
    "minItems": 1,
    "properties": {
        "to": {"type": ["string", "array"], "minItems": 1, "items": {"type": "string"}},
        "by": {"type": "string", "enum": [*METRICS, "embedding"]},
        "model": {"type": "string", "pattern": "^[^/]+/.+"},
    },
    "additionalProperties": False,
}


def similarity(subject: CheckSubject, argument: Any) -> CheckVerdict:
    """Of several references the nearest counts."""
    by, references = _metric_and_references(subject, argument)
    nearest = max(references, key=lambda reference: METRICS[by](subject.output, reference))
    return _verdict(METRICS[by](subject.output, nearest), by, nearest)


async def similarity_by_embedding(
    subject: CheckSubject, argument: Any, _: str, grader: GraderClient
) -> CheckVerdict:
    by, references = _metric_and_references(subject, argument)
    model = argument.get("model", EMBEDDING_MODEL)
    own, *others = await grader.embed(model, [subject.output, *references])
    values = [cosine(own, each) for each in others]
    return _verdict(max(values), by, references[values.index(max(values))])


def cosine(one: Sequence[float], other: Sequence[float]) -> float:
    norm = math.hypot(*one) * math.hypot(*other)
    if len(one) != len(other) or not norm:
        raise CheckError("these vectors cannot be compared: they differ in length, or one is all zeros")
    return math.fsum(a * b for a, b in zip(one, other, strict=True)) / norm


def uses_embedding(argument: Any) -> bool:
    return isinstance(argument, dict) and argument.get("by") == "embedding"


def required_modules(argument: Any) -> Sequence[str]:
    by = argument.get("by", "levenshtein") if isinstance(argument, dict) else "levenshtein"
    if by in ("bleu", "chrf"):
        return ("sacrebleu",)
    return () if by in ("embedding", "rouge_1", "rouge_2") else ("rapidfuzz",)


def _metric_and_references(subject: CheckSubject, argument: Any) -> tuple[str, list[str]]:
    given = argument if isinstance(argument, dict) else {} if argument is None else {"to": argument}
    return given.get("by", "levenshtein"), to_texts(
        argument_or_expected(subject, given.get("to"), "similarity")
    )


def _verdict(value: float, by: str, reference: str) -> CheckVerdict:
    return CheckVerdict(None, f"by {by} to {truncate_line(reference)!r}", round(value, 6))
