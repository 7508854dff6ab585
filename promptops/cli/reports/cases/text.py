"""Cases in a terminal: the answers under each other, from where they part."""

from collections.abc import Iterator, Sequence

from promptops.cli.reports.cases import CaseReport, differing_excerpts, inputs_line
from promptops.console import StyledLine
from promptops.escapes import escape_line
from promptops.reports.texts import value_text

_MARKS = {"control": "    - ", "candidate": "    + ", "answer": "    = "}
_MAX_FAILURES = 3


def case_lines(report: CaseReport, width: int) -> Iterator[StyledLine]:
    room = width - 6
    yield _title(report, width)
    if report.inputs:
        yield [(f"      {inputs_line(report.inputs, room)}", "dim")]
    if report.expected is not None:
        yield [("      expected ", "dim"), (escape_line(value_text(report.expected), room - 9), "")]
    texts = differing_excerpts(report.answers[0].text, report.answers[-1].text, room)
    for answer, text in zip(report.answers, texts, strict=False):
        yield [(_MARKS[answer.title], "dim"), (text, "" if answer.passed else "red")]
        for failure in answer.failures[:_MAX_FAILURES]:
            yield [(f"        {escape_line(failure, width - 8)}", "yellow")]


def _title(report: CaseReport, width: int) -> StyledLine:
    name = escape_line(report.name, width // 2)
    tags = escape_line(", ".join(report.tags), width - len(name) - 4)
    return [(f"  {name}", "bold"), (f"  {tags}".rstrip(), "dim")]


def case_group_lines(
    title: str, colour: str, reports: Sequence[CaseReport], total: int, *, width: int, most: int
) -> Iterator[StyledLine]:
    """The first ``most`` of the cases that are listed, and how many more there are."""
    total = max(total, len(reports))
    if not total:
        return
    yield []
    yield [(f"{title} {total:,}", colour)]
    for report in reports[:most]:
        yield from case_lines(report, width)
    if total > (shown := min(len(reports), most)):
        where = ": --format html shows more" if len(reports) > shown else ""
        yield [(f"  and {total - shown:,} more{where}", "dim")]
