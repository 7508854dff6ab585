"""The pages of answers: filters, pages, words, one run in full, and that texts stay texts."""

import re
from dataclasses import replace
from typing import Any

import pytest

from promptops.registry import GuardDecision, RegistryDatabase, add_outcome, new_run_id
from support.front_door import Cli, Repo
from support.html_pages import HtmlPage
from support.logged_runs import a_failure, a_run, an_end, check
from support.page_client import PageClient
from support.provider import Provider

HOSTILE = (
    "<script>alert(1)</script>",
    "![x](http://evil.example/x.png) <img src=x onerror=alert(1)>",
    "{{ 7 * 191 }} {% raw %}",
    "\u202egnp.exe \x1b[31m red",
    "x" * 200_000,
)


def log(live: Repo, *runs: tuple[Any, Any]) -> list[str]:
    with RegistryDatabase.open(live.registry) as registry:
        registry.record(runs)
    return [run.run_id for run, _ in runs]


def shown(pages: PageClient, query: str = "") -> list[str]:
    answer = pages.get(f"/ui/answers{query}")
    assert answer.status == 200, answer.html
    HtmlPage(answer.html)
    return re.findall(r'data-item href="/ui/answers/(\w+)"', answer.html)


@pytest.fixture
def some(live: Repo) -> list[str]:
    return log(
        live,
        (a_run(prompt="greet", version="v1", channel="production", arm="stable"), an_end(output="Hello Ada")),
        (
            a_run(prompt="greet", version="v2", channel="production", arm="canary", tenant="acme"),
            an_end(
                output="Good day", checks=(check("short", passed=False), check("json")), latency_ms=9000.0
            ),
        ),
        (a_run(prompt="other", request_model="m", started_at="2026-01-01T00:00:00.000Z"), a_failure()),
        (a_run(prompt="greet", kind="eval"), an_end(cost_usd=2.0)),
    )


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", [2, 1, 0]),
        ("?kind=all", [3, 2, 1, 0]),
        ("?kind=eval", [3]),
        ("?prompt=greet", [1, 0]),
        ("?prompt=gr*&version=v2", [1]),
        ("?arm=canary", [1]),
        ("?channel=production&version=v1", [0]),
        ("?model=m", [2]),
        ("?tenant=acme", [1]),
        ("?check=any", [1]),
        ("?check=short", [1]),
        ("?check=json", []),
        ("?check=unheard", []),
        ("?error=any", [2]),
        ("?thumbs=up", [0]),
        ("?thumbs=down", []),
        ("?until=2026-02-01", [2]),
        ("?since=1d", [1, 0]),
        ("?min_latency=8999", [2, 1]),
        ("?min_cost=1&kind=all", [3]),
        ("?q=hello", [0]),
        ("?q=day+OR+ada", [1, 0]),
        ("?q=da+OR+hello", [1, 0]),
        ("?q=(hello+OR+zebra)+ada", [0]),
        ("?q=day+NOT+good", []),
        ("?q=day&version=v1", []),
        ("?q=nothing+at+all", []),
    ],
)
def test_filters(query: str, expected: list[int], some: list[str], live: Repo, pages: PageClient) -> None:
    with RegistryDatabase.open(live.registry) as registry:
        add_outcome(registry, some[0], "thumbs", "up")
    assert [some.index(run) for run in shown(pages, query)] == expected


@pytest.mark.parametrize(
    "query",
    ["kind=x", "arm=left", "thumbs=sideways", "min_cost=-1", "min_latency=nan", "before=x", "since=soon"],
)
def test_what_cannot_be_asked(query: str, pages: PageClient) -> None:
    assert pages.get(f"/ui/answers?{query}").status == 400


@pytest.mark.parametrize("words", ["", "&q=delivery"])
def test_pages_hold_every_run_once(words: str, live: Repo, pages: PageClient) -> None:
    runs = log(live, *((a_run(prompt="greet", version="v1"), an_end()) for _ in range(65)))
    seen, path = [], f"/ui/answers?version=v1{words}"
    while path:
        answer = pages.get(path)
        found = re.findall(r'data-item href="/ui/answers/(\w+)"', answer.html)
        seen += found
        log(live, (a_run(prompt="greet", version="v1"), an_end()))  # what comes meanwhile moves no page
        following = re.search(r'rel="next" href="([^"]+)"', answer.html)
        path = following[1].replace("&amp;", "&") if following else ""
    assert seen == runs[::-1]


def test_texts_are_texts_and_pages_stay_small(live: Repo, pages: PageClient) -> None:
    runs = log(
        live,
        *(
            (a_run(prompt="greet", version=text[:40], inputs={text[:40]: text}), an_end(output=text))
            for text in HOSTILE
            for _ in range(5)
        ),
    )
    for path in ("/ui/answers", *(f"/ui/answers/{run}" for run in runs[::5])):
        answer = pages.get(path)
        page = HtmlPage(answer.html)
        assert answer.status == 200
        assert len(answer.html) < 300_000
        assert not {"img", "iframe", "svg"} & {tag for tag, _ in page.tags}
        assert [attrs.get("src") for tag, attrs in page.tags if tag == "script"] == [
            next(attrs["src"] for tag, attrs in page.tags if tag == "script")
        ]
        assert not [attrs for _, attrs in page.tags if any(name.startswith("on") for name in attrs)]
        assert "1337" not in page.text
        assert not re.search("[\u202e\x1b]", answer.html)


def test_pages_stay_small_however_much_a_run_has(live: Repo, pages: PageClient) -> None:
    dense = "\u202e\"'<" * 1_000
    inputs = {f"{dense[:300]}{number}": dense for number in range(40)}
    checks = [check(f"{dense[:99]}{number}", passed=False, message=dense) for number in range(90)]
    guards = [
        GuardDecision(guard=f"{dense[:99]}{number}", on="output", did="flagged", why=dense)
        for number in range(90)
    ]
    end = an_end(output=dense, checks=checks, guards=guards)
    run = (a_run(prompt="greet", inputs=inputs, tenant=dense[:200]), end)
    runs = log(live, *([run] + [(replace(run[0], run_id=new_run_id()), run[1]) for _ in range(30)]))
    for path in ("/ui/answers", f"/ui/answers/{runs[0]}"):
        answer = pages.get(path)
        assert answer.status == 200
        assert len(answer.html.encode()) < 300_000, path
        assert "more are not shown" in answer.html


def test_one_run_in_full(cli: Cli, live: Repo, pages: PageClient, provider: Provider) -> None:
    assert cli("run", "greet:production", "-i", "name=Ada").code == 0
    (run,) = shown(pages)
    log(live, (a_run(prompt="greet", kind="shadow", shadow_of=run), an_end(output="Its shadow says hello")))
    with RegistryDatabase.open(live.registry) as registry:
        add_outcome(registry, run, "thumbs", "down", text="too short")
    page = HtmlPage(pages.get(f"/ui/answers/{run}").html)
    for text in ("Messages, as they were sent", "Ada", "too short", "Its shadow says hello", run):
        assert text in page.text


def test_guards_are_shown_with_what_they_did_took_and_paid(live: Repo, pages: PageClient) -> None:
    looked = [
        GuardDecision(guard="order", on="input", did="redacted", why="it holds ORDER-1", ms=0.14),
        GuardDecision(guard="tone", on="input", did="blocked", why="choice: <toxic>", ms=812.0, usd=0.0021),
        GuardDecision(
            guard="late",
            on="input",
            did="allowed",
            why="no verdict after 10 s",
            error=True,
            ms=10_000.0,
            usd=None,
        ),
    ]
    blocked = {"output": None, "state": "failed", "error_type": "input_blocked", "error_message": "No."}
    (run,) = log(live, (a_run(prompt="greet", inputs={"name": "Ada"}), an_end(guards=looked, **blocked)))
    text = HtmlPage(pages.get(f"/ui/answers/{run}").html).text
    assert "orderinputredactedit holds ORDER-10.1 ms$0" in text
    assert "toneinputblockedchoice: <toxic>812.0 ms$0.0021" in text
    assert "lateinputallowed, could not sayno verdict after 10 s10000.0 msunknown" in text
    assert "Messages, which were not sent" in text


def test_a_run_whose_messages_are_not_known(live: Repo, pages: PageClient) -> None:
    (run,) = log(live, (a_run(inputs=None), an_end(output=None)))
    page = HtmlPage(pages.get(f"/ui/answers/{run}").html)
    assert "the log has no inputs of it" in page.text
    assert "not kept" in page.text


def test_there_is_no_such_run(pages: PageClient) -> None:
    assert pages.get("/ui/answers/01ARZ3NDEKTSV4RRFFQ69G5FAV").status == 404
    assert pages.get("/ui/answers/x").status == 404


def test_nothing_is_logged(pages: PageClient) -> None:
    assert "Nothing has been answered yet" in pages.get("/ui/answers").html
    assert "No run has all of this" in pages.get("/ui/answers?version=v9").html
