"""The first page: what needs a person, and how each prompt did on each channel."""

import os
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from promptops.config.settings import find_settings
from promptops.monitoring.alarm import Alarm
from promptops.registry import RegistryDatabase, RunFilter, end_alarm, raise_alarm, read_run_stats
from promptops.web.overview import MAX_ROWS
from support.front_door import Cli, Repo
from support.greet_releases import channel, go_live, ok
from support.logged_runs import a_run, an_end
from support.page_client import PageClient, serving_pages
from support.page_traffic import log_traffic
from support.postgres import new_schema

PLANS = """\
channels: {production: {plan: careful}}
plans:
  careful: {unit: session, eval: null, quality: optional, steps: [{approval: manual}, {weight: 50}]}
"""


@pytest.fixture
def called(cli: Cli, repo: Repo) -> Repo:
    go_live(cli, repo)
    log_traffic(repo.path, channel(cli)["stable"], days=2)
    return repo


@pytest.fixture
def page(called: Repo) -> Iterator[PageClient]:
    with serving_pages(called.path) as client:
        client.sign_in()
        yield client


def test_figures_are_those_of_runs_stats(page: PageClient, called: Repo) -> None:
    html = page.get("/ui/").html
    with RegistryDatabase.open(find_settings(called.path, os.environ).registry) as registry:
        (row,) = read_run_stats(registry, RunFilter(traffic=True))
    assert f'<td data-head="Calls">{row["calls"]:,}</td>' in html
    assert f'<td data-head="Errors">{100 * row["errors"] / row["calls"]:.1f} %</td>' in html
    assert "<code>greet<wbr>:production</code>" in html
    assert ">v1</a>" in html
    assert "Released: " in html
    assert "Needs a person" not in html


def test_what_waits_for_a_person_comes_first(cli: Cli, repo: Repo) -> None:
    repo.write("promptops.yaml", PLANS)
    go_live(cli, repo)
    ok(cli("canary", "greet@HEAD", "--yes"))
    with serving_pages(repo.path) as client:
        client.sign_in()
        html = client.get("/ui/").html
    needed = html.index("Needs a person")
    assert needed < html.index("v2 waits for approval") < html.index("Prompts and channels")
    assert '<a href="/ui/releases/greet:production">' in html[needed:]


def test_open_alarms_need_a_person(page: PageClient, called: Repo) -> None:
    alarm = Alarm(
        key="greet:production errors",
        prompt="greet",
        channel="production",
        metric="errors",
        family="quality",
        title="errors <rise>",
        direction="rise",
        since="2026-11-20",
        size="2.1 % -> 9.8 %",
        before=0.021,
        now=0.098,
        runs=320,
        examples=("01ABC",),
        advice="read ten of them",
    )
    with RegistryDatabase.open(find_settings(called.path, os.environ).registry) as registry:
        raise_alarm(registry, alarm.target, alarm.family, alarm.key, alarm.to_json())
        html = page.get("/ui/").html
        end_alarm(registry, alarm.key, "resolved")
    said = "alarm: errors &lt;rise&gt;: 2.1 % -&gt; 9.8 %, since 2026-11-20; read ten of them"
    assert html.index("Needs a person") < html.index(said) < html.index("Prompts and channels")
    assert '<a href="/ui/trends?prompt=greet&amp;channel=production">' in html
    assert "alarm" not in page.get("/ui/").html


def test_an_empty_project_is_told_the_next_command(cli: Cli, repo: Repo) -> None:
    with serving_pages(repo.path) as client:
        client.sign_in()
        for path, command in (("/ui/", "promptops run NAME"), ("/ui/releases", "promptops promote NAME@REV")):
            answer = client.get(path)
            assert (answer.status, command in answer.html) == (200, True)


@pytest.mark.sqlite
def test_without_a_registry_what_is_released_is_still_shown(page: PageClient, called: Repo) -> None:
    for path in called.path.glob("registry.db*"):
        path.unlink()
    assert '<td data-head="Calls">0</td>' in page.get("/ui/").html


@pytest.mark.sqlite
def test_a_registry_of_a_later_version_is_said_to_be_one(page: PageClient, called: Repo) -> None:
    assert page.get("/ui/").status == 200
    with RegistryDatabase.open(called.registry) as registry:
        registry.command("PRAGMA user_version = 9999")
    answer = page.get("/ui/")
    assert answer.status == 503
    assert "upgrade promptops" in answer.html
    assert answer.headers["retry-after"] == "5"


def test_a_registry_that_is_made_on_a_server_meanwhile_is_read(
    cli: Cli, greeting: Repo, provider: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    with new_schema() as url:
        monkeypatch.setenv("PROMPTOPS_REGISTRY", url)
        with serving_pages(greeting.path) as client:
            client.sign_in()
            assert "promptops run NAME" in client.get("/ui/").html
            ok(cli("run", "greet", "-i", "name=Ada"))
            assert '<td data-head="Calls">1</td>' in client.get("/ui/").html


@pytest.mark.parametrize("start", ["x", "-1", "1e3", "٣", "99999999"])
def test_a_place_in_the_list_that_is_none(page: PageClient, start: str) -> None:
    assert page.get(f"/ui/?from={quote(start)}").status == 400


def test_many_prompts_stand_on_several_pages(cli: Cli, repo: Repo) -> None:
    ended = [
        (a_run(prompt=f"many/prompt{index}", reference="x", channel="production"), an_end())
        for index in range(MAX_ROWS + 20)
    ]
    with RegistryDatabase.open(repo.registry) as registry:
        registry.record(ended)
    with serving_pages(repo.path) as client:
        client.sign_in()
        first, second = client.get("/ui/"), client.get(f"/ui/?from={MAX_ROWS}")
    assert first.html.count('<tr><th scope="row">') == MAX_ROWS
    assert second.html.count('<tr><th scope="row">') == 20
    assert "101 to 120 of 120" in second.html
    assert len(first.html) < 300_000
