"""Versions side by side: prompt diffs, evals and shadow runs with every answer."""

import csv
import io
import re
import time
from collections.abc import Iterator

import pytest

from support.front_door import Cli, Repo
from support.golden_set import animals, jsonl, result, says
from support.greet_releases import QUICK, ok
from support.page_client import PageAnswer, PageClient, serving_pages
from support.provider import Provider, slow, text


@pytest.fixture
def farm(repo: Repo, provider: Provider) -> Repo:
    provider.script = says(lambda _, animal: animal == "pig")
    return animals(repo, "plainly")


@pytest.fixture
def pages(farm: Repo) -> Iterator[PageClient]:
    with serving_pages(farm.path) as client:
        client.sign_in()
        yield client


def test_two_versions_of_a_prompt_in_words(live: Repo) -> None:
    with serving_pages(live.path) as client:
        client.sign_in()
        page = client.get("/ui/compare?prompt=greet&from=:production&to=HEAD")
        assert page.status == 200
        assert "<del>Greet</del><ins>Salute</ins>" in page.html
        assert '<option value=":production">' in page.html
        same = client.get("/ui/compare?prompt=greet&from=v1&to=:production")
        assert "Nothing differs" in same.html


@pytest.mark.parametrize(
    ("query", "status", "words"),
    [
        ("prompt=nobody&from=HEAD&to=HEAD", 404, "there is no prompt nobody"),
        ("prompt=sound&from=nowhere&to=HEAD", 404, "nowhere"),
        ("prompt=sound&from=:nowhere&to=HEAD", 404, "nowhere"),
        ("prompt=../../etc/passwd", 404, "there is no prompt"),
    ],
)
def test_what_cannot_be_compared_is_said(pages: PageClient, query: str, status: int, words: str) -> None:
    page = pages.get(f"/ui/compare?{query}")
    assert (page.status, words in page.html) == (status, True), page.html


def test_an_eval_opens_with_every_answer(cli: Cli, farm: Repo, pages: PageClient, provider: Provider) -> None:
    assert "promptops eval sound" in pages.get("/ui/compare").html
    cli("eval", "sound")
    provider.script = says(lambda _, animal: animal in ("cow", "dog"))
    told = result(cli("eval", "sound", "--against", "sound@HEAD", "--refresh", "--json"))
    (link,) = re.findall(rf'href="(/ui/evals/{told["eval_id"]})"', pages.get("/ui/compare?prompt=sound").html)
    page = pages.get(link)
    assert page.status == 200
    assert "<code>control: sound@HEAD</code> passed" in page.html
    assert page.html.count('<tr><th scope="row">') == 6
    differing = pages.get(f"{link}?show=differ").html.count('<tr><th scope="row">')
    cases = zip(*(told["cases"]), strict=True)
    assert pages.get(re.findall(r"/ui/answers/\w+", page.html)[0]).status == 200
    assert differing == sum(one["passed"] != other["passed"] for one, other in cases)
    table = list(csv.DictReader(io.StringIO(pages.get(f"{link}?format=csv").html)))
    assert {row["case"] for row in table} == {"cow", "pig", "sheep", "duck", "dog", "cat"}
    assert {row["candidate: sound result"] for row in table} == {"passed", "failed"}


def test_rows_are_sorted_and_come_in_pages(cli: Cli, farm: Repo, pages: PageClient) -> None:
    told = result(cli("eval", "sound", "--json"))
    at = f"/ui/evals/{told['eval_id']}"
    names = re.findall(r'<th scope="row"><code>(\w+)', pages.get(f"{at}?sort=case").html)
    assert names == sorted(names)
    assert re.findall(r'<th scope="row"><code>(\w+)', pages.get(at).html)[0] == "pig"
    for query in ("sort=nothing", "show=nothing", "page=0", "page=x", "page=99999999999999"):
        assert pages.get(f"{at}?{query}").status == 400
    assert pages.get(f"{at}?page=99").status == 200
    assert pages.get("/ui/evals/01NONE").status == 404
    assert pages.get("/ui/shadow/01NONE").status == 404


def test_what_a_model_wrote_is_only_text(cli: Cli, farm: Repo, pages: PageClient, provider: Provider) -> None:
    hostile = "<script>alert(1)</script><img src=x onerror=alert(1)>\0\u202e![](http://evil.example/x.png)"
    provider.script = lambda _: text(hostile + "x" * 200_000)
    told = result(cli("eval", "sound", "--json"))
    page = pages.get(f"/ui/evals/{told['eval_id']}")
    assert page.status == 200
    assert len(page.html) < 300_000
    assert "<script>alert" not in page.html
    assert "<img" not in page.html
    assert "\0" not in page.html
    assert "&lt;script&gt;alert(1)" in page.html


def test_a_shadow_run_opens_with_its_pairs(
    cli: Cli, farm: Repo, pages: PageClient, provider: Provider
) -> None:
    animals(farm, "loudly")
    for animal in ("cow", "pig", "dog"):
        cli("run", "sound@HEAD", "-i", f"animal={animal}")
    done = cli("shadow", "run", "sound", "--against", "sound@HEAD~1", "--last", "3")
    assert done.code in (0, 1, 3), done.err
    (link,) = re.findall(r'href="(/ui/shadow/[^"]+)"', pages.get("/ui/compare?prompt=sound").html)
    page = pages.get(link)
    assert page.status == 200
    assert page.html.count('<tr><th scope="row">') == 3
    assert "<code>control: sound@" in page.html
    assert pages.get(f"{link}?format=csv").html.startswith("case,tags,animal,")


def ended(pages: PageClient, at: str) -> PageAnswer:
    """The page of an eval that was started, once that has ended."""
    for _ in range(200):
        page = pages.get(at)
        if page.headers.get("refresh") is None:
            return page
        time.sleep(0.05)
    raise AssertionError(page.html)


def test_an_eval_is_started_from_the_page(farm: Repo, pages: PageClient, provider: Provider) -> None:
    animals(farm, "loudly")
    wanted = {"prompt": "sound", "from": "HEAD~1", "to": "HEAD", "trials": "1", "max_usd": "1"}
    assert "Evaluate both" in pages.get("/ui/compare?prompt=sound&from=HEAD~1&to=HEAD").html
    started = pages.post("/ui/compare/evals", wanted)
    assert started.status == 303
    page = ended(pages, started.headers["location"])
    assert page.status == 303
    shown = pages.get(page.headers["location"])
    assert "passed 5 of 6" in shown.html
    assert page.headers["location"] in pages.get("/ui/compare?prompt=sound").html


def test_cases_that_review_has_added_are_evaluated_at_once(
    farm: Repo, pages: PageClient, provider: Provider
) -> None:
    animals(farm, "loudly")
    cases = farm.path / "prompts/sound.cases.jsonl"
    cases.write_text(cases.read_text() + jsonl({"id": "goat", "inputs": {"animal": "goat"}}))
    wanted = {"prompt": "sound", "from": "HEAD~1", "to": "HEAD", "trials": "1", "max_usd": "1"}
    shown = ended(pages, pages.post("/ui/compare/evals", wanted).headers["location"])
    assert ">goat<" in pages.get(shown.headers["location"]).html


@pytest.mark.parametrize("change", ["inputs: {animal: string, day: string}", "inputs: ["])
def test_cases_of_other_inputs_are_not_taken(
    farm: Repo, pages: PageClient, provider: Provider, change: str
) -> None:
    animals(farm, "loudly")
    file = farm.path / "prompts/sound.yaml"
    file.write_text(file.read_text().replace("inputs: {animal: string}", change))
    wanted = {"prompt": "sound", "from": "HEAD~1", "to": "HEAD", "trials": "1", "max_usd": "1"}
    shown = ended(pages, pages.post("/ui/compare/evals", wanted).headers["location"])
    assert shown.status == 303, shown.html
    assert "passed 5 of 6" in pages.get(shown.headers["location"]).html


def test_a_canary_is_compared_with_what_is_live(cli: Cli, live: Repo) -> None:
    ok(cli("canary", "greet@HEAD", *QUICK))
    with serving_pages(live.path) as client:
        client.sign_in()
        page = client.get("/ui/compare").html
    assert 'name="from" list="versions" value=":production"' in page
    assert 'name="to" list="versions" value="v2"' in page


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"trials": "0"}, "trials is a number from 1 to 20"),
        ({"trials": "1e9"}, "trials is a number"),
        ({"max_usd": "nan"}, "max_usd is a number from 0 to 100"),
        ({"max_usd": "-1"}, "max_usd is a number"),
        ({"prompt": ""}, "names no prompt"),
        ({"prompt": "nobody"}, "there is no prompt nobody"),
    ],
)
def test_a_form_beyond_its_bounds_starts_nothing(
    pages: PageClient, provider: Provider, changed: dict[str, str], words: str
) -> None:
    wanted = {"prompt": "sound", "from": "HEAD", "to": "", "trials": "1", "max_usd": "1"}
    page = pages.post("/ui/compare/evals", {**wanted, **changed})
    assert (page.status in (400, 404), words in page.html) == (True, True), page.html
    assert not provider.requests


def test_an_eval_that_cannot_be_says_why(farm: Repo, pages: PageClient, provider: Provider) -> None:
    wanted = {"prompt": "sound", "from": "HEAD", "to": "", "trials": "1", "max_usd": "1"}
    page = ended(pages, pages.post("/ui/compare/evals", wanted).headers["location"])
    assert "both are the same version" in page.html
    assert pages.get("/ui/compare/evals/01NONE").status == 404


def test_one_eval_runs_at_a_time(farm: Repo, pages: PageClient, provider: Provider) -> None:
    animals(farm, "loudly")
    provider.script = lambda _: slow(0.5, text("moo"))
    wanted = {"prompt": "sound", "from": "HEAD~1", "to": "HEAD", "trials": "1", "max_usd": "1"}
    first = pages.post("/ui/compare/evals", wanted)
    second = pages.post("/ui/compare/evals", wanted)
    assert (second.status, "is under way" in second.html) == (503, True)
    assert "is under way" in pages.get("/ui/compare?prompt=sound&from=HEAD~1&to=HEAD").html
    assert ended(pages, first.headers["location"]).status == 303


def test_a_viewer_starts_no_eval(farm: Repo) -> None:
    with serving_pages(farm.path, read_only=True) as client:
        client.sign_in()
        wanted = {"csrf": "x", "prompt": "sound", "from": "HEAD", "to": "", "trials": "1", "max_usd": "1"}
        assert client.post("/ui/compare/evals", wanted).status == 403
