"""The answers of several versions to one case: in columns where there is room, else one below the other."""

from collections.abc import Iterable, Iterator, Sequence

from promptops.cli.reports.cases import CaseAnswer
from promptops.cli.reports.columns import column_width, side_by_side, wrap_pieces
from promptops.console import StyledLine
from promptops.display_width import display_width, shorten_to_width
from promptops.escapes import escape, escape_line
from promptops.prompt.diff.word_diff import Segment, word_diff
from promptops.reports.numbers import pluralize

Pieces = Sequence[tuple[str, str]]
_INDENT = 2
_MIN_COLUMN = 32  # columns of a terminal in which sentences can be read
_MAX_LINES = 40  # of one answer
_MAX_CHARACTERS = 8_000  # of one answer
_MAX_FAILURES = 3
_MIN_SAME = 0.3  # share of the words that stay: below it marks would hide both texts
_COLOURS = {"-": "red", "+": "green", "=": ""}
_MARKS = {"-": "[-{}-]", "+": "{{+{}+}}", "=": "{}"}


def answer_lines(answers: Sequence[CaseAnswer], width: int, *, marks: bool) -> Iterator[StyledLine]:
    """Which words of each differ from the first is marked."""
    texts = [_shown(answer.text) for answer in answers]
    if len(answers) > 1 and len({answer.text for answer in answers}) == 1:
        yield from _the_same(answers, texts[0], width)
        return
    contents = _contents(texts, marks=marks)
    column = column_width(width, len(answers), indent=_INDENT)
    if len(answers) == 1 or column < _MIN_COLUMN:
        for answer, pieces in zip(answers, contents, strict=True):
            yield from _stacked(answer, pieces, width)
        return
    columns = [_column(*each, column) for each in zip(answers, contents, strict=True)]
    yield from side_by_side(columns, column, indent=_INDENT)


def _shown(text: str) -> str:
    more = len(text) - _MAX_CHARACTERS
    return escape(text[:_MAX_CHARACTERS] + (f" … and {more:,} characters more" if more > 0 else ""))


def _contents(texts: Sequence[str], *, marks: bool) -> list[Pieces]:
    """The words of each; of two sides both have marks, of more those that differ from the first."""
    first, *others = texts
    found: list[Pieces] = [[(first, "")]]
    for text in others:
        segments = word_diff(first, text)
        if text == first:
            found.append([("the same as the first", "dim")])
        elif _is_like(segments):
            found.append(_marked(segments, "-", marks=marks))
            if len(texts) == 2:
                found[0] = _marked(segments, "+", marks=marks)
        else:
            found.append([(text, "")])
    return found


def _is_like(segments: Iterable[Segment]) -> bool:
    sizes = {"=": 0, "-": 0, "+": 0}
    for tag, text in segments:
        sizes[tag] += len(text.split())
    return sizes["="] >= _MIN_SAME * (sizes["="] + max(sizes["-"], sizes["+"]))


def _marked(segments: Iterable[Segment], without: str, *, marks: bool) -> Pieces:
    """One of the two texts. Marks stand round words, not round the space and the line ends beside them."""
    pieces: list[tuple[str, str]] = []
    for tag, text in segments:
        if tag == without:
            continue
        word = text.strip()
        if not marks or tag == "=" or not word:
            pieces.append((text, _COLOURS[tag]))
            continue
        before, _, after = text.partition(word)
        marked = "\n".join(_MARKS[tag].format(line) if line.strip() else line for line in word.split("\n"))
        pieces += [(before, ""), (marked, _COLOURS[tag]), (after, "")]
    return pieces


def _the_same(answers: Sequence[CaseAnswer], text: str, width: int) -> Iterator[StyledLine]:
    """One text for all, below who gave it."""
    heads = [piece for answer in answers for piece in (*_head(answer, width), ("  ", ""))]
    yield from ([("  ", ""), *line] for line in wrap_pieces([*heads, ("the same answer", "dim")], width - 2))
    yield from _indented(_cut(wrap_pieces([(text, "")], width - 4)), 4)
    for failure in dict.fromkeys(
        failure for answer in answers for failure in answer.failures[:_MAX_FAILURES]
    ):
        yield from _indented(wrap_pieces([(escape_line(failure), "yellow")], width - 6), 6)


def _stacked(answer: CaseAnswer, pieces: Pieces, width: int) -> Iterator[StyledLine]:
    head = [("  ", ""), *_head(answer, width - 2)]
    lines = wrap_pieces(pieces, width - 4)
    room = width - sum(display_width(text) for text, _ in head) - 2
    if len(lines) == 1 and sum(display_width(text) for text, _ in lines[0]) <= room:
        yield [*head, ("  ", ""), *lines[0]]
    else:
        yield head
        yield from _indented(_cut(lines), 4)
    yield from _indented(_failures(answer, width - 6), 6)


def _column(answer: CaseAnswer, pieces: Pieces, width: int) -> list[StyledLine]:
    why = [[("✗ ", "red"), *line] for line in _failures(answer, width - 2)]
    return [_head(answer, width), *_cut(wrap_pieces(pieces, width)), *why]


def _head(answer: CaseAnswer, width: int) -> list[tuple[str, str]]:
    mark, colour = ("✓", "green") if answer.passed else ("✗", "red")
    return [(f"{mark} ", colour), (shorten_to_width(escape_line(answer.title), width - 2), "dim")]


def _failures(answer: CaseAnswer, width: int) -> list[StyledLine]:
    found = (wrap_pieces([(escape_line(each), "yellow")], width) for each in answer.failures[:_MAX_FAILURES])
    return [line for lines in found for line in lines]


def _cut(lines: Sequence[StyledLine]) -> list[StyledLine]:
    more = len(lines) - _MAX_LINES
    return [*lines] if more <= 0 else [*lines[:_MAX_LINES], [(f"and {pluralize(more, 'line')} more", "dim")]]


def _indented(lines: Iterable[StyledLine], indent: int) -> Iterator[StyledLine]:
    return ([(" " * indent, ""), *line] if line else [] for line in lines)
