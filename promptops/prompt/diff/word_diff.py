"""What differs between two texts, word by word: lines first, then the words of lines that changed.

``"".join`` over the segments that are not inserted gives the old text, over those not deleted the new one.
"""

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from difflib import SequenceMatcher
from itertools import groupby
from typing import Literal, NamedTuple

Tag = Literal["=", "-", "+"]

# A template expression is one word, up to a length: else each `{{` that never closes is followed to the end
# of the text. So is each sign of a script that writes no spaces.
_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_EXPRESSION = r"\{\{.{0,400}?\}\}|\{%.{0,400}?%\}|\{#.{0,400}?#\}|\d+(?:[.,:]\d+)+"
_WORD = rf"[{_CJK}]|(?:(?![{_CJK}])\w)(?:(?![{_CJK}])[\w\u0300-\u036f]|['\u2019\-](?=\w))*"
_ASCII_WORD = r"\w(?:\w|['\-](?=\w))*"  # the same where all is ASCII; the other takes 4 ms to compile
_MAX_WORD_PAIRS = (
    20_000  # of equal words: beyond, difflib takes too long, and texts are first split at anchors
)
_MAX_DEPTH = 50
_MAX_LINE_PAIRS = 2_500
_MIN_LINE_SIMILARITY = 0.4  # share of words that a line has in common with the one it became
_MIN_SIMILARITY = 0.25  # share of text below which two passages are shown one after the other


class Segment(NamedTuple):
    tag: Tag
    text: str


class Match(NamedTuple):
    old: int
    new: int
    length: int


Opcode = tuple[str, int, int, int, int]


class _Word(NamedTuple):
    text: str
    space: str  # what follows it


def word_diff(old: str, new: str) -> list[Segment]:
    before, after = old.splitlines(keepends=True), new.splitlines(keepends=True)
    found: list[Segment] = []
    for tag, a, b, c, d in _opcodes(before, after):
        gone, come = before[a:b], after[c:d]
        found += [Segment("=", "".join(gone))] if tag == "equal" else _block(gone, come)
    return _merge_segments(found)


def count_words(segments: Iterable[Segment]) -> tuple[int, int]:
    """How many words were added and removed; signs are no words."""
    counts = Counter[str]()
    for tag, text in segments:
        counts[tag] += sum(any(map(str.isalnum, word)) for word, _ in _tokens(text))
    return counts["+"], counts["-"]


def _tokens(text: str) -> list[tuple[str, str]]:
    """Words, each with the space that follows it."""
    word = _ASCII_WORD if text.isascii() else _WORD
    return re.findall(rf"({_EXPRESSION}|{word}|\S)(\s*)", text, re.DOTALL)


def _opcodes(old: Sequence[str], new: Sequence[str]) -> Iterator[Opcode]:
    """As those of difflib, of which the worst cases are avoided."""
    i = j = 0
    for a, c, length in [*_matches(old, new), (len(old), len(new), 0)]:
        if i < a or j < c:
            yield "replace", i, a, j, c
        if length:
            yield "equal", a, a + length, c, c + length
        i, j = a + length, c + length


def _matches(old: Sequence[str], new: Sequence[str], depth: int = 0) -> Iterator[Match]:
    start = _common(old, new)
    end = _common(old[start:][::-1], new[start:][::-1])
    if start:
        yield Match(0, 0, start)
    middle, others = old[start : len(old) - end], new[start : len(new) - end]
    for i, j, length in _matches_between(middle, others, depth) if middle and others else ():
        yield Match(i + start, j + start, length)
    if end:
        yield Match(len(old) - end, len(new) - end, end)


def _matches_between(old: Sequence[str], new: Sequence[str], depth: int) -> Iterator[Match]:
    if _count_equal_pairs(old, new) <= _MAX_WORD_PAIRS:
        for a, b, length in SequenceMatcher(None, old, new, autojunk=False).get_matching_blocks()[:-1]:
            yield Match(a, b, length)
        return
    anchors = _anchors(old, new) if depth < _MAX_DEPTH else []
    i = j = 0
    for a, b in [*anchors, (len(old), len(new))] if anchors else []:
        for match in _matches(old[i:a], new[j:b], depth + 1):
            yield Match(match.old + i, match.new + j, match.length)
        if a < len(old):
            yield Match(a, b, 1)
        i, j = a + 1, b + 1


def _anchors(old: Sequence[str], new: Sequence[str]) -> list[tuple[int, int]]:
    """Anchors of a patience diff: texts that occur once on each side, the longest chain in the same order."""
    counts = Counter(old), Counter(new)
    places = {text: i for i, text in enumerate(old) if counts[0][text] == counts[1][text] == 1}
    pairs = [(places[text], j) for j, text in enumerate(new) if text in places]
    ends: list[int] = []  # of the best chain of each length, the one that ends earliest
    chains: list[tuple[int, int, int]] = []  # place in old, place in new, the link before
    last: list[int] = []
    for i, j in pairs:
        length = bisect_left(ends, i)
        ends[length : length + 1] = [i]
        last[length : length + 1] = [len(chains)]
        chains.append((i, j, last[length - 1] if length else -1))
    return list(_chain(chains, last[-1] if last else -1))[::-1]


def _chain(chains: Sequence[tuple[int, int, int]], link: int) -> Iterator[tuple[int, int]]:
    while link >= 0:
        i, j, link = chains[link]
        yield i, j


def _common(old: Sequence[str], new: Sequence[str]) -> int:
    count = 0
    for one, other in zip(old, new, strict=False):
        if one != other:
            break
        count += 1
    return count


def _count_equal_pairs(old: Iterable[str], new: Iterable[str]) -> int:
    counts = Counter(new)
    return sum(count * counts[text] for text, count in Counter(old).items())


def _block(old: Sequence[str], new: Sequence[str]) -> list[Segment]:
    """Lines that changed: as one text, which finds what is rewrapped; by lines where that is as short."""
    whole = _words("".join(old), "".join(new))
    if len(old) == len(new) == 1 or not 0 < len(old) * len(new) <= _MAX_LINE_PAIRS:
        return whole
    lines = [part for one, other in _paired_lines(old, new) for part in _words(one, other)]
    return min(lines, whole, key=_changed_size)


def _changed_size(segments: Iterable[Segment]) -> int:
    return sum(len(text) for tag, text in segments if tag != "=")


def _paired_lines(old: Sequence[str], new: Sequence[str]) -> list[tuple[str, str]]:
    """Lines with those they became, in order and as alike as can be; "" beside one that is left alone."""
    bags = [Counter(_line_words(line)) for line in old], [Counter(_line_words(line)) for line in new]
    scores = [[0.0] * (len(new) + 1) for _ in range(len(old) + 1)]
    for i in reversed(range(len(old))):
        for j in reversed(range(len(new))):
            likeness = _similarity(bags[0][i], bags[1][j])
            together = likeness + scores[i + 1][j + 1] if likeness >= _MIN_LINE_SIMILARITY else 0.0
            scores[i][j] = max(together, scores[i + 1][j], scores[i][j + 1])
    return list(_trace_pairs(old, new, scores))


def _trace_pairs(
    old: Sequence[str], new: Sequence[str], scores: Sequence[Sequence[float]]
) -> Iterator[tuple[str, str]]:
    i = j = 0
    while i < len(old) or j < len(new):
        if i < len(old) and scores[i][j] == scores[i + 1][j]:
            yield old[i], ""
            i += 1
        elif j < len(new) and scores[i][j] == scores[i][j + 1]:
            yield "", new[j]
            j += 1
        else:
            yield old[i], new[j]
            i, j = i + 1, j + 1


def _line_words(line: str) -> list[str]:
    return [text for text, _ in _tokens(line)]


def _similarity(one: Counter[str], other: Counter[str]) -> float:
    total = one.total() + other.total()
    return 2 * (one & other).total() / total if total else 0.0


def _words(old: str, new: str) -> list[Segment]:
    lead_old, before = _split(old)
    lead_new, after = _split(new)
    opcodes = _opcodes([word.text for word in before], [word.text for word in after])
    steps = _merge_over_coincidences(opcodes, before, after)
    if not _are_similar(steps, before, after):
        return _replacement(old, new)
    found = _spaces(lead_old, lead_new)
    for tag, a, b, c, d in steps:
        if tag == "equal":
            for one, other in zip(before[a:b], after[c:d], strict=True):
                found += [Segment("=", one.text), *_spaces(one.space, other.space)]
        else:
            found += _replacement(_text(before[a:b]), _text(after[c:d]))
    return found


def _split(text: str) -> tuple[str, list[_Word]]:
    lead = text[: len(text) - len(text.lstrip())]
    return lead, [_Word(*found) for found in _tokens(text[len(lead) :])]


def _text(words: Iterable[_Word]) -> str:
    return "".join(word.text + word.space for word in words)


def _size(words: Iterable[_Word]) -> int:
    return sum(len(word.text) for word in words)


def _merge_over_coincidences(
    steps: Iterable[Opcode], before: Sequence[_Word], after: Sequence[_Word]
) -> Sequence[Opcode]:
    """Join changes that only a short coincidence parts, such as a comma between two rewritten clauses."""
    kept: list[Opcode] = []
    for step in steps:
        kept.append(step)
        while len(kept) >= 3 and _is_coincidence(kept[-3:], before, after):  # two changes round it
            (_, a, _, c, _), _, (_, _, b, _, d) = kept[-3:]
            kept[-3:] = [("replace", a, b, c, d)]
    return kept


def _is_coincidence(steps: Sequence[Opcode], before: Sequence[_Word], after: Sequence[_Word]) -> bool:
    (first, *one), (tag, *same), (last, *two) = steps
    if tag != "equal" or "equal" in (first, last):
        return False
    length = _size(before[same[0] : same[1]])
    changes = [max(_size(before[a:b]), _size(after[c:d])) for a, b, c, d in (one, two)]
    return length <= min(changes)


def _are_similar(steps: Iterable[Opcode], before: Sequence[_Word], after: Sequence[_Word]) -> bool:
    same = sum(_size(before[a:b]) for tag, a, b, _, _ in steps if tag == "equal")
    return same >= _MIN_SIMILARITY * max(_size(before), _size(after))


def _replacement(old: str, new: str) -> list[Segment]:
    return [Segment("-", old), Segment("+", new)]


def _spaces(old: str, new: str) -> list[Segment]:
    return [Segment("=", new)] if old == new else _replacement(old, new)


def _merge_segments(segments: Iterable[Segment]) -> list[Segment]:
    """Neighbours of one kind as one, and each change as what goes and what comes, in this order."""
    found: list[Segment] = []
    for same, run in groupby(segments, key=lambda segment: segment.tag == "="):
        parts = list(run)
        if same:
            found.append(Segment("=", "".join(part.text for part in parts)))
        else:
            found += _change(*("".join(part.text for part in parts if part.tag == tag) for tag in "-+"))
    return [
        Segment(tag, text)
        for tag, run in groupby(found, key=lambda segment: segment.tag)
        if (text := "".join(part.text for part in run))
    ]


def _change(old: str, new: str) -> Iterator[Segment]:
    """One change; the white space that both begin or end with is none of it."""
    start = _common_space(old, new)
    end = _common_space(old[start:][::-1], new[start:][::-1])
    stop, halt = len(old) - end, len(new) - end
    yield Segment("=", old[:start])
    yield Segment("-", old[start:stop])
    yield Segment("+", new[start:halt])
    yield Segment("=", old[stop:])


def _common_space(old: str, new: str) -> int:
    count = 0
    while count < min(len(old), len(new)) and old[count] == new[count] and old[count].isspace():
        count += 1
    return count
