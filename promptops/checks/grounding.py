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
from promptops.checks.types import CheckError, Subject, Verdict, as_text, one_line, texts_of

THRESHOLD = 0.8
SUPPORTED = 0.7  # of a sentence's words
GROUNDED: Mapping[str, Any] = {
    "type": ["string", "object"],
    "properties": {
        "input": {"type": ["string", "array"], "minItems": 1, "items": {"type": "string"}},
        "by": {"type": "string", "enum": ["tokens", "sentences"]},
        "n": {"type": "integer", "minimum": 1, "maximum": 10},
    },
    "required": ["input"],
    "additionalProperties": False,
}
_WORD = re.compile(r"\d+(?:[.,:]\d+)*|[^\W\d_]+", re.UNICODE)
_SENTENCE = re.compile(r"(?<=[.!?。！？])\s+|\n+")  # noqa: RUF001 - full stops of other scripts


def grounded(subject: Subject, argument: str | Mapping[str, Any]) -> Verdict:
    given: Mapping[str, Any] = {"input": argument} if isinstance(argument, str) else argument
    source = "\n".join(_source(subject, name) for name in texts_of(given["input"]))
    if given.get("by") == "sentences":
        return by_sentences(subject.output, source)
    return by_tokens(subject.output, source, given.get("n", 1))


def by_tokens(output: str, source: str, size: int = 1) -> Verdict:
    words = words_of(output)
    size = min(size, len(words))
    runs = n_grams(words, size)
    if not runs:
        return Verdict(passed=False, message="there are no words in the output", value=0.0)
    known = set(n_grams(words_of(source), size))
    missing = [" ".join(run) for run in runs if run not in known]
    return Verdict(None, _unsupported(missing), 1 - len(missing) / len(runs))


def by_sentences(output: str, source: str) -> Verdict:
    known = set(words_of(source))
    sentences = [each for each in _SENTENCE.split(output.strip()) if words_of(each)]
    if not sentences:
        return Verdict(passed=False, message="there are no words in the output", value=0.0)
    missing = [each for each in sentences if not _supported(words_of(each), known)]
    return Verdict(None, _unsupported(missing), 1 - len(missing) / len(sentences))


def _supported(words: Sequence[str], known: set[str]) -> bool:
    if any(word[0].isdigit() and word not in known for word in words):
        return False
    return sum(word in known for word in words) >= SUPPORTED * len(words)


def words_of(text: str) -> list[str]:
    """Words and numbers, whatever the case; ``1,234`` is one number and the same as ``1234``."""
    return [word.replace(",", "") for word in _WORD.findall(text.casefold())]


def _unsupported(missing: Sequence[str]) -> str:
    return f"not in the source: {one_line(', '.join(dict.fromkeys(missing)), 100)}" if missing else ""


def _source(subject: Subject, name: str) -> str:
    if name not in subject.inputs:
        raise CheckError(f"there is no input `{name}` to be grounded in")
    value = subject.inputs[name]
    if isinstance(value, list | dict):
        return "\n".join(_leaves(value))
    return as_text(value)


def _leaves(value: Any) -> list[str]:
    """The texts in a list of passages, or of messages."""
    if isinstance(value, dict):
        return [text for each in value.values() for text in _leaves(each)]
    if isinstance(value, list):
        return [text for each in value for text in _leaves(each)]
    return [as_text(value)]
