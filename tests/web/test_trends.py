"""The page of trends: what it counts, how it is asked, and that texts stay texts."""

import html
import re

import pytest

from promptops.registry import RegistryDatabase
from support.front_door import Repo
from support.html_pages import HtmlPage
from support.logged_runs import a_run, an_end, check
from support.page_client import PageClient

HOSTILE = '<script>alert(1)</script> {{ 7 * 7 }} \u202e"'


def log(live: Repo, count: int = 30, **fields: str) -> None:
    run = {"prompt": "greet", "version": "v1", "channel": "production", **fields}
    with RegistryDatabase.open(live.registry) as registry:
        registry.record([(a_run(**run), an_end(checks=(check(passed=n % 3 > 0),))) for n in range(count)])


def test_figures_plots_and_releases(live: Repo, pages: PageClient) -> None:
    log(live)
    answer = pages.get("/ui/trends?prompt=greet")
    page = HtmlPage(answer.html)
    assert answer.status == 200
    assert "20 of 30 answers" in page.text
    drawings = [attrs["aria-label"] or "" for tag, attrs in page.tags if tag == "svg" and attrs.get("role")]
    assert [each.partition(",")[0] for each in drawings] == [
        "Calls", "Spent", "Tokens", "Latency", "Checks passed",
    ]  # fmt: skip
    assert answer.html.count('<line class="release"') == len(drawings)
    assert re.search(r'class="lines s0" d="M[\d.]+ [\d.]+h[1-9]', answer.html), (
        "a day alone is a dash, not a dot"
    )
    assert "production: v1" in page.text
    assert not [attrs for _, attrs in page.tags if "style" in attrs]


@pytest.mark.parametrize(
    "query",
    ["by=model", "per=hour", "by=channel&since=7d", "since=2026-01-01", "channel=production", "by=prompt"],
)
def test_ways_to_ask(query: str, live: Repo, pages: PageClient) -> None:
    log(live)
    answer = pages.get(f"/ui/trends?prompt=greet&{query}")
    assert answer.status == 200
    assert "20 of 30 answers" in answer.html


@pytest.mark.parametrize(
    "query",
    [
        "by=phase",
        "per=minute",
        "since=yesterday",
        "prompt=a&prompt=b",
        "prompt=" + "x" * 2_000,
        "since=1%00d",
    ],
)
def test_what_cannot_be_asked(query: str, pages: PageClient) -> None:
    assert pages.get(f"/ui/trends?{query}").status == 400


def test_names_are_texts(live: Repo, pages: PageClient) -> None:
    log(live, 3, prompt=HOSTILE, version=HOSTILE, request_model=HOSTILE)
    for query in ("", "?by=version", "?by=model"):
        answer = pages.get(f"/ui/trends{query}")
        assert "alert(1)" in html.unescape(answer.html)
        assert not re.search(r"<script>|\u202e", answer.html.partition("<h1>")[2])


def test_nothing_was_called(pages: PageClient) -> None:
    answer = pages.get("/ui/trends")
    assert answer.status == 200
    assert "No calls in this time" in answer.html


@pytest.mark.parametrize(("since", "status"), [("0001-01-01", 200), ("0001-01-01T00:00%2B14:00", 400)])
def test_the_first_year_is_a_date_and_what_lies_before_is_none(
    pages: PageClient, since: str, status: int
) -> None:
    assert pages.get(f"/ui/trends?since={since}").status == status
