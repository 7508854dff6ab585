"""A word-level difference as lines to show: those that changed, a little around them, and gaps."""

from collections.abc import Iterable, Iterator, Sequence

from promptops.dataclass import dataclass
from promptops.prompt.diff.word_diff import Segment

CONTEXT_LINES = 2
_MAX_UNCHANGED = 160  # characters of unchanged text beside a change; the middle of more is left out
_ELIDED_EDGE = 70


@dataclass(frozen=True, slots=True)
class DiffLine:
    segments: tuple[Segment, ...]

    @property
    def changed(self) -> bool:
        return any(segment.tag != "=" for segment in self.segments)


@dataclass(frozen=True, slots=True)
class DiffGap:
    """So many unchanged lines are not shown."""

    lines: int


def hunk_lines(segments: Sequence[Segment]) -> Iterator[DiffLine | DiffGap]:
    lines = [DiffLine(tuple(_elide_unchanged(line))) for line in _lines(segments)]
    near = {
        index + offset
        for index, line in enumerate(lines)
        if line.changed
        for offset in range(-CONTEXT_LINES, CONTEXT_LINES + 1)
    }
    hidden = 0
    for index, line in enumerate(lines):
        if index not in near:
            hidden += 1
            continue
        if hidden:
            yield DiffGap(hidden)
            hidden = 0
        yield line
    if hidden:
        yield DiffGap(hidden)


def _lines(segments: Iterable[Segment]) -> Iterator[list[Segment]]:
    """Line breaks end lines. One that alone was added or removed is shown as a sign."""
    line: list[Segment] = []
    for segment in segments:
        if segment.tag != "=" and not segment.text.strip():
            line.append(Segment(segment.tag, _visible(segment.text)))
            if "\n" in segment.text and (segment.tag == "+" or len(line) == 1):
                yield line
                line = []
            continue
        first, *others = segment.text.split("\n")
        line += [Segment(segment.tag, first)] if first else []
        for text in others:
            yield line
            line = [Segment(segment.tag, text)] if text else []
    if line:
        yield line


def _visible(space: str) -> str:
    return space.replace(" ", "·").replace("\t", "⇥").replace("\r", "␍").replace("\n", "↵")


def _elide_unchanged(line: Sequence[Segment]) -> Iterator[Segment]:
    for index, (tag, text) in enumerate(line):
        if tag != "=" or len(text) <= _MAX_UNCHANGED:
            yield Segment(tag, text)
        else:
            head = text[:_ELIDED_EDGE] if index > 0 or len(line) == 1 else ""
            tail = text[-_ELIDED_EDGE:] if index < len(line) - 1 or not head else ""
            yield Segment("=", f"{head} … {tail}".rstrip())
