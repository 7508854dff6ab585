"""Shadow runs on a terminal of 80 columns."""

import textwrap
from collections.abc import Iterator, Sequence

from promptops.cli.reports.shadow.view import (
    metric_comparison_rows,
    overview_headers,
    overview_rows,
    pair_failures,
    shadow_headline,
    shadow_inputs_line,
    shadow_notes,
    shadow_sample_size,
    side_answer,
    similarity_text,
    slice_rows,
)
from promptops.evaluation.shadow.pair import ShadowPair
from promptops.evaluation.shadow.result import ShadowComparison
from promptops.prompt.diff.values import format_value

_WIDTH = 80
_MAX_PAIRS = 5  # listed in each direction
_MAX_SLICES = 10
_MAX_FIELDS = 8
_BOUNDS_COLUMN = 3  # the column of bounds among those of a question
_NAME_WIDTH = 28  # characters of a tag or check


def render_shadow_text(found: Sequence[ShadowComparison], *, table: bool = False) -> str:
    if table:
        return "\n".join(_overview(found)) + "\n"
    return "\n\n".join("\n".join(_comparison_lines(each)) for each in found) + "\n"


def _overview(found: Sequence[ShadowComparison]) -> Iterator[str]:
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
    heads = overview_headers(found, "", "VERDICT", "PAIRS", "FAILS MORE, POINTS", "BROKE", "FIXED", "JUDGED")
    yield from text_grid(heads, rows, right={2, 3, 4, 5})
    for each in found:
        for told in shadow_notes(each):
            yield from _wrapped(f"{each.prompt}: {told}")


def _comparison_lines(found: ShadowComparison) -> Iterator[str]:
    yield from _wrapped(shadow_headline(found))
    yield from _wrapped(found.sentence)
    yield from _wrapped(shadow_sample_size(found))
    for told in shadow_notes(found):
        yield from _wrapped(told, "  " if told.startswith("  ") else "")
    yield ""
    rows = [  # the limit names the unit
        (*row[:_BOUNDS_COLUMN], row[_BOUNDS_COLUMN].removesuffix(" points"), *row[_BOUNDS_COLUMN + 1 :])
        for row in metric_comparison_rows(found)
    ]
    yield from text_grid(
        ("", "CONTROL", "CANDIDATE", "WORSE BY (95 %)", "LIMIT", "VERDICT"), rows, right={1, 2, 3, 4}
    )
    yield ""
    yield from _wrapped(similarity_text(found.likeness))
    for each in found.likeness.fields[:_MAX_FIELDS]:
        yield from _wrapped(f"{each.path} differs in {each.pairs:,}: {'; '.join(each.examples)}", "  ")
    yield from _slices(found)
    yield from _flips("Broke", found.broke, found.broke_total)
    yield from _flips("Fixed", found.fixed, found.fixed_total)
    yield ""
    yield f"promptops shadow show {found.shadow_id} --format html --out shadow.html"


def _slices(found: ShadowComparison) -> Iterator[str]:
    rows = [(format_value(name, _NAME_WIDTH), *rest) for name, *rest in slice_rows(found, _MAX_SLICES)]
    if rows:
        yield ""
        yield from text_grid(("SLICE", "PAIRS", "PASSES", "BROKE", "FIXED", "P"), rows, right={1, 2, 3, 4, 5})


def _flips(title: str, pairs: Sequence[ShadowPair], total: int) -> Iterator[str]:
    if not total:
        return
    yield ""
    yield f"{title} {total:,}" + (f", the worst {_MAX_PAIRS}:" if total > _MAX_PAIRS else ":")
    for pair in pairs[:_MAX_PAIRS]:
        yield _truncate(f"  {shadow_inputs_line(pair.inputs)}")
        yield _truncate(f"    control    {side_answer(pair.control, _WIDTH)}")
        yield _truncate(f"    candidate  {side_answer(pair.candidate, _WIDTH)}")
        if told := pair_failures(pair):
            yield _truncate(f"    because    {told}")


def text_grid(headers: Sequence[str], rows: Sequence[Sequence[str]], *, right: set[int]) -> Iterator[str]:
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


def _truncate(line: str) -> str:
    return line if len(line) <= _WIDTH else f"{line[: _WIDTH - 1]}…"
