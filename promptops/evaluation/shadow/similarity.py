"""How alike two outputs are: to the letter, normalised, as JSON and by their words, and by their vectors."""

import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import field
from statistics import fmean
from typing import Any

from promptops.checks.json import parse_json
from promptops.checks.similarity import rouge_2
from promptops.dataclass import dataclass
from promptops.evaluation.shadow.embedding_similarity import EmbeddingOptions
from promptops.evaluation.shadow.pair import ShadowPair
from promptops.prompt.diff.values import differences, is_same_json

_MAX_EXAMPLES = 3  # examples of each field
_MAX_FIELDS = 50
_MAX_CHARS = 200_000  # characters whose words are compared


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldChange:
    """One place in the JSON that versions answer with; ``pairs`` where it differs."""

    path: str
    pairs: int
    examples: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingSimilarity:
    """Counts over the pairs that are alike in words, or whose cosine is known."""

    model: str
    threshold: float
    pairs: int
    alike: int
    cosine: float | None  # mean over the pairs that were measured


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputSimilarity:
    """Counts over the pairs that both sides answered; each level holds the ones before it."""

    pairs: int
    equal: int  # to the letter
    normalised: int  # but for case, blanks and punctuation around words
    semantic: int  # the same JSON value, or the same words
    overlap: float | None  # mean F1 of the pairs of neighbouring words
    json_pairs: int  # both are JSON
    fields: tuple[FieldChange, ...]
    closeness: EmbeddingSimilarity | None = None  # where a model was asked for vectors


@dataclass(slots=True)
class SimilarityCounter:
    """Counts pair after pair."""

    by: EmbeddingOptions | None = None
    close: int = 0
    cosines: list[float] = field(default_factory=list)
    pairs: int = 0
    equal: int = 0
    normalised: int = 0
    semantic: int = 0
    overlap: float = 0.0
    json_pairs: int = 0
    fields: "Counter[str]" = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)

    def add(self, pair: ShadowPair) -> None:
        old, new = pair.control.output, pair.candidate.output
        if old is None or new is None:
            return
        self.pairs += 1
        same_calls = pair.control.calls == pair.candidate.calls
        normalised = same_calls and _normalize(old) == _normalize(new)
        before, after = _parse_json(old), _parse_json(new)
        both = before is not _NOT_JSON and after is not _NOT_JSON
        alike = normalised or (same_calls and _lexically_equal(old, new, before, after))
        self.equal += old == new
        self.normalised += normalised
        self.semantic += alike
        self.overlap += 1.0 if alike else rouge_2(new[:_MAX_CHARS], old[:_MAX_CHARS])
        self.json_pairs += both
        if self.by and not alike and pair.similarity is not None:
            self.cosines.append(pair.similarity)
            self.close += same_calls and pair.similarity >= self.by.threshold
        if both and not alike:
            self._add_fields(before, after)

    def _add_fields(self, before: Any, after: Any) -> None:
        for path, change in dict(_changes(before, after)).items():
            self.fields[path] += 1
            examples = self.examples.setdefault(path, [])
            if len(examples) < _MAX_EXAMPLES and change not in examples:
                examples.append(change)

    def result(self) -> OutputSimilarity:
        common = self.fields.most_common(_MAX_FIELDS)
        return OutputSimilarity(
            pairs=self.pairs,
            equal=self.equal,
            normalised=self.normalised,
            semantic=self.semantic,
            overlap=self.overlap / self.pairs if self.pairs else None,
            json_pairs=self.json_pairs,
            fields=tuple(
                FieldChange(path=path, pairs=count, examples=tuple(self.examples[path]))
                for path, count in common
            ),
            closeness=self._closeness() if self.by else None,
        )

    def _closeness(self) -> EmbeddingSimilarity:
        assert self.by is not None  # noqa: S101 - asked for where it is
        return EmbeddingSimilarity(
            model=self.by.model,
            threshold=self.by.threshold,
            pairs=self.semantic + len(self.cosines),
            alike=self.semantic + self.close,
            cosine=fmean(self.cosines) if self.cosines else None,
        )


def is_lexically_equal(old: str, new: str) -> bool:
    """Whether no vectors are needed to say that two answers mean the same."""
    return _lexically_equal(old, new, _parse_json(old), _parse_json(new))


def _lexically_equal(old: str, new: str, before: Any, after: Any) -> bool:
    if before is not _NOT_JSON and after is not _NOT_JSON and is_same_json(before, after):
        return True
    return _normalize(old) == _normalize(new) or _words(old) == _words(new)


_NOT_JSON = object()


def _parse_json(text: str) -> Any:
    """A JSON object or array, or ``_NOT_JSON``."""
    if not text.lstrip().startswith(("{", "[")):
        return _NOT_JSON
    try:
        return parse_json(text)
    except ValueError:
        return _NOT_JSON


def _changes(before: Any, after: Any) -> Iterator[tuple[str, str]]:
    """Path, with every place of a list as one, and what a line says of it."""
    for each in differences(before, after):
        path = "".join("[]" if isinstance(step, int) else f".{step}" for step in each.path)
        yield path.removeprefix(".") or "the whole", str(each).partition(": ")[2] or str(each)


def _normalize(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _words(text: str) -> list[str]:
    """Words alone, without case and punctuation; what has none is as it stands."""
    plain = "".join(each if each.isalnum() else " " for each in _normalize(text))
    return plain.split() or [text]
