"""``monitor check --online``: the provider itself says when it ends a model."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from support.front_door import Cli
from support.logged_runs import a_run
from support.provider import Provider, as_json, status
from support.watched_logs import WatchedLog

MODEL = a_run().request_model
TARGET = ("monitor", "check", "support/triage:production")


def retirement(cli: Cli, *options: str) -> Any:
    (found,) = json.loads(cli(*TARGET, "--format", "json", *options).out)
    return next((each for each in found["alarms"] if each["metric"] == "retirement"), None)


def test_what_the_provider_says_holds_until_it_is_asked_again(
    watched: WatchedLog, cli: Cli, provider: Provider
) -> None:
    soon = (datetime.now(UTC).date() + timedelta(days=12)).isoformat()
    listed = {"id": MODEL.partition("/")[2], "shutdown_date": soon}
    provider.script = as_json({"data": [listed]})
    assert retirement(cli, "--online")["since"] == soon
    assert retirement(cli)["size"] == "in 12 days"
    assert retirement(cli, "--online")["since"] == soon
    assert len(provider.requests) == 1  # within a day


def test_a_provider_that_does_not_answer_is_named(watched: WatchedLog, cli: Cli, provider: Provider) -> None:
    provider.script = status(401)
    done = cli(*TARGET, "--online", "--exit-code")
    assert done.code == 4
    assert "openai was not asked for end dates of models: " in done.err
    assert cli(*TARGET).code == 0
