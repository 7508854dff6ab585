"""Shadow runs on a terminal of 80 columns."""

import textwrap
from collections.abc import Iterator, Sequence

from promptops.cli.reports.shadow.view import (
    alike,
    answer,
    basis,
    headline,
    inputs_line,
    notes,
    overview_heads,
    overview_rows,
    question_rows,
    slice_rows,
    why,
)
from promptops.evaluation.shadow.pair import Pair
from promptops.evaluation.shadow.result import Comparison
from promptops.prompt.diff.values import shown

_WIDTH = 80
_PAIRS = 5  # listed in each direction
_SLICES = 10
_FIELDS = 8
_BOUNDS = 3  # the column of bounds among those of a question
_NAME = 28  # characters of a tag or check


def text(found: Sequence[Comparison], *, table: bool = False) -> str:
    if table:
        return "\n".join(_overview(found)) + "\n"
    return "\n\n".join("\n".join(_one(each)) for each in found) + "\n"


def _overview(found: Sequence[Comparison]) -> Iterator[str]:
    """One table of the repository, worst first. Where all move to one model it is named once."""
    models = {each.candidate.model for each in found}
    if len(models) == 1:
        yield f"To {models.pop()}:"
        labels = [each.prompt for each in found]
    else:
        labels = [each.candidate.label for each in found]
    rows = [
        (label, *(cell.removesuffix(" points") for cell in row))
        for label, (_, *row) in zip(labels, overview_rows(found), strict=True)
    ]
    heads = overview_heads(found, "", "VERDICT", "PAIRS", "FAILS MORE, POINTS", "BROKE", "FIXED", "JUDGED")
    yield from grid(heads, rows, right={2, 3, 4, 5})
    for each in found:
        for told in notes(each):
            yield from _wrapped(f"{each.prompt}: {told}")


def _one(found: Comparison) -> Iterator[str]:
    yield from _wrapped(headline(found))
    yield from _wrapped(found.sentence)
    yield from _wrapped(basis(found))
    for told in notes(found):
        yield from _wrapped(told, "  " if told.startswith("  ") else "")
    yield ""
    rows = [  # the limit names the unit
        (*row[:_BOUNDS], row[_BOUNDS].removesuffix(" points"), *row[_BOUNDS + 1 :])
        for row in question_rows(found)
    ]
    yield from grid(
        ("", "CONTROL", "CANDIDATE", "WORSE BY (95 %)", "LIMIT", "VERDICT"), rows, right={1, 2, 3, 4}
    )
    yield ""
    yield from _wrapped(alike(found.likeness))
    for each in found.likeness.fields[:_FIELDS]:
        yield from _wrapped(f"{each.path} differs in {each.pairs:,}: {'; '.join(each.examples)}", "  ")
    yield from _slices(found)
    yield from _flips("Broke", found.broke, found.broke_total)
    yield from _flips("Fixed", found.fixed, found.fixed_total)
    yield ""
    yield f"promptops shadow show {found.shadow_id} --format html --out shadow.html"


def _slices(found: Comparison) -> Iterator[str]:
    rows = [(shown(name, _NAME), *rest) for name, *rest in slice_rows(found, _SLICES)]
    if rows:
        yield ""
        yield from grid(("SLICE", "PAIRS", "PASSES", "BROKE", "FIXED", "P"), rows, right={1, 2, 3, 4, 5})


def _flips(title: str, pairs: Sequence[Pair], total: int) -> Iterator[str]:
    if not total:
        return
    yield ""
    yield f"{title} {total:,}" + (f", the worst {_PAIRS}:" if total > _PAIRS else ":")
    for pair in pairs[:_PAIRS]:
        yield _cut(f"  {inputs_line(pair.inputs)}")
        yield _cut(f"    control    {answer(pair.control, _WIDTH)}")
        yield _cut(f"    candidate  {answer(pair.candidate, _WIDTH)}")
        if told := why(pair):
            yield _cut(f"    because    {told}")


def grid(headers: Sequence[str], rows: Sequence[Sequence[str]], *, right: set[int]) -> Iterator[str]:
    widths = [max(len(row[place]) for row in (headers, *rows)) for place in range(len(headers))]
    for row in (headers, *rows):
        cells = (
            cell.rjust(width) if place in right else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        yield "  ".join(cells).rstrip()


def _wrapped(told: str, indent: str = "") -> list[str]:
    return textwrap.wrap(
        told, _WIDTH, initial_indent=indent, subsequent_indent=indent, break_long_words=False
    )


def _cut(line: str) -> str:
    return line if len(line) <= _WIDTH else f"{line[: _WIDTH - 1]}…"
