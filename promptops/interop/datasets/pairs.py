"""Two answers to the same messages, one better than the other. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from promptops.dataclass import dataclass
from promptops.interop.datasets.examples import Example

MAX_ANSWERS = 100
"""Different answers to one input that are looked at, however often it was asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerPair:
    """``edited``: the chosen answer is a person's, in place of the rejected one."""

    chosen: Example
    rejected: Example
    edited: bool = False


def pair_answers(examples: Iterable[tuple[int, Example]]) -> Iterator[tuple[Sequence[AnswerPair], int]]:
    """Of each group its pairs, and how many of its runs are in none. No text of a group is used twice."""
    for _, members in groupby(examples, lambda member: member[0]):
        count = 0
        kept: dict[tuple[str, bool | None, str | None], Example] = {}
        for count, (_, example) in enumerate(members, 1):  # noqa: B007 - the last one is their number
            if len(kept) < MAX_ANSWERS:
                kept.setdefault((example.answer, example.rating, example.edit), example)
        pairs = list(_pairs(list(kept.values())))
        paired = {each.run["run_id"] for pair in pairs for each in (pair.chosen, pair.rejected)}
        yield pairs, count - len(paired)


def _pairs(group: Sequence[Example]) -> Iterator[AnswerPair]:
    used: set[str] = set()
    for example in group:
        edit, answer = example.edit, example.answer
        if edit is not None and edit.strip() != answer.strip() and not used & {edit, answer}:
            used |= {edit, answer}
            yield AnswerPair(chosen=example, rejected=example, edited=True)
    good = {each.answer: each for each in reversed(group) if each.rating is True}
    bad = {each.answer: each for each in reversed(group) if each.rating is False}
    doubtful = used | (good.keys() & bad.keys())  # the same words called good and bad say nothing
    better = [each for each in group if good.get(each.answer) is each and each.answer not in doubtful]
    worse = [each for each in group if bad.get(each.answer) is each and each.answer not in doubtful]
    for chosen, rejected in zip(better, worse, strict=False):
        yield AnswerPair(chosen=chosen, rejected=rejected)
