"""Tables in a terminal."""

import pytest

from promptops.cli.reports.lines import plain_text, table_lines
from promptops.cli.reports.tables import Cell, ReportTable, plain_cells


def table(*rows: tuple[str, ...], more: str = "") -> ReportTable:
    cells = [[Cell(name, code=True), *plain_cells(*rest)] for name, *rest in rows]
    heads = plain_cells("name", "count", "share", "verdict")
    return ReportTable(caption="", headers=heads, rows=cells, words=frozenset({0, 3}), more=more)


def test_numbers_stand_flush_right_and_words_flush_left() -> None:
    shown = table(("a", "1", "2 %", "worse"), ("bb", "1,000", "33 %", "not worse"), more="and 2 more")
    assert plain_text(table_lines(shown, 80)) == (
        "NAME  COUNT  SHARE  VERDICT\na         1    2 %  worse\nbb    1,000   33 %  not worse\nand 2 more\n"
    )


def test_a_long_name_has_a_line_of_its_own_and_is_whole() -> None:
    lines = plain_text(
        table_lines(table(("n" * 30, "1", "2 %", "x"), ("a", "1", "2 %", "y")), 32)
    ).splitlines()
    assert lines == [
        "NAME  COUNT  SHARE  VERDICT",
        "n" * 30,
        "          1    2 %  x",
        "a         1    2 %  y",
    ]


@pytest.mark.parametrize("width", range(20, 60))
def test_no_line_is_wider_than_it_may_be(width: int) -> None:
    shown = table(("name" * 9, "12,345", "100.0 %", "undecided"), ("\x1b[2J\n@x", "1", "2", "worse"))
    lines = plain_text(table_lines(shown, width)).splitlines()
    assert max(map(len, lines)) <= width
    assert not any("\x1b" in line for line in lines)


def test_names_in_the_header_share_what_is_left() -> None:
    heads = [Cell(""), *(Cell("v" * 40, kind=kind, code=True) for kind in ("control", "candidate"))]
    shown = ReportTable(caption="", headers=heads, rows=[plain_cells("rate", "1 %", "2 %")])
    lines = plain_text(table_lines(shown, 40)).splitlines()
    assert [line.split()[-1] for line in lines[:2]] == ["candidate", "v" * 16 + "…"]


def test_tones_are_colours() -> None:
    shown = ReportTable(
        caption="", headers=plain_cells("", "change"), rows=[[Cell("a"), Cell("-1", tone="bad")]]
    )
    assert list(table_lines(shown, 80))[-1][1] == ("      -1", "red")
