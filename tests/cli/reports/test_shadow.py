"""What a comparison counts, and how it is told: text, JSON, markdown, HTML."""

import json
import random
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest

from promptops.cli.reports.shadow import comparisons_worst_first, render_comparisons
from promptops.evaluation.gate import decide_shadow
from promptops.evaluation.shadow.pair import build_pair, pair_from_runs
from promptops.evaluation.shadow.ratio_metrics import RatioMetric
from promptops.evaluation.shadow.result import ExclusionCounts
from promptops.evaluation.shadow.similarity import SimilarityCounter
from support.shadow_results import broken, compared, pair, passing, side

# ---- counts


@pytest.mark.parametrize(
    ("old", "new", "level"),
    [
        ("yes", "yes", 3),
        ("Yes \n", "yes", 2),
        ("Yes, it is.", "yes it is", 1),
        ('{"a": 1, "b": 2}', '{"b":2,"a":1}', 1),
        ('{"id": 1234567890123456789, "b": 2}', '{"b":2,"id":1234567890123456789}', 1),
        ('{"id": 1234567890123456789}', '{"id": 1234567890123456788}', 0),
        ('{"a": 1e999}', '{"a": 1}', 0),
        ("[" * 500 + "]" * 500, "[" * 501 + "]" * 501, 0),
        ("yes", "no", 0),
        ("...", "!!!", 0),
        ('{"a": 1}', '{"a": true}', 0),
    ],
)
def test_levels_of_likeness(old: str, new: str, level: int) -> None:
    alike = SimilarityCounter()
    alike.add(pair(1, side(old), side(new)))
    found = alike.result()
    assert [found.equal, found.normalised, found.semantic] == [int(level > 2), int(level > 1), int(level > 0)]


def test_json_is_compared_field_by_field() -> None:
    alike = SimilarityCounter()
    for number in range(4):
        old = {"order": {"id": number, "lines": [{"sku": "x"}, {"sku": "y"}]}, "note": "n"}
        new = {"order": {"id": number, "lines": [{"sku": "x"}, {"sku": "z" if number else "y"}]}}
        alike.add(pair(number, side(json.dumps(old)), side(json.dumps(new))))
    found = alike.result()
    assert [(each.path, each.pairs) for each in found.fields] == [("note", 4), ("order.lines[].sku", 3)]
    assert found.fields[1].examples == ("y -> z",)
    assert found.json_pairs == 4


@pytest.mark.slow
def test_what_else_is_worse_stands_in_the_headline() -> None:
    """Checks that all pass say nothing of answers that a judge finds worse in every second pair."""
    pairs = [
        pair(n, passing(True), passing(True, "no"), preference=0.0 if n % 2 else 0.5) for n in range(400)
    ]
    said = "not worse on checks, worse on judge"
    for form in ("text", "markdown", "html"):
        assert said in render_comparisons([compared(pairs)], form), form
        assert said not in render_comparisons([compared(pairs[:12])], form), form


def test_ratios_are_bounded_and_judged_by_their_limit() -> None:
    draw = random.Random(5)
    for factor, word in ((1.0, "not worse"), (1.6, "worse"), (0.6, "better")):
        ratios = RatioMetric("latency")
        for _ in range(400):
            base = draw.uniform(50, 400)
            ratios.add(base, base * factor * draw.lognormvariate(0, 0.2))
        found = ratios.question("v1", "v2")
        assert found is not None
        assert found.verdict == word
        assert found.low <= factor <= found.high
        assert found.high - found.low < 0.3
    assert RatioMetric("cost").question("v1", "v2") is None


@pytest.mark.no_cover
@pytest.mark.slow
def test_equal_ratios_raise_no_more_alarms_than_alpha() -> None:
    draw = random.Random(8)
    alarms = 0
    for _ in range(200):
        ratios = RatioMetric("latency")
        for _ in range(60):
            ratios.add(draw.lognormvariate(5, 1), draw.lognormvariate(5, 1))
        found = ratios.question("v1", "v2")
        alarms += found is not None and found.verdict == "worse"
    assert alarms <= 16


def test_a_side_without_an_answer_is_no_loss() -> None:
    down = side(None, error="server", message="503")
    found = compared(
        [pair(n, passing(True), down) for n in range(30)] + [pair(99, passing(True), passing(True))]
    )
    assert (found.pairs, found.broke_total, found.unanswered) == (1, 0, {"candidate": {"server": 30}})
    assert [(each.name, each.verdict) for each in found.questions[:2]] == [
        ("checks", "undecided"),
        ("unanswered", "worse"),
    ]
    assert decide_shadow(found).code == 1


def test_what_broke_comes_worst_first() -> None:
    whole = side("x", checks={"a": True, "b": True})
    half = side("x", checks={"a": True, "b": False})
    none = side("x", error="invalid_output", message="no JSON")
    found = compared([pair(1, whole, half), pair(2, whole, none), pair(3, half, whole), pair(4, whole, half)])
    assert [each.number for each in found.broke] == [2, 1, 4]
    assert [each.number for each in found.fixed] == [3]


def test_logged_runs_of_any_origin_make_a_pair() -> None:
    run: dict[str, Any] = {
        "run_id": "01B", "arm": "control", "state": "finished",
        "error": None, "output": "yes", "tool_calls": [], "checks": [],
        "trial": 1, "latency_ms": 1.0, "cost_usd": None, "cost_list_usd": None, "input_tokens": 1,
        "output_tokens": 1, "finish_reason": "stop",
        "shadow_of": "01A", "inputs": {"q": "?"}, "metadata": {"tags": "one"},
        "outcomes": [],
    }  # fmt: skip
    candidate = {**run, "arm": "candidate", "trial": 0, "output": "no"}
    assert pair_from_runs(1, [run]) is None
    assert pair_from_runs(1, [run, {**candidate, "state": "started", "output": None}]) is None
    found = pair_from_runs(1, [run, candidate])
    assert found is not None
    live = build_pair(1, {**run, "arm": "stable", "trial": 0}, {**run, "arm": "candidate", "trial": 0})
    assert (live.first, live.control.output) == ("control", "yes")
    assert (found.first, found.source, found.tags, found.candidate.output) == (
        "candidate",
        "01A",
        ("one",),
        "no",
    )


# ---- forms


def test_the_text_says_it_within_80_columns() -> None:
    cheap = [
        pair(
            each.number,
            replace(each.control, cost_usd=0.00000195, latency_ms=100_000.0),
            replace(each.candidate, cost_usd=0.0000013, latency_ms=123_456.0, output_tokens=10_000),
            preference=float(each.number % 2),
        )
        for each in broken()
    ]
    assert max(map(len, render_comparisons([compared(cheap)], "text").splitlines())) <= 80
    found = render_comparisons([compared(broken())], "text")
    assert max(map(len, found.splitlines())) <= 80
    assert "worse" in found.splitlines()[0]
    assert "Broke 13, the worst 5:" in found
    assert "label differs in 13" in found


def test_the_json_is_whole_and_stable() -> None:
    found = json.loads(render_comparisons([compared(broken())], "json"))
    assert found["verdict"] == "worse"
    assert found["broke_total"] == len(found["broke"]) == 13
    assert {each["name"] for each in found["questions"]} == {"checks", "latency", "cost", "tokens", "length"}
    assert found["questions"][1]["low"] >= 1.9
    assert found["broke"][0]["candidate"]["failed"] == ["right: is not right"]


@pytest.mark.slow
def test_markdown_keeps_answers_inside_fences_and_within_a_comment() -> None:
    found = render_comparisons([compared(broken(2_000))], "markdown")
    assert found.startswith("<!-- promptops shadow -->")
    assert len(found) <= 61_000
    outside = "".join(part for place, part in enumerate(found.split("````")) if place % 2 == 0)
    assert "<script>" not in outside
    assert "| fails checks | 0.0 % | 33.3 % |" in found


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.names: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.names += [value or "" for name, value in attrs if name == "id"]
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]


def test_html_needs_nothing_else_and_runs_nothing() -> None:
    page = render_comparisons([compared(broken())], "html")
    seen = _Tags()
    seen.feed(page)
    assert "script" not in seen.tags
    assert not seen.addresses
    assert seen.tags.count("svg") >= 4
    assert "&lt;script&gt;" in page
    assert page.count('class="side passed"') == 13 + 0
    assert "Content-Security-Policy" in page


def test_several_on_one_page_keep_their_headings_apart() -> None:
    found = [compared(broken(), "a"), compared(broken(), "b")]
    seen = _Tags()
    seen.feed(render_comparisons(found, "html", table=True))
    assert len(set(seen.names)) == len(seen.names)
    assert [name for name in seen.names if "broke" in name] == ["broke", "broke-1"]
    alone = _Tags()
    alone.feed(render_comparisons(found[:1], "html"))
    assert "tag-all" in alone.names


def test_a_table_of_the_repository_begins_with_the_worst() -> None:
    good = compared([pair(n, passing(n % 3 > 0), passing(True)) for n in range(60)], "b/better")
    even = compared([pair(n, passing(True), passing(True)) for n in range(20)], "c/undecided")
    bad = compared(broken(), "a/worse")
    found = [each.prompt for each in comparisons_worst_first([good, even, bad])]
    assert found == ["a/worse", "c/undecided", "b/better"]
    for form in ("text", "markdown", "html"):
        told = render_comparisons([good, even, bad], form, table=True)
        assert told.index("a/worse") < told.index("c/undecided") < told.index("b/better")
        assert form != "text" or max(map(len, told.splitlines())) <= 80


def test_the_table_says_what_a_judge_prefers_where_one_was_asked() -> None:
    plain = compared(broken(), "a")
    judged = compared([pair(n, passing(True), passing(True, "no"), preference=0.0) for n in range(40)], "b")
    for form in ("text", "markdown", "html"):
        assert "judged" not in render_comparisons([plain], form, table=True).lower()
        assert "judged" in render_comparisons([plain, judged], form, table=True).lower()
    lines = render_comparisons([plain, judged], "text", table=True).splitlines()
    assert [line.split()[-1] for line in lines[1:4]] == ["JUDGED", "–", "worse"]
    assert max(map(len, lines)) <= 80


def test_what_was_left_out_is_told() -> None:
    left = ExclusionCounts(
        considered=90, doubled=3, of_same_unit=2, incompatible=4, reasons=(("01X", "candidate: no `q`"),)
    )
    for form in ("text", "markdown", "html"):
        told = render_comparisons([compared(broken(), left=left)], form)
        assert "4 inputs left out" in told
        assert "01X" in told


def test_the_gate_says_yes_only_to_what_is_shown() -> None:
    assert decide_shadow(compared(broken())).code == 1
    assert decide_shadow(compared([pair(n, passing(True), passing(True)) for n in range(20)])).code == 3
    assert decide_shadow(compared([pair(n, passing(True), passing(True)) for n in range(250)])).code == 0
