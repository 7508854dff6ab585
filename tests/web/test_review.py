"""Review on the pages: one answer at a time, blind, and saved before the next."""

import json
import os
import re
from collections.abc import Iterator
from typing import Any

import pytest

from promptops.config.settings import find_settings
from promptops.registry import RegistryDatabase, claim_item, read_review_labels
from support.browser import SIZES, find_violations, running_browser
from support.front_door import Repo
from support.logged_runs import a_run, an_end, check
from support.page_client import PageAnswer, PageClient, serving_pages

SECRETS = ("v7", "canary", "4c1d4c1d4c1d", "strict-judge", "r-abcdefghij", "polite-check", "gpt-4o-mini")
HOSTILE = "<script>alert(1)</script> ![x](http://evil.example/i.png) \u202egnp.exe \x00 <!--"


@pytest.fixture
def registry(live: Repo) -> Iterator[RegistryDatabase]:
    with RegistryDatabase.open(find_settings(live.path, os.environ).registry) as opened:
        yield opened


def log(registry: RegistryDatabase, count: int, output: str = "Hello", **fields: Any) -> None:
    """Answers of a canary, with all that would tell a reviewer which version gave them."""
    about: dict[str, Any] = {"prompt": "greet", "channel": "production", "version": "v7", **fields}
    runs = [
        (
            a_run(
                inputs={"name": f"N{number}"}, arm="canary", rollout="r-abcdefghij", weight_bp=500, **about
            ),
            an_end(output=output, checks=[check("polite-check", passed=False)]),
        )
        for number in range(count)
    ]
    registry.record(runs)
    with registry.write() as connection:
        connection.execute(
            "INSERT INTO outcomes (run_seq, source, name, value, text, occurred_at, recorded_at) "
            "SELECT seq, 'judge', 'strict-judge', 1, 'strict@v1', started_at, started_at FROM runs"
        )


def make_queue(pages: PageClient, **fields: str) -> str:
    form = {"target": "greet:production", "sample": "30", "since": "1d", **fields}
    answer = pages.post("/ui/review", form)
    assert answer.status == 303, answer.html
    return answer.headers["location"]


def item_of(page: PageAnswer) -> str:
    found = re.search(r'action="(/ui/review/items/\d+)"', page.html)
    assert found, page.html
    return found[1]


def test_without_queues_the_next_command_is_named(pages: PageClient) -> None:
    assert "promptops review start NAME" in pages.get("/ui/review").html
    answer = pages.post("/ui/review", {"target": "greet:production", "sample": "5", "since": "1d"})
    assert (answer.status, "looks further back" in answer.html) == (404, True)


def test_what_can_be_reviewed_is_offered(pages: PageClient, registry: RegistryDatabase) -> None:
    log(registry, 1, prompt="other")
    page = pages.get("/ui/review").html
    assert '<option value="greet:production"><option value="other">' in page


def test_answers_are_labelled_one_after_the_other(pages: PageClient, registry: RegistryDatabase) -> None:
    log(registry, 3)
    queue = make_queue(pages, sample="2")
    page = pages.get(queue)
    assert item_of(page) == item_of(pages.get(queue))  # loaded again
    answer = pages.post(item_of(page), {"verdict": "fail", "note": "too\r\nshort", "codes": "curt, Rude"})
    assert answer.status == 303
    page = pages.get(answer.headers["location"])
    assert "Your last label is saved" in page.html
    assert 'name="code:curt"' in page.html  # offered from then on
    answer = pages.post(item_of(page), {"verdict": "pass", "code:curt": "1", "answer": "Good day"})
    end = pages.get(answer.headers["location"])
    assert "2 of 2 answers are labelled" in end.html
    assert "Nothing is left" in end.html
    first, second = (each.label for each in read_review_labels(registry, "greet"))
    assert (first.passed, first.note, first.codes) == (False, "too\nshort", ("Rude", "curt"))
    assert (second.passed, second.answer, second.codes) == (True, "Good day", ("curt",))
    results = pages.get("/ui/review/results?prompt=greet").html
    assert "2 that were drawn at random" in results
    assert "too\nshort" in results


def test_nothing_tells_which_version_answered(pages: PageClient, registry: RegistryDatabase) -> None:
    log(registry, 4)
    queue = make_queue(pages, failed="1")
    page = pages.get(queue)
    run_ids = [row[0] for row in registry.read("SELECT run_id FROM runs")]
    assert "Hello" in page.html
    told = [word for word in (*SECRETS, *run_ids) if word in page.html]
    assert told == []


def test_hostile_answers_are_text(pages: PageClient, registry: RegistryDatabase) -> None:
    log(registry, 1, HOSTILE * 4_000, digest="ab" * 32)
    page = pages.get(make_queue(pages))
    assert "<script>alert" not in page.html
    assert "\u202e" not in page.html
    assert "\x00" not in page.html
    assert "&lt;script&gt;alert(1)" in page.html
    assert "more characters are not shown" in page.html
    assert len(page.html) < 300_000


def test_pages_stay_small_however_much_there_is(pages: PageClient, registry: RegistryDatabase) -> None:
    dense = "\u202e\"'<" * 3_000
    runs = [
        (a_run(prompt="greet", inputs={f"n{n}": dense for n in range(40)}), an_end(output=dense))
        for _ in range(8)
    ]
    registry.record(runs)
    queue = make_queue(pages, target="greet")
    for run in range(8):
        page = pages.get(queue)
        assert len(page.html.encode()) < 300_000
        codes = ",".join(f"{run} {code} {HOSTILE[:30]}" for code in range(5))
        assert (
            pages.post(item_of(page), {"verdict": "fail", "note": dense[:9_000], "codes": codes}).status
            == 303
        )
    assert len(pages.get("/ui/review/results?prompt=greet").html.encode()) < 300_000


def test_a_label_can_be_changed_by_whoever_gave_it(pages: PageClient, registry: RegistryDatabase) -> None:
    log(registry, 1)
    item = item_of(pages.get(make_queue(pages)))
    pages.post(item, {"verdict": "fail", "note": "hm"})
    page = pages.get(item)
    assert "You said fail" in page.html
    assert ">\nhm</textarea>" in page.html
    assert pages.post(item, {"verdict": "pass"}).status == 303
    assert [each.label.passed for each in read_review_labels(registry, "greet")] == [True]


def test_somebody_elses_answer_is_not_labelled(pages: PageClient, registry: RegistryDatabase) -> None:
    log(registry, 2)
    queue = make_queue(pages)
    page = pages.get(queue)
    other = claim_item(registry, int(queue.rpartition("/")[2]), "grace@example.org")
    assert other
    answer = pages.post(f"/ui/review/items/{other.id}", {"verdict": "pass"})
    assert (answer.status, "your label was not saved" in answer.html) == (400, True)
    assert pages.get(f"/ui/review/items/{other.id}").status == 403
    assert pages.post(item_of(page), {"verdict": "defer"}).status == 303
    assert "You have put off the others" not in pages.get(queue).html
    assert item_of(pages.get(f"{queue}?deferred=1")) == item_of(page)


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"verdict": "maybe"}, 400),
        ({}, 400),
        ({"verdict": "pass", "note": "x" * 10_001}, 400),
        ({"verdict": "pass", "codes": "y" * 61}, 400),
        ({"verdict": "pass", "csrf": "forged"}, 403),
    ],
)
def test_labels_that_are_none(
    pages: PageClient, registry: RegistryDatabase, fields: dict[str, str], status: int
) -> None:
    log(registry, 1)
    item = item_of(pages.get(make_queue(pages)))
    assert pages.post(item, fields).status == status
    assert read_review_labels(registry, "greet") == []


@pytest.mark.sqlite
def test_an_item_that_is_gone(pages: PageClient, registry: RegistryDatabase) -> None:
    log(registry, 1)
    item = item_of(pages.get(make_queue(pages)))
    with registry.write() as connection:
        connection.execute("DELETE FROM runs")
    answer = pages.post(item, {"verdict": "pass"})
    assert (answer.status, "this item is gone" in answer.html) == (404, True)
    assert pages.get("/ui/review/99").status == 404


def test_codes_are_merged_and_become_cases(pages: PageClient, registry: RegistryDatabase, live: Repo) -> None:
    log(registry, 2)
    queue = make_queue(pages)
    for code in ("rude", "Rude"):
        pages.post(item_of(pages.get(queue)), {"verdict": "fail", "codes": code, "answer": f"{code}!"})
    answer = pages.post("/ui/review/codes", {"prompt": "greet", "old": "Rude", "new": "rude"})
    results = pages.get(answer.headers["location"]).html
    assert re.search(r'<th scope="row">rude</th><td data-head="Labels">2</td>', results)
    draft = pages.get("/ui/review/check?prompt=greet&code=rude").html
    assert "What would be written" in draft
    assert not (live.path / "prompts/judges").exists()
    assert (
        "judge calibrate judges/greet-rude"
        in pages.post("/ui/review/check", {"prompt": "greet", "code": "rude"}).html
    )
    assert (live.path / "prompts/judges/greet-rude.yaml").exists()
    made = pages.post("/ui/review/cases", {"prompt": "greet", "code": "rude"})
    assert "2 of 2 failures with the code rude became cases" in made.html
    assert 'href="/ui/compare?prompt=greet"' in made.html
    again = pages.post("/ui/review/cases", {"prompt": "greet", "code": "rude"}).html
    assert again.count("<li>") == len(set(re.findall("<li>.*?</li>", again)))
    lines = (live.path / "prompts/greet.cases.jsonl").read_text().splitlines()
    assert {json.loads(line)["expected"] for line in lines} >= {"rude!", "Rude!"}


def test_who_may_only_look_gets_no_answer(live: Repo, registry: RegistryDatabase) -> None:
    log(registry, 1)
    with serving_pages(live.path) as writing:
        writing.sign_in()
        queue = make_queue(writing)
    with serving_pages(live.path, read_only=True) as pages:
        pages.sign_in()
        assert "read-only" in pages.get(queue).html
        assert "Make a queue" not in pages.get("/ui/review").html
        assert pages.post("/ui/review", {"target": "greet", "sample": "1", "since": "1d"}).status == 403
    assert registry.read_one("SELECT leased_by FROM review_items") is None


@pytest.mark.slow
def test_everybody_can_use_the_pages(live: Repo, registry: RegistryDatabase) -> None:
    log(registry, 3, output="Hello " * 2_000)
    live.write(
        "prompts/greet.rubric.yaml", "questions: [Is it polite?, Is it short?]\ncodes: {rude: it offends}\n"
    )
    with serving_pages(live.path) as client:
        client.sign_in()
        queue = make_queue(client)
        client.post(item_of(client.get(queue)), {"verdict": "fail", "code:rude": "1", "note": "hm"})
        whole = make_queue(client, sample="3")
        for _ in range(3):
            client.post(item_of(client.get(whole)), {"verdict": "pass"})
        results = "/ui/review/results?prompt=greet"
        pages = ("/ui/review", queue, whole, results, "/ui/review/check?prompt=greet&code=rude")
        with running_browser() as browser:
            for size in SIZES.values():
                for scheme in ("light", "dark"):
                    view = {"width": size[0], "height": size[1]}
                    tab = browser.new_context(viewport=view, color_scheme=scheme).new_page()
                    tab.goto(f"{client.origin}{client.address}")
                    for page in pages:
                        tab.goto(f"{client.origin}{page}")
                        assert find_violations(tab) == [], (page, scheme)
                        assert tab.evaluate("document.documentElement.scrollWidth") <= size[0], page


@pytest.mark.slow
def test_a_reviewer_needs_no_mouse(live: Repo, registry: RegistryDatabase) -> None:
    log(registry, 4)
    with running_browser() as browser, serving_pages(live.path) as client:
        tab = browser.new_page()
        tab.goto(f"{client.origin}{client.address}")
        tab.goto(f"{client.origin}/ui/review")
        tab.fill("#target", "greet:production")
        with tab.expect_navigation():
            tab.click("text=Make a queue")
        problems: list[str] = []
        tab.on("console", lambda message: problems.append(message.text))
        tab.keyboard.press("n")
        tab.keyboard.type("pfd: too short")  # keys are text in a field
        tab.keyboard.press("Escape")
        tab.keyboard.press("c")
        tab.keyboard.type("curt")
        tab.keyboard.press("Escape")
        with tab.expect_navigation():
            tab.keyboard.press("f")
        tab.keyboard.press("1")  # the code that was new
        with tab.expect_navigation():
            tab.keyboard.press("f")
        with tab.expect_navigation():
            tab.keyboard.press("p")
        with tab.expect_navigation():
            tab.keyboard.press("d")
        assert "You have put off the others" in tab.inner_text("main")
        assert problems == []
    labels = [each.label for each in read_review_labels(registry, "greet")]
    assert [(each.passed, each.note, each.codes) for each in labels] == [
        (False, "pfd: too short", ("curt",)),
        (False, "", ("curt",)),
        (True, "", ()),
    ]
