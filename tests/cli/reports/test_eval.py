"""What the formats of an eval say, and that nothing in a model's answer can break out of them."""

import csv
import io
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any
from xml.etree.ElementTree import XML

import pytest

from promptops.cli.reports.cases import differing_excerpts, inputs_line
from promptops.cli.reports.eval import EvalFormatName, print_result, render_result
from promptops.cli.reports.eval.answers import answers_lines
from promptops.cli.reports.eval.text import eval_table_lines, render_eval_table
from promptops.cli.reports.eval.view import eval_headline
from promptops.cli.reports.lines import plain_text
from promptops.cli.reports.markdown import prose
from promptops.display_width import display_width
from promptops.escapes import escape
from promptops.evaluation.result import EvalResult, ScoreSlice
from promptops.reports.numbers import (
    format_milliseconds,
    format_p_value,
    format_percent,
    format_points,
    format_usd,
)
from support.eval_results import BROKE, alone, case, compared, flip, rate, several, side, trial
from support.html_pages import HtmlPage

FORMS: tuple[EvalFormatName, ...] = ("table", "json", "junit", "markdown", "html", "csv")
NASTY = [
    "</pre></td></table></details><script>alert(1)</script>",
    "</div></details><img src=x onerror=alert(1)>",
    "```\n</details>\n@team see #12 and GH-34, user/repo@3f2c9e1d88aa",
    "a | b \\| c `d` ``e``",
    "\x00\x1b]0;title\x07 \x85 \u202eevil \ud800 \ufffe",
    "]]> <!-- --> &amp; &#64; '\"",
    "\n\n\n# heading\n* list\n",
    "",
]


@pytest.fixture(scope="module")
def hostile(shared: Path) -> list[str]:
    files = sorted((shared / "data/hostile-inputs").glob("*.jsonl"))
    lines = [text for file in files for text in file.read_text("utf-8").split("\n") if text]
    return [json.loads(text)["text"][:5000] for text in lines]


def with_flips(texts: list[str]) -> EvalResult:
    """Every text as output, as input, as tag, as name and as reason."""
    flips = tuple(
        replace(flip(f"{i} {text}", text, trial(text), trial(f"x {text}", f"equals: {text}"), text[:50], "t"))
        for i, text in enumerate(texts)
    )
    base = compared()
    assert base.comparison
    return replace(base, comparison=replace(base.comparison, broke=flips, fixed=()), changed=tuple(texts))


# ---- table


def test_the_table_says_the_verdict_first_then_what_got_worse() -> None:
    text = render_eval_table(compared())
    order = [
        "BETTER: support/reply@9ab21c0 fails checks at least 3.2 points less often",
        "But worse on refunds, though the whole is not.",
        "82.5 %",
        "tag refunds",
        "tag tone",
        "broke 9",
        "fixed 27",
        "flaky 1",
    ]
    assert [text.index(part) for part in order] == sorted(text.index(part) for part in order)


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("result", [compared(), alone(), several(), with_flips(NASTY)])
def test_no_line_of_the_table_is_wider_than_the_terminal(result: EvalResult, width: int) -> None:
    lines = render_eval_table(result, width).split("\n")
    assert [text for text in lines if len(text) > width] == []


def test_sides_stand_side_by_side_with_their_difference() -> None:
    lines = render_eval_table(compared()).splitlines()
    row = next(text for text in lines if text.startswith("latency p50"))
    assert row.split()[2:] == ["812", "ms", "934", "ms", "+15", "%"]
    row = next(text for text in lines if text.startswith("pass rate"))
    assert row.endswith("82.5 % (77.1–86.8 %)   90.0 % (85.5–93.2 %)  +7.5 points")


def test_answers_are_shown_from_where_they_part() -> None:
    text = render_eval_table(compared())
    assert "    - …kettle never worked. As it arrived faulty, you are" in text
    assert "    + …kettle never worked. As your order is older than" in text
    assert "        judge_policy: 1 of 5, a faulty item may be returned for two years" in text
    assert "    + (no answer: timeout)" in text


def test_one_side_shows_what_failed_and_why() -> None:
    text = render_eval_table(alone())
    assert text.startswith(
        "support/reply@3f2c9e1 passes 2 of 4 cases: 50.0 % (15.0–85.0 %)\n4 cases; $0.0520 spent\n"
    )
    assert text.index("  silent") < text.index("  wrong  refunds")
    assert "      expected refund\n    = Maybe.\n        contains: refund\n" in text
    assert "  wavering  2/3 passed" in text


def test_many_sides_have_a_row_each_and_the_front_is_marked() -> None:
    narrow, wide = render_eval_table(several()), render_eval_table(several(), 200)
    name = "openai/gpt-4o-mini-2024-07-18 (★ Pareto front)"
    assert f"\n{name}\n" in narrow
    assert re.search(rf"\n{re.escape(name)} +90.0 %", wide)
    assert "\nopenai/gpt-4o-2024-11-20\n" in narrow
    assert "COST PER CASE" in narrow
    assert "★ no other side is both better and cheaper" in narrow


def test_long_lists_say_how_much_is_left_out() -> None:
    failed = [case(f"c{i}", trial("no", "contains: yes")) for i in range(30)]
    wavering = [case(f"f{i}", trial("a"), trial("b", "x"), trial("a")) for i in range(15)]
    text = render_eval_table(alone(*failed, *wavering))
    assert "failed 30\n" in text
    assert "and 20 more: --format html shows more\n" in text
    assert "and 5 more\n" in text
    base = compared()
    assert base.comparison
    slices = tuple(replace(base.comparison.tags[0], name=f"tag{i}") for i in range(40))
    many = replace(base, comparison=replace(base.comparison, tags=slices, broke=BROKE * 4))
    assert "more that changed less" in render_eval_table(many)
    assert "and 30 more that changed less" in render_result(many, "markdown")


def test_why_it_ended_and_what_the_judge_missed_is_said() -> None:
    stopped = replace(compared(), stopped="verdict")
    for form in ("table", "markdown", "html"):
        text = render_result(stopped, form).lower()
        assert "stopped early: the verdict was in after 240 pairs" in text
        assert "2 answers of the judge could not be used" in text
    partial = alone(stopped="budget", cases_run=1, notes=("the price is a guess",))
    assert "\n1 of 4 cases; $0.0520 spent\nthe price is a guess\nstopped by the budget" in render_eval_table(
        partial
    )
    assert "stopped: quake" in render_eval_table(alone(stopped="quake"))


def test_verdicts_have_their_colour() -> None:
    base = compared()
    assert base.comparison
    worse = replace(base, comparison=replace(base.comparison, verdict="worse", worse_slices=()))
    assert ("WORSE: ", "red") in next(eval_table_lines(worse))
    assert ("BETTER: ", "green") in next(eval_table_lines(base))


# ---- words


def test_headlines_without_a_control() -> None:
    nothing = side("a@1", 0, 0)
    assert eval_headline(alone(sides=(nothing,))) == "a@1: no case was answered"
    assert eval_headline(alone(sides=(nothing,) * 3)) == "no case was answered on any side"
    assert eval_headline(several()) == (
        "anthropic/claude-sonnet-4-20250514 passes most: 95.4 %; openai/gpt-4o-mini-2024-07-18 may be as "
        "good: 90.0 % at $0.000240 a case against $0.00310"
    )
    best = several().sides[0]
    assert eval_headline(replace(several(), sides=(best, best, best))).endswith("passes most: 95.4 %")


def test_numbers() -> None:
    assert [format_usd(value) for value in (None, 0, 0.000217, 0.0123, 1234.5)] == [
        "–",
        "$0",
        "$0.000217",
        "$0.0123",
        "$1,234.50",
    ]
    assert [format_milliseconds(value) for value in (None, 812.4, 1934)] == ["–", "812 ms", "1.93 s"]
    assert [format_points(value) for value in (0.01, -0.125, 0.0)] == [
        "+1.0 points",
        "\u221212.5 points",
        "±0.0 points",
    ]
    assert format_percent(None) == "–"
    assert format_p_value(0.00001) == "< 0.001"


def test_inputs_share_a_line_by_need() -> None:
    assert inputs_line({"ticket": "x" * 100, "language": "en"}, 60) == f"ticket={'x' * 39}…  language=en"
    assert len(inputs_line({str(i): "x" * 100 for i in range(9)}, 60)) == 60


def test_equal_starts_of_long_answers_are_left_out() -> None:
    old, new = differing_excerpts("s" * 90 + "old" * 9, "s" * 90 + "new" * 9, 60)
    assert old.startswith("…s")
    assert "oldold" in old
    assert "newnew" in new


def test_scores_that_moved_are_said() -> None:
    base = compared()
    assert base.comparison
    known = {"pairs": 240, "low": -0.4, "high": 0.1, "p": 0.2, "p_adjusted": 0.2}
    scores = (
        ScoreSlice(name="judge_tone", control=3.9, candidate=4.25, difference=0.35, **known),
        ScoreSlice(name="chrf", control=0.5, candidate=0.41, difference=-0.09, **known),
    )
    result = replace(base, comparison=replace(base.comparison, scores=scores))
    for form in ("table", "markdown", "html"):
        text = " ".join(render_result(result, form).replace("&gt;", ">").replace("`", "").split())
        told = "judge_tone scores 3.9 -> 4.25 on average: +0.35 (\u22120.4 to +0.1), adjusted p 0.200"
        assert 0 < text.index("chrf scores") < text.index(told)


# ---- JSON


def test_json_has_the_names_of_the_result() -> None:
    found = json.loads(render_result(compared(), "json"))
    assert list(found)[:12] == [
        "eval_id",
        "sides",
        "cases",
        "comparison",
        "trials",
        "cases_total",
        "cases_hash",
        "checks_hash",
        "changed",
        "stopped",
        "started_at",
        "finished_at",
    ]
    assert found["comparison"]["verdict"] == "better"
    assert found["sides"][1]["by_tag"]["refunds"]["passed"] == 30


def test_json_is_json_whatever_the_values() -> None:
    odd = case("a", trial("\ud800"), inputs=MappingProxyType({"n": float("nan"), "image": b"x"}))
    text = render_result(alone(odd), "json")
    text.encode()
    inputs = json.loads(text, parse_constant=pytest.fail)["cases"][0][0]["inputs"]
    assert inputs == {"n": None, "image": "b'x'"}


# ---- JUnit


def test_junit_has_a_suite_for_each_side() -> None:
    root = XML(render_result(compared(), "junit"))
    assert (root.tag, root.get("tests"), root.get("failures")) == ("testsuites", "4", "2")
    suites = root.findall("testsuite")
    assert [suite.get("name") for suite in suites] == ["support/reply@3f2c9e1", "support/reply@9ab21c0"]
    assert suites[0].get("timestamp") == "2026-03-04T09:30:00"
    assert suites[0].find("properties/property[@name='verdict']") is not None
    assert suites[0].findtext("system-out") == "2 of 240 cases are listed"
    assert suites[0].findtext("testcase/system-out") == "flaky: 2 of 3 trials passed"


def test_junit_tells_failures_from_errors() -> None:
    unanswered = replace(case("none"), passed=False)
    root = XML(render_result(alone(*alone().cases[0], unanswered), "junit"))
    (suite,) = root
    assert [suite.get(name) for name in ("tests", "failures", "errors", "skipped", "time")] == [
        "5",
        "1",
        "2",
        "0",
        "4.873",
    ]
    failure = suite.find("testcase[@name='wrong']/failure")
    assert failure is not None
    assert (failure.get("message"), failure.get("type")) == ("contains: refund", "contains")
    assert "answer:\nMaybe." in (failure.text or "")
    error = suite.find("testcase[@name='silent']/error")
    assert error is not None
    assert (error.get("message"), error.get("type")) == ("error: timeout", "timeout")
    assert suite.find("testcase[@name='ok']/*") is None


def test_junit_is_legal_xml_whatever_the_answers(hostile: list[str]) -> None:
    texts = [*NASTY, *hostile, *map(chr, range(32))]
    cases = [case(f"{i} {text}", trial(text, f"equals: {text}")) for i, text in enumerate(texts)]
    text = render_result(alone(*cases), "junit")
    root = XML(text.encode())
    assert len(root.findall("testsuite/testcase/failure")) == len(texts)
    assert not re.search(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", text)


# ---- markdown


def test_the_comment_says_what_changed_the_verdict_and_the_worst() -> None:
    text = render_result(compared(), "markdown")
    order = [
        "<!-- promptops eval -->",
        "### ✅ `support/reply`: better",
        "**`support/reply@9ab21c0` fails checks at least 3.2 points",
        "> Worse on refunds, though the whole is not.",
        "- new input `language` (string, default en)",
        "| pass rate | 82.5 % (77.1–86.8 %) | 90.0 % (85.5–93.2 %) | +7.5 points |",
        "| tag `refunds` | **\u221217.5 points**",
        "#### Broken: 9, of which 4 are listed",
        "<summary><code>refund-after-30-days</code>",
        "#### Fixed: 27",
    ]
    assert [text.index(part) for part in order] == sorted(text.index(part) for part in order)
    assert "As <b>it arrived faulty" in text


def test_one_side_and_several_make_comments_too() -> None:
    assert "#### Failed: 2" in render_result(alone(), "markdown")
    text = render_result(several(), "markdown")
    assert "| `openai/gpt-4o-mini-2024-07-18` (★ Pareto front) | 90.0 % (85.5–93.2 %) |" in text
    assert text.count("(★ Pareto front)") == 3
    crowd = replace(several(), sides=several().sides * 6, cases=((),) * 24)
    assert "and 4 more sides" in render_result(crowd, "markdown")


def outside_code(text: str) -> str:
    """A comment without fences, code spans, <code> and <pre>: what GitHub looks for mentions and links in."""
    text = re.sub(r"^(`{3,})text\n.*?^\1$", "", text, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"<(pre|code)>.*?</\1>", "", text, flags=re.DOTALL)
    return re.sub(r"(?<!`)(`+)(?!`).*?(?<!`)\1(?!`)", "", text)


def test_nothing_in_a_comment_mentions_links_or_breaks_out(hostile: list[str]) -> None:
    for start in range(0, len(hostile), 40):
        text = render_result(with_flips([*NASTY, *hostile[start : start + 40]]), "markdown")
        rest = outside_code(text)
        assert "@" not in rest.replace("<!--", "")
        assert not re.search(r"#\d|GH-\d|https?:|<script|<img|onerror|javascript:", rest)
        assert rest.count("<details>") == rest.count("</details>")
        assert set(re.findall(r"</?(\w+)", rest)) <= {"details", "summary", "table", "tr", "th", "td", "sub"}


def test_rows_of_a_comment_have_as_many_cells_as_their_table() -> None:
    tagged = replace(compared().sides[0], label="a | b", scores={"x | y": 0.5})
    base = replace(compared(), sides=(tagged, compared().sides[1]))
    rows = [text for text in render_result(base, "markdown").splitlines() if text.startswith("|")]
    widths = {len(re.findall(r"(?<!\\)\|", text)) for text in rows}
    assert widths == {5, 7}


def test_a_long_comment_is_cut_and_says_what_was_cut() -> None:
    base = compared()
    assert base.comparison
    long = tuple(
        flip(f"case-{i}", "why? " * 300, trial("old " * 2000), trial("new " * 2000, "equals: no"))
        for i in range(100)
    )
    shown = replace(base.comparison, broke=long, fixed=long)
    text = render_result(replace(base, comparison=shown, changed=("x " * 900,) * 50), "markdown")
    assert len(text) < 65_536
    assert re.search(r"_Left out, .*: \d\d broken cases, 1 list of flaky cases, 100 fixed cases\._", text)
    assert "… (5,500 more characters)" in text
    assert "- and 30 more" in text


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("fails at most 1.2 points more often (95 %), from 640 calls; limit 3", None),
        ("ask @team, please", "ask `@team`, please"),
        ("see #12 GH-34: x", "see `#12 GH-34`: x"),
        ("a ` b", "a `` ` `` b"),
        ("cost $0.1", "cost `$0.1`"),
        ("commit 3f2c9e1d88", "commit `3f2c9e1d88`"),
        ("www.example.org", "`www.example.org`"),
        ("*bold* _it_", "`*bold* _it_`"),
    ],
)
def test_prose_keeps_words_and_fences_in_the_rest(text: str, written: str | None) -> None:
    assert prose(text) == (written or text)


# ---- HTML


def test_the_report_stands_alone() -> None:
    for result in (compared(), alone(), several()):
        page = HtmlPage(render_result(result, "html"))
        assert not {tag for tag, _ in page.tags} & {
            "script",
            "link",
            "img",
            "iframe",
            "object",
            "base",
            "form",
        }
        wanted = {name for _, attributes in page.tags for name in attributes}
        assert not wanted & {"src", "href", "style", "xlink:href", "action"}
        assert not [name for name in wanted if name.startswith("on")]
        policy = next(each for tag, each in page.tags if tag == "meta" and "http-equiv" in each)
        assert policy["content"] == "default-src 'none'; style-src 'unsafe-inline'"


def test_the_report_can_be_read_aloud() -> None:
    page = HtmlPage(render_result(compared(), "html"))
    drawings = [each for tag, each in page.tags if tag == "svg" and each.get("role") == "img"]
    assert "support/reply@9ab21c0 90.0 % (85.5–93.2 %)" in str(drawings[0]["aria-label"])
    ids = [each["id"] for _, each in page.tags if "id" in each]
    assert len(ids) == len(set(ids))
    assert {each["aria-labelledby"] for _, each in page.tags if "aria-labelledby" in each} <= set(ids)
    assert {each["for"] for tag, each in page.tags if tag == "label"} <= set(ids)
    assert sum(tag == "h1" for tag, _ in page.tags) == 1
    assert sum(tag == "caption" for tag, _ in page.tags) == sum(tag == "table" for tag, _ in page.tags)


def outputs(result: EvalResult) -> Iterator[str]:
    assert result.comparison
    for one in (*result.comparison.broke, *result.comparison.fixed):
        yield from (
            escape(one.control.output or ""),
            escape(one.candidate.output or ""),
        )


def test_no_answer_breaks_out_of_the_report(hostile: list[str]) -> None:
    texts = [*NASTY, *hostile]
    for start in range(0, len(texts), 100):
        result = with_flips(texts[start : start + 100])
        text = render_result(result, "html")
        text.encode()
        page = HtmlPage(text)
        assert page.outputs == list(outputs(result))
        assert not {tag for tag, _ in page.tags} & {"script", "img", "iframe", "a", "b", "marquee"}
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", text)


def test_cases_are_chosen_by_tag() -> None:
    text = render_result(compared(), "html")
    assert ".cases:has(#tag-0:checked) .case:not(.t0){display:none}" in text
    page = HtmlPage(text)
    classes = [str(each["class"]) for tag, each in page.tags if tag == "details" and "case" in str(each)]
    assert sum("t0" in one.split() for one in classes) == 3
    assert "tag-0" not in render_result(alone(), "html")


def test_a_report_of_many_sides_draws_the_front() -> None:
    text = render_result(several(), "html")
    assert text.count('<line class="front"') == 4
    assert "Quality against cost" in text
    assert "openai/gpt-4o-mini-2024-07-18 90.0 % at $0.000240 a case, on the Pareto front" in text


def test_what_was_not_measured_is_not_drawn() -> None:
    bare = side("a@1", 0, 0, latency_p50_ms=None, latency_p95_ms=None, cost_per_case_usd=None)
    unpriced = replace(side("b@1"), latency_p95_ms=None, cost_per_case_usd=0.0, tokens_per_passed=None)
    text = render_result(alone(sides=(bare,), cases=((),)), "html")
    assert "Latency</h2>" not in text
    assert "Failed" not in text
    many = alone(sides=(bare, unpriced, unpriced), cases=((), (), ()))
    assert "Quality against cost" in render_result(many, "html")
    one_price = alone(sides=(bare, bare, unpriced), cases=((), (), ()))
    assert "Quality against cost" not in render_result(one_price, "html")
    assert "latency p50" in render_result(one_price, "markdown")
    slow = alone(sides=(bare, side("c@1", latency_p50_ms=0.0, latency_p95_ms=0.0)), cases=((), ()))
    assert "Latency</h2>" in render_result(slow, "html")


@pytest.mark.slow
@pytest.mark.no_cover
def test_large_reports_are_bounded() -> None:
    base = compared()
    assert base.comparison
    many = tuple(
        flip(f"case-{i}", "q", trial("old " * 4000), trial("new " * 4000, "e: no")) for i in range(300)
    )
    tags = {f"tag-{i}": rate(1, 2) for i in range(60)}
    sides = tuple(replace(one, by_tag=tags) for one in base.sides)
    shown = replace(base.comparison, broke=many, fixed=())
    text = render_result(replace(base, comparison=shown, sides=sides), "html")
    assert "Broke <span>200 of 300</span>" in text
    assert "and 20 more" in text
    assert "more characters)" in text
    assert len(text) < 4_000_000


# ---- printing


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_printed_as_it_is_written(
    form: EvalFormatName, capsys: pytest.CaptureFixture[str]
) -> None:
    result: Any = compared()
    print_result(result, form)
    assert capsys.readouterr().out == render_result(result, form)


# ---- every answer


def answers_text(result: EvalResult, width: int = 80) -> str:
    return plain_text(answers_lines(result, width))


def test_answers_stand_side_by_side_in_a_terminal() -> None:
    text = answers_text(compared())
    assert "answers to 2 cases: 2 answered differently, 2 passed by some only" in text
    assert re.search(r"\n  ✓ control, 2 of 3 trials passed +│ ✗ candidate", text)
    assert re.search(r"│ Soon\.\n", text)
    assert re.search(r"│ ✗ gives_date: no date found\n", text)
    assert max(map(display_width, text.splitlines())) <= 80


def test_a_long_answer_is_wrapped_and_cut() -> None:
    long = case("long", trial("\n".join(f"line {number} " + "word " * 20 for number in range(30))))
    text = answers_text(alone(cases=((long,),)), 60)
    assert "    line 0 word" in text
    assert re.search(r"and \d+ lines more", text)
    assert max(map(display_width, text.splitlines())) <= 60


def test_the_matrix_of_answers_can_be_filtered_to_where_versions_differ() -> None:
    same = (case("same", trial("yes")), case("flips", trial("yes")))
    other = (case("same", trial("yes")), case("flips", trial("no", "equals: yes")))
    sides = (side("a@1"), side("b@2"), side("c@3"))
    text = render_result(alone(sides=sides, cases=(same, other, same)), "html")
    rows = re.findall(r'<tr class="(\w+) ([\w-]+)"><th scope="row"><code>(\w+)', text)
    assert rows == [("differ", "some-failed", "flips"), ("alike", "all-passed", "same")]
    assert ".matrix:has(#answers-differ:checked) .alike" in text
    assert "answers-differ" not in render_result(alone(), "html").split("</style>")[1]


def test_a_spreadsheet_runs_nothing_of_an_answer() -> None:
    formulas = ("=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1")
    others = {"a\0b": "a\\x00b", "-1.5": "-1.5", 'say "hi",\nyes': 'say "hi",\nyes'}
    cases = tuple(case(f"c{number}", trial(text)) for number, text in enumerate([*formulas, *others]))
    table = list(csv.reader(io.StringIO(render_result(alone(cases=(cases,)), "csv"), newline="")))
    assert table[0][:4] == ["case", "tags", "ticket", "expected"]
    assert [row[5] for row in table[1:]] == [*("'" + text for text in formulas), *others.values()]
