"""Comments on a pull request, out of text that may come from anybody.

GitHub makes mentions, issue links and addresses out of text wherever it stands, escaped or not, but
never inside code. So whatever is not a plain word goes into a code span, ``<code>`` or a fence longer
than any run of backticks in it.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from html import escape as escape_html
from itertools import groupby

from promptops.cli.reports.tables import Cell, ReportTable
from promptops.dataclass import dataclass
from promptops.escapes import escape, escape_line
from promptops.reports.labels import VERDICT_SYMBOLS

_MAX_COMMENT_LENGTH = 60_000  # characters; GitHub takes 65,536
_MAX_CELL_LENGTH = 80
_NOTE_LENGTH = 300  # kept for what is said of sections that are left out
_PLAIN = re.compile(  # a word, a number or an arrow
    r"[(\"]*[^\W_]*(?:['\u2019.,\u2013/%-][^\W_]+)*%?[)\"]?[.,;:!?]*|"
    r"[\u2212+\u00b1×→–-]?[\d.,]+%?[.,;:)]?|->|[→–×%]"
)
_AUTOLINKED = re.compile(r"[0-9a-f]{7,40}|gh-\d+|www\..*", re.IGNORECASE)  # what GitHub makes links of


# ---- the comment


@dataclass(frozen=True, slots=True)
class CommentSection:
    """A part that is shown while there is room, below ``heading``, which a run of sections shares.

    ``kind``: what it is counted as when it is left out, or ""; ``short``: what stands in its place then.
    """

    text: str
    kind: str
    heading: str = ""
    short: str = ""


def render_comment(marker: str, head: str, sections: Iterable[CommentSection] = (), tail: str = "") -> str:
    """The whole comment, no longer than GitHub takes.

    ``marker``: by which a comment that is to be brought up to date is found.
    """
    start = f"<!-- promptops {marker} -->\n{head}"
    room = _MAX_COMMENT_LENGTH - _NOTE_LENGTH - len(start) - len(tail)
    shown, omitted = _fit(list(sections), room)
    counts = ", ".join(f"{count:,} {kind}" for kind, count in Counter(filter(None, omitted)).items())
    cut = f"\n_Left out, as the comment would be too long: {counts}._\n" if counts else ""
    body = "".join(
        "".join([heading, *run])
        for heading, run in ((key, [text for _, text in group]) for key, group in groupby(shown, _heading))
    )
    return f"{start}{body}{cut}{tail}".rstrip("\n") + "\n"


def _heading(section: tuple[str, str]) -> str:
    return section[0]


def _fit(sections: Sequence[CommentSection], room: int) -> tuple[list[tuple[str, str]], list[str]]:
    """Heading and text of each section that has room, and the kinds of the others.

    The short forms of all come first, then whole sections in their order. A later section may need an
    earlier one to be understood, so nothing without a short form follows what is left out.
    """
    shorts, room = _fit_shorts([section.short for section in sections], room)
    shown: list[tuple[str, str]] = []
    omitted: list[str] = []
    for section, short in zip(sections, shorts, strict=True):
        heading = 0 if shown and shown[-1][0] == section.heading else len(section.heading)
        length = len(section.text) - len(short) + heading
        if length <= room and not omitted:
            room -= length
            shown.append((section.heading, section.text))
        elif short:
            shown.append((section.heading, short))
        else:
            omitted.append(section.kind)
    return shown, omitted


def _fit_shorts(shorts: list[str], room: int) -> tuple[list[str], int]:
    """The short forms without the last that have no room, and the room that is left."""
    total, kept = 0, []
    for short in shorts:
        total += len(short)
        kept.append(short if total <= room else "")
    return kept, room - sum(map(len, kept))


# ---- its parts


def table_markdown(table: ReportTable) -> Iterator[str]:
    """Lines of a table; the first column has its names, the others what this program has written."""
    heads = [_cell(cell, name=True) for cell in table.headers]
    rows = ([_cell(cell, name=not place) for place, cell in enumerate(row)] for row in table.rows)
    numbers = {place for place in range(len(heads)) if place not in table.words}
    yield from markdown_table(heads, rows, numbers)
    if table.more:
        yield f"\n{table.more}"


def markdown_table(
    heads: Sequence[str], rows: Iterable[Sequence[str]], numbers: Collection[int] = ()
) -> Iterator[str]:
    """``numbers``: the columns, counted from 0, that are set flush right."""
    yield _row(heads)
    yield _row(["---:" if place in numbers else "---" for place in range(len(heads))])
    yield from map(_row, rows)


def _cell(cell: Cell, *, name: bool) -> str:
    if cell.code:
        text = code_line(cell.text, _MAX_CELL_LENGTH)
    else:
        text = prose(cell.text) if name else html_text(cell.text)
    symbol = VERDICT_SYMBOLS.get(cell.text, "")
    marked = f"**{text}**" if cell.tone == "bad" and not symbol else text
    return " ".join(filter(None, (symbol, cell.kind, marked, f"({cell.note})" if cell.note else "")))


def _row(cells: Sequence[str]) -> str:
    # a bar ends a cell, also within code, and readers differ on backslashes: another stroke looks the same
    return f"| {' | '.join(cell.replace('|', '¦') for cell in cells)} |"


def details(summary: str, body: Iterable[str]) -> str:
    """``summary``: HTML, as ``html_code`` makes it."""
    return "\n".join([f"\n<details><summary>{summary}</summary>\n", *body, "\n</details>", ""])


def fenced_block(text: str, language: str = "text") -> str:
    shown = escape(text)
    fence = fence_for(shown)
    return f"{fence}{language}\n{shown}\n{fence}"


# ---- text that stays text


def html_code(text: str, limit: int | None = None) -> str:
    """One line as code, where Markdown is not read: in a summary."""
    return f"<code>{html_text(escape_line(text, limit))}</code>"


def html_text(text: str) -> str:
    return escape_html(text, quote=False)


def code_line(text: str, limit: int | None = None) -> str:
    return code_span(escape_line(text, limit))


def code_span(line: str) -> str:
    """A code span of one line, whatever backticks it holds."""
    mark = fence_for(line, 1)
    space = " " if line[:1] in ("`", "") or line[-1:] == "`" else ""
    return f"{mark}{space}{line}{space}{mark}"


def fence_for(text: str, least: int = 3) -> str:
    """Backticks that nothing in the text can close."""
    longest = max(map(len, re.findall("`+", text)), default=0)
    return "`" * max(least, longest + 1)


def prose(text: str, limit: int | None = None) -> str:
    """One line: words as they are, all else in code spans."""
    runs = groupby(escape_line(text, limit).split(" "), key=_is_plain)
    return " ".join(" ".join(words) if plain else _in_code_span(" ".join(words)) for plain, words in runs)


def _is_plain(word: str) -> bool:
    bare = word.strip('().,;:!?"')
    return bool(_PLAIN.fullmatch(word)) and not _AUTOLINKED.fullmatch(bare)


def _in_code_span(words: str) -> str:
    """A code span, without the sign that ends a clause."""
    bare = words.rstrip(".,;:")
    marked = re.fullmatch("`[^`]+`", bare)  # by whoever wrote it
    return (bare if marked else code_span(bare)) + words[len(bare) :] if bare else words
