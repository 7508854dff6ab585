"""Somebody who knows no terminal: reads answers, makes cases of what is wrong, evaluates, and approves."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from support.browser import find_violations, running_browser
from support.front_door import Cli, Repo
from support.golden_set import SOUNDS, animals, asked
from support.greet_releases import channel, ok, told
from support.page_client import PageClient, serving_pages
from support.provider import Answer, Provider, Received, text

PLANS = """\
channels: {production: {plan: careful}}
plans:
  careful:
    unit: session
    eval: null
    quality: optional
    steps: [{weight: 25, min_canary: 5}, {approval: manual}, {weight: 50, min_canary: 200}]
"""
WRONG = {
    **dict.fromkeys(("pig", "cow"), ("ring", "wrong sound")),
    **dict.fromkeys(("duck", "dog"), ("WOOF", "shouts")),
    **dict.fromkeys(("sheep", "cat"), ("baa, baa", "repeats itself")),
}
ITEMS = 30


def answers(request: Received) -> Answer:
    """The version that is live gets every animal wrong, in three ways; the next one none."""
    style, animal = asked(request)
    return text(WRONG[animal][0] if "plainly" in style else SOUNDS[animal])


@pytest.fixture
def pages(cli: Cli, repo: Repo, provider: Provider) -> Iterator[PageClient]:
    """``sound:production`` is live, its canary waits for a person, and both have answered."""
    provider.script = answers
    repo.write("promptops.yaml", PLANS)
    animals(repo, "plainly", "loudly")
    ok(cli("promote", "sound@HEAD~1", "--yes"))
    ok(cli("canary", "sound@HEAD", "--yes"))
    for number in range(ITEMS + 4):
        unit = ("--unit", f"customer-{number}")
        ok(cli("run", "sound:production", *unit, "-i", f"animal={[*SOUNDS][number % 6]}"))
    ok(cli("tick", "sound"))
    assert channel(cli, "sound")["rollout"]["phase"] == "awaiting"
    with serving_pages(repo.path) as client:
        yield client


def review(tab: Any) -> dict[str, int]:
    """Label each answer that is shown; says how often each code was given."""
    given: dict[str, int] = {}
    while tab.locator("form.act").count():
        animal, answer = (part.strip() for part in tab.locator(".review pre").all_inner_texts()[:2])
        if answer == SOUNDS[animal]:
            key = "p"
        else:
            key, (_, code) = "f", WRONG[animal]
            given[code] = given.get(code, 0) + 1
            tab.fill("#better", SOUNDS[animal])
            known = tab.get_by_label(re.compile(f"^{code}"))
            if known.count():
                known.check()
            else:
                tab.fill("#codes", code)
            tab.keyboard.press("Escape")
            tab.evaluate("document.activeElement.blur()")
        with tab.expect_navigation():
            tab.keyboard.press(key)
    return given


@pytest.mark.slow
def test_from_answers_to_an_approval_without_a_terminal(pages: PageClient, cli: Cli, repo: Repo) -> None:
    with running_browser() as browser:
        tab = browser.new_page()
        tab.goto(pages.origin + pages.address)
        assert "sound" in tab.inner_text("main")

        tab.get_by_role("link", name="Review").click()
        tab.fill("#target", "sound:production")
        tab.fill("#sample", str(ITEMS))
        tab.get_by_role("button", name="Make a queue").click()
        assert find_violations(tab) == []
        given = review(tab)
        assert set(given) == {code for _, code in WRONG.values()}

        tab.get_by_role("link", name="What the labels say").click()
        assert f"{ITEMS} that were drawn at random" in tab.inner_text("main")
        assert find_violations(tab) == []
        for code, labels in given.items():
            tab.get_by_role("button", name=f"Make cases of {code}").click()
            assert f"of {labels} failures with the code {code} became cases" in tab.inner_text("main")
            tab.get_by_role("link", name="Back to the results").click()

        tab.get_by_role("link", name="Compare").click()
        tab.get_by_role("button", name="Compare").click()
        assert find_violations(tab) == []
        tab.get_by_role("button", name="Evaluate both").click()
        tab.get_by_role("heading", name="Answers").wait_for()
        assert "Versions differ" in tab.inner_text("main")
        assert find_violations(tab) == []
        differing = tab.get_by_role("link", name=re.compile("^Versions differ")).inner_text()
        assert int(differing.split()[-1]) >= len(WRONG)

        tab.get_by_role("link", name="Releases").click()
        tab.get_by_role("link", name=re.compile("sound:production")).first.click()
        tab.fill("#reason", "It gets right what the live version got wrong")
        tab.get_by_role("button", name="Approve").click()
        tab.wait_for_url("**?done=approve")
    done = told(cli, "release", "log", "sound")[0]
    assert (done["move"], done["reason"]) == ("approve", "It gets right what the live version got wrong")
    ok(cli("release", "verify"))
