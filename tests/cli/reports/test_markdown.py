"""Comments: what has room, and text that stays text."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptops.cli.reports.markdown import (
    CommentSection,
    code_span,
    details,
    fenced_block,
    html_code,
    prose,
    render_comment,
    table_markdown,
)
from promptops.cli.reports.tables import Cell, ReportTable, plain_cells

GITHUB_TAKES = 65_536


def section(length: int, kind: str = "cases", heading: str = "", short: str = "") -> CommentSection:
    return CommentSection("x" * length, kind, heading, short)


def test_a_comment_begins_with_its_marker_and_ends_with_one_line_feed() -> None:
    text = render_comment("eval", "head\n", [CommentSection("one\n\n", "cases")], "tail\n")
    assert text == "<!-- promptops eval -->\nhead\none\n\ntail\n"


def test_sections_in_a_row_share_their_heading() -> None:
    sections = [
        CommentSection("a\n", "cases", "# Broke\n"),
        CommentSection("b\n", "cases", "# Broke\n"),
        CommentSection("c\n", "cases", "# Fixed\n"),
    ]
    assert render_comment("x", "", sections).endswith("# Broke\na\nb\n# Fixed\nc\n")


def test_nothing_follows_a_section_that_has_no_room() -> None:
    sections = [section(50_000), section(20_000), section(10, "pairs"), section(10, "")]
    text = render_comment("x", "", sections)
    assert text.endswith("_Left out, as the comment would be too long: 1 cases, 1 pairs._\n")
    assert text.count("x" * 10) == 5_000


def test_the_short_form_stands_where_the_whole_has_no_room() -> None:
    sections = [section(30_000, short=f"short {number}\n") for number in range(4)]
    text = render_comment("x", "", sections)
    assert re.findall(r"short \d", text) == ["short 1", "short 2", "short 3"]
    assert "Left out" not in text


def test_short_forms_too_are_left_out_where_they_are_too_many() -> None:
    sections = [section(900, "prompts", short="s" * 500 + "\n") for _ in range(1_000)]
    text = render_comment("diff", "", sections)
    assert len(text) < GITHUB_TAKES
    assert re.search(r"too long: \d{3} prompts\._", text)


LENGTHS = st.integers(0, 30_000)


@given(
    st.lists(
        st.builds(
            section,
            LENGTHS,
            st.sampled_from(["cases", "pairs", ""]),
            st.sampled_from(["", "# One\n", "# Two\n" * 50]),
            st.integers(0, 300).map("s".__mul__),
        ),
        max_size=400,
    )
)
def test_no_comment_is_longer_than_github_takes(sections: list[CommentSection]) -> None:
    assert len(render_comment("x", "head\n" * 20, sections, "tail\n")) < GITHUB_TAKES


def test_cells_of_a_table_stay_cells() -> None:
    table = ReportTable(
        caption="",
        headers=plain_cells("name", "value", "verdict"),
        rows=[
            [
                Cell("a | b `c`", kind="tag", code=True),
                Cell("< 0.001", note="0–1 %"),
                Cell("worse", tone="bad"),
            ],
            [Cell("@team #12 (mean)"), Cell("-3", tone="bad"), Cell("not worse")],
        ],
        words=frozenset({0, 2}),
        more="and 3 more",
    )
    assert list(table_markdown(table)) == [
        "| name | value | verdict |",
        "| --- | ---: | --- |",
        "| tag `` a ¦ b `c` `` | &lt; 0.001 (0–1 %) | ❌ worse |",
        "| `@team #12` (mean) | **-3** | ✅ not worse |",
        "\nand 3 more",
    ]


@pytest.mark.parametrize("text", ["```", "a ```` b", "`", "</details>\n@team", "\u202e\x1b[2J\ud800"])
def test_code_holds_whatever_it_is_given(text: str) -> None:
    fence = fenced_block(text).split("\n")
    assert fence[-1] * 2 not in text
    assert fence[-1] not in "\n".join(fence[1:-1])
    assert not re.search(r"[\x1b\u202e\ud800]", fenced_block(text))
    mark = code_span(text)[: len(code_span(text)) - len(code_span(text).lstrip("`"))]
    assert mark not in text
    assert "<" not in html_code(text).removeprefix("<code>").removesuffix("</code>")
    assert details(html_code(text), []).count("</details>") == 1


def test_prose_may_be_shortened() -> None:
    assert prose("word " * 50, 12) == "word word `w…`"
