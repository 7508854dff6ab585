"""Every page in a browser: wide and narrow, light and dark, by keyboard, without a script, left alone."""

from collections.abc import Iterator
from typing import Any

import pytest

from promptops.cli.reports.shadow import render_comparisons
from promptops.web.pages import BASE
from promptops.web.server import PAGES
from support.browser import SIZES, find_violations, running_browser
from support.front_door import Cli, Repo
from support.greet_releases import channel, go_live, ok, told
from support.page_client import PageClient, serving_pages
from support.page_traffic import log_traffic
from support.shadow_results import broken, compared

PLANS = """\
channels: {production: {plan: careful}}
plans:
  careful:
    unit: session
    eval: null
    quality: optional
    steps: [{weight: 25, min_canary: 50}, {approval: manual}, {weight: 50, min_canary: 200}]
"""
RELEASE = "/ui/releases/greet:production"
DIFF = "/ui/compare?prompt=greet&from=v1&to=v2"
TRENDS = ("/ui/trends?prompt=greet", "/ui/trends?prompt=greet&per=hour&by=model")
PATHS = (
    *(f"{BASE}{each.TAB[1]}" for each in PAGES if hasattr(each, "TAB")),
    *TRENDS,
    "/ui/answers?q=hello&version=v9",
    RELEASE,
    DIFF,
    "/ui/nowhere",
)
MAX_BYTES = 300_000
_SHIFTS = """
new Promise((done) => {
  let sum = 0;
  new PerformanceObserver((list) => list.getEntries().forEach((entry) => { sum += entry.value; }))
    .observe({type: "layout-shift", buffered: true});
  setTimeout(() => done(sum), 50);
})
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with running_browser() as running:
        yield running


@pytest.fixture
def page(cli: Cli, repo: Repo) -> Iterator[PageClient]:
    """A project with a month of calls and a canary that waits for a person."""

    def build() -> None:
        repo.write("promptops.yaml", PLANS)
        go_live(cli, repo, more="checks: [{max_words: 30}]\n")
        ok(cli("canary", "greet@HEAD", "--yes"))
        state = channel(cli)
        log_traffic(repo.path, state["stable"], state["rollout"])
        ok(cli("tick", "greet"))

    build()
    with serving_pages(repo.path) as client:
        yield client


def open_tab(browser: Any, client: PageClient, **options: Any) -> Any:
    """A tab of somebody who is signed in; ``said`` collects what a browser has to complain of."""
    tab = browser.new_context(**options).new_page()
    tab.goto(client.origin + client.address)
    return tab


@pytest.mark.parametrize(("size", "scheme"), [("wide", "light"), ("narrow", "dark")])
def test_pages_are_sound(browser: Any, page: PageClient, size: str, scheme: str) -> None:
    """Colours are those of the scheme in each size, and the layout is that of the size in each scheme."""
    width, height = SIZES[size]
    tab = open_tab(browser, page, viewport={"width": width, "height": height}, color_scheme=scheme)
    complaints: list[str] = []
    asked: list[str] = []
    tab.on("console", lambda message: complaints.append(message.text))
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.on("request", lambda request: asked.append(request.url))
    for path in PATHS:
        answer = tab.goto(page.origin + path)
        assert len(answer.body()) < MAX_BYTES, path
        assert tab.evaluate("document.documentElement.scrollWidth") <= width, path
        assert tab.evaluate(_SHIFTS) < 0.01, path
        assert find_violations(tab) == [], path
    assert [text for text in complaints if "404" not in text] == []
    assert all(url.startswith((page.origin, "data:")) for url in asked)


def test_answers_are_gone_through_by_keys(browser: Any, page: PageClient) -> None:
    tab = open_tab(browser, page)
    tab.goto(f"{page.origin}/ui/answers")
    shown = [each.get_attribute("href") for each in tab.locator("[data-item]").all()]
    for key in "jjjk":
        tab.keyboard.press(key)
    assert tab.locator(":focus").get_attribute("href") == shown[1]
    tab.keyboard.press("Enter")
    tab.wait_for_url(f"**{shown[1]}")
    assert find_violations(tab) == []
    tab.go_back()
    tab.keyboard.press("/")
    tab.keyboard.type("nothing/jk that is there")
    tab.keyboard.press("Enter")
    tab.wait_for_url("**q=nothing*")
    assert tab.get_by_text("No run has all of this").is_visible()


def test_what_was_removed_differs_from_what_was_added_by_more_than_colour(
    browser: Any, page: PageClient
) -> None:
    tab = open_tab(browser, page)
    tab.goto(page.origin + DIFF)
    drawn = "each => getComputedStyle(each).textDecorationLine"
    lines = [tab.locator(f".words {tag}").first.evaluate(drawn) for tag in ("del", "ins")]
    assert lines == ["line-through", "underline"]


def test_a_report_in_one_file_sets_labels_apart_from_values_on_a_phone(browser: Any) -> None:
    width, height = SIZES["narrow"]
    tab = browser.new_context(viewport={"width": width, "height": height}).new_page()
    tab.set_content(render_comparisons([compared(broken(), "a/worse")], "html"))
    verdict = tab.locator(".stacked td.text").first
    label = verdict.evaluate("each => getComputedStyle(each, '::before').content")
    assert (label, verdict.inner_text()) == ('"verdict: "', "worse")


def test_the_sign_in_page_is_sound(browser: Any, page: PageClient) -> None:
    tab = browser.new_page()
    tab.goto(f"{page.origin}/ui/")
    assert "Sign in" in tab.title()
    assert find_violations(tab) == []


@pytest.mark.parametrize("script", [True, False])
def test_an_approver_approves_with_the_keyboard_alone(
    browser: Any, page: PageClient, cli: Cli, *, script: bool
) -> None:
    tab = open_tab(browser, page, java_script_enabled=script)
    tab.goto(page.origin + RELEASE)
    tab.keyboard.press("Tab")
    assert tab.locator(":focus").inner_text() == "Skip to the content"
    tab.locator("#reason").focus()
    tab.keyboard.type("<script>alert(1)</script> read 30 of them")
    tab.keyboard.press("Tab")
    tab.keyboard.press("Enter")
    tab.wait_for_url("**?done=approve")
    assert tab.get_by_role("status").inner_text().startswith("Approved.")
    assert tab.locator(".events").get_by_text("<script>alert(1)</script> read 30 of them").is_visible()
    done = told(cli, "release", "log", "greet")[0]
    assert (done["move"], done["reason"]) == ("approve", "<script>alert(1)</script> read 30 of them")


def test_a_browser_that_was_left_open_for_a_day_must_sign_in_again(
    browser: Any, page: PageClient, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    tab = open_tab(browser, page)
    tab.goto(page.origin + RELEASE)
    tab.locator("#reason").fill("looks good")
    monkeypatch.setattr("promptops.web.sessions.IDLE_S", -1.0)
    tab.get_by_role("button", name="Approve").click()
    assert "Your session has ended, and what you sent was not done" in tab.locator("main").inner_text()
    assert channel(cli)["rollout"]["phase"] == "awaiting"
    monkeypatch.undo()
    tab.goto(page.origin + page.address)
    tab.goto(page.origin + RELEASE)
    tab.get_by_role("button", name="Approve").click()
    tab.wait_for_url("**?done=approve")


def test_a_page_that_nobody_works_on_is_read_again(browser: Any, page: PageClient, cli: Cli) -> None:
    tab = browser.new_context().new_page()
    tab.clock.install()
    tab.goto(page.origin + page.address)
    tab.goto(page.origin + RELEASE)
    tab.get_by_text("Roll back…").click()
    ok(cli("release", "approve", "greet"))
    tab.clock.run_for(31_000)
    assert "waits for a person" in tab.locator("h1").inner_text()  # somebody is at work on it
    tab.get_by_text("Roll back…").click()
    tab.locator("h1").click()
    tab.evaluate("document.activeElement.blur()")
    tab.clock.run_for(31_000)
    tab.get_by_role("heading", name="is tried").wait_for()


def test_another_site_gets_nothing_done_in_somebodys_browser(
    browser: Any, page: PageClient, cli: Cli
) -> None:
    tab = open_tab(browser, page)
    tab.goto("data:text/html,<title>evil</title>")
    tab.evaluate(
        """(target) => {
          const form = Object.assign(document.createElement("form"), {method: "post", action: target});
          form.append(Object.assign(document.createElement("input"), {name: "action", value: "rollback"}));
          document.body.append(form);
          form.submit();
        }""",
        page.origin + RELEASE,
    )
    tab.wait_for_url("**/releases/**")
    assert "was not done" in tab.locator("main").inner_text()
    assert channel(cli)["rollout"]["phase"] == "awaiting"


def test_where_a_release_has_moved_a_link_leads_to_it_as_it_is_now(
    browser: Any, page: PageClient, cli: Cli
) -> None:
    tab = open_tab(browser, page)
    tab.goto(page.origin + RELEASE)
    ok(cli("release", "approve", "greet"))
    tab.get_by_role("button", name="Approve").click()
    assert "It has moved meanwhile" in tab.title()
    assert find_violations(tab) == []
    tab.get_by_role("link", name="Back to the page as it is now").click()
    assert "is tried on 50 %" in tab.locator("h1").inner_text()
