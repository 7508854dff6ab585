"""A decision is about what somebody has seen, and is recorded as that person's."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from promptops.config.settings import current_settings
from promptops.release.actions.manual import approve, pause, resume
from promptops.release.actions.rollback import roll_back
from promptops.release.actions.seen import ChannelMoved, channel_position
from promptops.release.context import ReleaseContext, open_release_context, parse_target
from support.front_door import Cli, Repo
from support.greet_releases import QUICK, go_live, ok, told, versions


@pytest.fixture
def canary(cli: Cli, repo: Repo) -> Repo:
    go_live(cli, repo)
    ok(cli("canary", "greet@HEAD", *QUICK))
    return repo


@contextmanager
def opened(actor: str | None = None) -> Iterator[ReleaseContext]:
    with open_release_context(current_settings(), now=time.time(), actor=actor) as context:
        yield context


def position() -> str:
    with opened() as context:
        return channel_position(context.channel(parse_target("greet", context.settings)))


def decide(action: Callable[..., Any], seen: str, actor: str | None = None) -> None:
    with opened(actor) as context:
        action(context, parse_target("greet", context.settings), seen=seen)


@pytest.mark.parametrize("action", [approve, pause, resume])
def test_a_canary_that_has_moved_since_is_left_alone(cli: Cli, canary: Repo, action: Any) -> None:
    seen = position()
    ok(cli("release", "pause", "greet"))
    with pytest.raises(ChannelMoved, match="has moved since you looked"):
        decide(action, seen)
    assert told(cli, "release", "show", "greet")["rollout"]["phase"] == "paused"


def test_a_canary_is_rolled_back_at_whatever_step_it_is_by_then(cli: Cli, canary: Repo) -> None:
    seen = position()
    ok(cli("release", "pause", "greet"))
    decide(roll_back, seen)
    assert versions(cli) == ("v1", None)


def test_a_rollback_of_a_canary_that_has_ended_takes_nothing_else_back(cli: Cli, canary: Repo) -> None:
    seen = position()
    ok(cli("promote", "greet", "--force", "--reason", "hurry"))
    with pytest.raises(ChannelMoved):
        decide(roll_back, seen)
    assert versions(cli) == ("v2", None)


def test_what_somebody_decides_elsewhere_is_recorded_as_theirs(cli: Cli, canary: Repo) -> None:
    decide(pause, position(), actor="eve <eve@example.org>")
    assert told(cli, "release", "log", "greet")[0]["actor"] == "eve <eve@example.org>"
    assert canary.git("log", "-1", "--format=%an", "promptops-state") == "Ada"
