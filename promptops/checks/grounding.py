"""How much of an output stands in the inputs it was made from.

This counts words, it does not understand them: an answer that names other people from the source than the
true ones is supported, and a paraphrase in words of its own is not. It finds invented names, numbers and
passages; a judge finds the rest.

tokens     the share of the output's words (of runs of ``n`` words, with ``n``) that occur in the source
sentences  the share of its sentences that are supported: seven in ten of their words occur in the source, and
           every number does
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from promptops.checks.similarity import n_grams
from promptops.checks.types import CheckError, CheckSubject, CheckVerdict, to_text, to_texts, truncate_line

THRESHOLD = 0.8
MIN_WORD_SUPPORT = 0.7  # of a sentence's words
GROUNDED_SCHEMA: Mapping[str, Any] = {
    "type": ["string", "object"],
    "properties": {
        "input": {"type": ["string", "array"], "minItems": 1, "items": {"type": "string"}},
        "by": {"type": "string", "enum": ["tokens", "sentences"]},
        "n": {"type": "integer", "minimum": 1, "maximum": 10},
    },
    "required": ["input"],
    "additionalProperties": False,
}
_WORD = r"\d+(?:[.,:]\d+)*|[^\W\d_]+"
_SENTENCE = r"(?<=[.!?。！？])\s+|\n+"  # noqa: RUF001 - full stops of other scripts


def grounded(subject: CheckSubject, argument: str | Mapping[str, Any]) -> CheckVerdict:
    given: Mapping[str, Any] = {"input": argument} if isinstance(argument, str) else argument
    source = "\n".join(_source(subject, name) for name in to_texts(given["input"]))
    if given.get("by") == "sentences":
        return sentence_grounding(subject.output, source)
    return token_grounding(subject.output, source, given.get("n", 1))


def token_grounding(output: str, source: str, size: int = 1) -> CheckVerdict:
    words = normalized_words(output)
    size = min(size, len(words))
    runs = n_grams(words, size)
    if not runs:
        return CheckVerdict(passed=False, message="there are no words in the output", value=0.0)
    known = set(n_grams(normalized_words(source), size))
    missing = [" ".join(run) for run in runs if run not in known]
    return CheckVerdict(None, _missing_message(missing), 1 - len(missing) / len(runs))


def sentence_grounding(output: str, source: str) -> CheckVerdict:
    known = set(normalized_words(source))
    sentences = [each for each in re.split(_SENTENCE, output.strip()) if normalized_words(each)]
    if not sentences:
        return CheckVerdict(passed=False, message="there are no words in the output", value=0.0)
    missing = [each for each in sentences if not _is_supported(normalized_words(each), known)]
    return CheckVerdict(None, _missing_message(missing), 1 - len(missing) / len(sentences))


def _is_supported(words: Sequence[str], known: set[str]) -> bool:
    if any(word[0].isdigit() and word not in known for word in words):
        return False
    return sum(word in known for word in words) >= MIN_WORD_SUPPORT * len(words)


def normalized_words(text: str) -> list[str]:
    """Words and numbers, whatever the case; ``1,234`` is one number and the same as ``1234``."""
    return [word.replace(",", "") for word in re.findall(_WORD, text.casefold())]


def _missing_message(missing: Sequence[str]) -> str:
    return f"not in the source: {truncate_line(', '.join(dict.fromkeys(missing)), 100)}" if missing else ""


def _source(subject: CheckSubject, name: str) -> str:
    if name not in subject.inputs:
        raise CheckError(f"there is no input `{name}` to be grounded in")
    value = subject.inputs[name]
    if isinstance(value, list | dict):
        return "\n".join(_leaves(value))
    return to_text(value)


def _leaves(value: Any) -> list[str]:
    """The texts in a list of passages, or of messages."""
    if isinstance(value, dict):
        return [text for each in value.values() for text in _leaves(each)]
    if isinstance(value, list):
        return [text for each in value for text in _leaves(each)]
    return [to_text(value)]
