"""``status`` of many channels: what it says of each, and what it asks of the registry."""

from collections.abc import Sequence
from typing import Any

import pytest

from promptops.config.settings import current_settings
from promptops.release.context import open_release_context, resolve_targets
from promptops.release.status import statuses_of
from support.front_door import GREET, Cli, Repo
from support.greet_releases import QUICK, SALUTE, ok, told
from support.greet_traffic import traffic

NAMES = ("ask", "bid", "greet")


@pytest.fixture
def canaries(cli: Cli, repo: Repo) -> Repo:
    """Three canaries: all calls of one are scored, of one some, of one none, as no tick has seen it."""
    repo.write("promptops.yaml", "plans: {quick: {unit: session}}\n")
    repo.write(".gitignore", "registry.db*\n")
    for text in (GREET, SALUTE):
        for name in NAMES:
            repo.write(f"prompts/{name}.yaml", text)
        repo.commit()
    for name in NAMES:
        ok(cli("promote", f"{name}@HEAD~1", "--yes"))
        ok(cli("canary", f"{name}@HEAD", *QUICK))
    traffic(repo, 7, prompt="ask")
    traffic(repo, 4, prompt="bid")
    ok(cli("tick", "ask", "bid"))
    traffic(repo, 3, prompt="bid")
    traffic(repo, 5, prompt="greet")
    return repo


def test_status_of_all_says_of_each_what_status_of_it_says(cli: Cli, canaries: Repo) -> None:
    views = told(cli, "status")
    assert [view["prompt"] for view in views] == list(NAMES)
    seen = [(view["exposure"]["calls"], view["exposure"]["canary_calls"]) for view in views]
    assert seen == [(7, 4), (4, 2), (5, 3)]
    assert [view["exposure"]["uncounted"] for view in views] == [0, 3, 0]
    assert [view["findings"] is None for view in views] == [False, False, True]
    for view in views:
        (alone,) = told(cli, "status", view["prompt"])
        assert undated(alone) == undated(view)


def undated(view: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in view.items() if name != "now"}


@pytest.mark.sqlite
def test_status_asks_the_registry_no_more_for_many_canaries_than_for_two(canaries: Repo) -> None:
    """On a server each statement is a journey."""
    assert len(asked(["bid", "greet"])) == len(asked(NAMES))


def asked(names: Sequence[str]) -> list[str]:
    statements: list[str] = []
    with open_release_context(current_settings()) as context:
        context.registry._connection.set_trace_callback(statements.append)  # type: ignore[attr-defined]  # noqa: SLF001 - nothing public counts statements
        assert len(statuses_of(context, resolve_targets(names, context))) == len(names)
    return statements
