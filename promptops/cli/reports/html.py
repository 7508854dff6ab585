"""Reports as one HTML file each, out of the templates beside this file.

Every value that a template writes has its control characters escaped and then its markup.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from promptops import reports as shared_style
from promptops.cli.reports.cases import CaseAnswer, CaseReport
from promptops.dataclass import dataclass
from promptops.escapes import escape, escape_line
from promptops.prompt.diff.word_diff import Segment, word_diff
from promptops.reports import numbers
from promptops.reports.numbers import pluralize
from promptops.reports.texts import clip

_TEMPLATES = Path(__file__).with_name("templates"), Path(shared_style.__file__).parent
_MAX_TEXT_LENGTH = 6_000


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseGroup:
    """``css``: its sign; ``open``: how many of its cases stand open."""

    id: str
    css: str
    title: str
    cases: Sequence[CaseReport]
    total: int
    open: int = 0


def render_page(template: str, **values: Any) -> str:
    return _environment().get_template(template).render(values)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_visible,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "clip": lambda text, limit=_MAX_TEXT_LENGTH: clip(text, limit),
        "difference_interval": lambda change: numbers.format_difference_interval(change.low, change.high),
        "integer": numbers.format_integer,
        "line": escape_line,
        "marked_answers": _marked_answers,
        "p_value": numbers.format_p_value,
        "pluralize": pluralize,
        "points": numbers.format_points,
        "rate_interval": numbers.format_rate_interval,
        "sentence": lambda text: f"{text[:1].upper()}{text[1:]}.",
        "usd": numbers.format_usd,
    }
    return environment


def _visible(value: object) -> object:
    return escape(value) if type(value) is str else value  # Markup is what a macro has escaped already


def _marked_answers(case: CaseReport) -> Iterator[tuple[CaseAnswer, Sequence[Segment]]]:
    """Each answer in segments: as both sides have it, or as only this one has it."""
    texts = [clip(answer.text, _MAX_TEXT_LENGTH) for answer in case.answers]
    if len(texts) == 1:
        yield case.answers[0], [Segment("=", texts[0])]
        return
    segments = word_diff(texts[0], texts[1])
    alike = any(tag == "=" and text.strip() for tag, text in segments)  # all marked is nothing marked
    for answer, text, own in zip(case.answers, texts, "-+", strict=True):
        marked = [segment for segment in segments if segment.tag in ("=", own)]
        yield answer, marked if alike else [Segment("=", text)]
