"""The page of a release: what it shows, who decides on it, and what happens where it has moved meanwhile."""

import os
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from html import unescape
from pathlib import Path

import pytest

from promptops.config.settings import find_settings
from promptops.registry import RegistryDatabase
from support.front_door import Cli, Repo
from support.greet_releases import a_remote, channel, go_live, ok, told, versions
from support.page_client import PageClient, serving_pages
from support.page_traffic import log_traffic
from support.workspace_clients import until

PLANS = """\
channels: {production: {plan: careful}}
plans:
  careful:
    {unit: session, eval: null, quality: optional,
     approval: {approvers: ["@example.org"], own_change: refuse},
     steps: [{weight: 25, min_canary: 50}, {approval: manual}, {weight: 50, min_canary: 200}]}
"""
PAGE = "/ui/releases/greet:production"


@pytest.fixture
def awaiting(cli: Cli, repo: Repo) -> Repo:
    """A canary with evidence, that waits for a person."""
    repo.write("promptops.yaml", PLANS)
    go_live(cli, repo, more="checks: [{max_words: 30}]\n")
    ok(cli("canary", "greet@HEAD", "--yes"))
    state = channel(cli)
    log_traffic(repo.path, state["stable"], state["rollout"], days=1)
    ok(cli("tick", "greet"))
    assert channel(cli)["rollout"]["phase"] == "awaiting"
    return repo


@pytest.fixture
def page(awaiting: Repo) -> Iterator[PageClient]:
    with serving_pages(awaiting.path) as client:
        client.sign_in()
        yield client


def seen(page: PageClient) -> str:
    return page.get(PAGE).html.partition('name="seen" value="')[2].partition('"')[0]


def sign_in_as(cli: Cli, page: PageClient, address: str, role: str) -> str:
    """A session with a key of somebody's own; its id."""
    page.cookies.clear()
    secret = ok(cli("keys", "new", address, "--role", role)).out.strip()
    answer = page.send("POST", "/ui/sign-in", f"key={secret}".encode(), {"Origin": page.origin})
    assert answer.status == 303
    return secret.split("-")[1]


def decide(page: PageClient, action: str, *, saw: str | None = None, reason: str = "read 30 answers") -> int:
    given = {"action": action, "reason": reason, "seen": seen(page) if saw is None else saw}
    return page.post(PAGE, given).status


def test_it_shows_both_arms_in_raw_counts_and_what_the_canary_waits_for(page: PageClient) -> None:
    html = page.get(PAGE).html
    assert "v2 waits for a person on 25 % of sessions" in html
    assert "it waits for a person&#39;s approval" in html
    assert html.count('<figure class="interval"') >= 2
    assert "of 100 (" in html
    assert "of 300 (" in html
    assert "greet:production" in page.get("/ui/releases").html
    links = re.findall(r'<a href="(/ui/(?:compare|answers|trends)\?[^"]+)">', html)
    assert len(links) == 4
    assert {page.get(unescape(link)).status for link in links} == {200}


def test_an_approval_is_recorded_under_the_name_of_who_signed_in(cli: Cli, page: PageClient) -> None:
    sign_in_as(cli, page, "eve@example.org", "approver")
    assert decide(page, "approve") == 303
    done = told(cli, "release", "log", "greet")[0]
    assert (done["move"], done["actor"], done["reason"]) == (
        "approve",
        "eve <eve@example.org>",
        "read 30 answers",
    )
    assert "Approved." in page.get(f"{PAGE}?done=approve").html
    ok(cli("release", "verify"))


def test_nobody_approves_a_change_of_their_own_where_the_plan_says_so(cli: Cli, page: PageClient) -> None:
    assert decide(page, "approve") == 400  # Ada, who wrote it
    sign_in_as(cli, page, "ada@example.org", "approver")
    assert decide(page, "approve") == 400
    sign_in_as(cli, page, "eve@elsewhere.example", "approver")
    assert decide(page, "approve") == 400
    assert channel(cli)["rollout"]["phase"] == "awaiting"


@pytest.mark.parametrize("role", ["viewer", "reviewer"])
def test_who_may_not_decide_is_refused_and_shown_no_buttons(cli: Cli, page: PageClient, role: str) -> None:
    saw = seen(page)
    sign_in_as(cli, page, "eve@example.org", role)
    assert 'name="action"' not in page.get(PAGE).html
    for action in ("approve", "pause", "resume", "rollback"):
        assert decide(page, action, saw=saw) == 403
    assert channel(cli)["rollout"]["phase"] == "awaiting"


def test_a_release_that_moved_while_the_page_was_open_is_not_decided_on(cli: Cli, page: PageClient) -> None:
    sign_in_as(cli, page, "eve@example.org", "approver")
    saw = seen(page)
    assert decide(page, "approve", saw=saw) == 303
    for action in ("approve", "pause", "resume"):
        assert decide(page, action, saw=saw) == 409
    assert channel(cli)["rollout"]["phase"] == "progressing"
    assert decide(page, "rollback", saw=saw) == 303
    assert versions(cli) == ("v1", None)


@pytest.mark.parametrize("form", [{}, {"action": "approve"}, {"action": "delete", "seen": "x"}])
def test_a_form_that_says_too_little_does_nothing(cli: Cli, page: PageClient, form: dict[str, str]) -> None:
    assert page.post(PAGE, form).status == 400
    assert channel(cli)["rollout"]["phase"] == "awaiting"


def test_a_revoked_key_decides_nothing_more(cli: Cli, page: PageClient) -> None:
    key = sign_in_as(cli, page, "eve@example.org", "approver")
    saw, token = seen(page), page.get(PAGE).form_token
    ok(cli("keys", "revoke", key))
    until(lambda: page.get(PAGE).status == 401)
    answer = page.post(PAGE, {"action": "approve", "seen": saw, "csrf": token})
    assert (answer.status, "session has ended" in answer.html) == (401, True)
    assert channel(cli)["rollout"]["phase"] == "awaiting"


def test_a_server_that_only_shows(awaiting: Repo) -> None:
    with serving_pages(awaiting.path, read_only=True) as client:
        client.sign_in()
        page = client.get(PAGE)
        assert (page.status, 'name="action"' in page.html) == (200, False)
        assert client.post(PAGE, {"action": "rollback", "seen": "x"}).status == 403


@pytest.mark.sqlite
def test_without_a_registry_a_canary_is_still_rolled_back(cli: Cli, page: PageClient, awaiting: Repo) -> None:
    registry = find_settings(awaiting.path, os.environ).registry
    for path in registry.parent.glob("registry.db*"):
        path.unlink()
    assert page.get(PAGE).status == 200
    assert decide(page, "rollback") == 303
    assert versions(cli) == ("v1", None)


def test_a_locked_registry_keeps_nobody_from_looking(page: PageClient, awaiting: Repo) -> None:
    with (
        RegistryDatabase.open(find_settings(awaiting.path, os.environ).registry) as registry,
        registry.write(),
    ):
        assert page.get(PAGE).status == 200


def test_no_such_channel(page: PageClient) -> None:
    for name in ("nobody:production", "greet:nowhere", "../x", "greet@v1"):
        assert page.get(f"/ui/releases/{name}").status in {400, 404}


def test_of_two_who_approve_at_once_one_does(cli: Cli, page: PageClient) -> None:
    sign_in_as(cli, page, "eve@example.org", "approver")
    saw, token = seen(page), page.get(PAGE).form_token
    form = {"action": "approve", "seen": saw, "csrf": token}
    with ThreadPoolExecutor(4) as pool:
        statuses = sorted(pool.map(lambda _: page.post(PAGE, form).status, range(4)))
    assert statuses == [303, 409, 409, 409]
    assert [each["move"] for each in told(cli, "release", "log", "greet")].count("approve") == 1


def test_without_the_remote_nothing_is_approved_and_a_rollback_holds_here(
    cli: Cli, page: PageClient, awaiting: Repo, tmp_path: Path
) -> None:
    remote = a_remote(awaiting, tmp_path / "remote.git")
    ok(cli("release", "sync"))
    sign_in_as(cli, page, "eve@example.org", "approver")
    remote.rename(tmp_path / "gone.git")
    assert decide(page, "approve") == 503
    assert channel(cli)["rollout"]["phase"] == "awaiting"
    assert decide(page, "rollback") == 303
    assert versions(cli) == ("v1", None)
    assert "not pushed" in page.get("/ui/").html
