"""How alike two outputs are: to the letter, normalised, as JSON and by their words, and by their vectors."""

import json
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

from promptops.checks.similarity import rouge_2
from promptops.evaluation.shadow.embedding_similarity import Semantic
from promptops.evaluation.shadow.pair import Pair
from promptops.prompt.diff.values import differences, same

_SHOWN = 3  # examples of each field
_MOST_FIELDS = 50
_LONGEST = 200_000  # characters whose words are compared


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldChange:
    """One place in the JSON that versions answer with; ``pairs`` where it differs."""

    path: str
    pairs: int
    examples: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Closeness:
    """Counts over the pairs that are alike in words, or whose cosine is known."""

    model: str
    threshold: float
    pairs: int
    alike: int
    cosine: float | None  # mean over the pairs that were measured


@dataclass(frozen=True, slots=True, kw_only=True)
class Likeness:
    """Counts over the pairs that both sides answered; each level holds the ones before it."""

    pairs: int
    equal: int  # to the letter
    normalised: int  # but for case, blanks and punctuation around words
    semantic: int  # the same JSON value, or the same words
    overlap: float | None  # mean F1 of the pairs of neighbouring words
    json_pairs: int  # both are JSON
    fields: tuple[FieldChange, ...]
    closeness: Closeness | None = None  # where a model was asked for vectors


@dataclass(slots=True)
class Alike:
    """Counts pair after pair."""

    by: Semantic | None = None
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

    def add(self, pair: Pair) -> None:
        old, new = pair.control.output, pair.candidate.output
        if old is None or new is None:
            return
        self.pairs += 1
        normalised = _normalised(old) == _normalised(new)
        before, after = _parsed(old), _parsed(new)
        both = before is not _TEXT and after is not _TEXT
        alike = normalised or _alike(old, new, before, after)
        self.equal += old == new
        self.normalised += normalised
        self.semantic += alike
        self.overlap += 1.0 if alike else rouge_2(new[:_LONGEST], old[:_LONGEST])
        self.json_pairs += both
        if self.by and not alike and pair.similarity is not None:
            self.cosines.append(pair.similarity)
            self.close += pair.similarity >= self.by.threshold
        if both and not alike:
            self._add_fields(before, after)

    def _add_fields(self, before: Any, after: Any) -> None:
        for path, told in dict(_changes(before, after)).items():
            self.fields[path] += 1
            shown = self.examples.setdefault(path, [])
            if len(shown) < _SHOWN and told not in shown:
                shown.append(told)

    def result(self) -> Likeness:
        common = self.fields.most_common(_MOST_FIELDS)
        return Likeness(
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

    def _closeness(self) -> Closeness:
        assert self.by is not None  # noqa: S101 - asked for where it is
        return Closeness(
            model=self.by.model,
            threshold=self.by.threshold,
            pairs=self.semantic + len(self.cosines),
            alike=self.semantic + self.close,
            cosine=fmean(self.cosines) if self.cosines else None,
        )


def alike_in_words(old: str, new: str) -> bool:
    """Whether no vectors are needed to say that two answers mean the same."""
    return _alike(old, new, _parsed(old), _parsed(new))


def _alike(old: str, new: str, before: Any, after: Any) -> bool:
    if before is not _TEXT and after is not _TEXT and same(before, after):
        return True
    return _normalised(old) == _normalised(new) or _words(old) == _words(new)


_TEXT = object()


def _parsed(text: str) -> Any:
    """A JSON object or array, or ``_TEXT``."""
    if not text.lstrip().startswith(("{", "[")):
        return _TEXT
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return _TEXT


def _changes(before: Any, after: Any) -> Iterator[tuple[str, str]]:
    """Path, with every place of a list as one, and what a line says of it."""
    for each in differences(before, after):
        path = "".join("[]" if isinstance(step, int) else f".{step}" for step in each.path)
        yield path.removeprefix(".") or "the whole", str(each).partition(": ")[2] or str(each)


def _normalised(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _words(text: str) -> list[str]:
    """Words alone, without case and punctuation; what has none is as it stands."""
    plain = "".join(each if each.isalnum() else " " for each in _normalised(text))
    return plain.split() or [text]
