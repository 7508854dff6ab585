"""A bug that one call meets ends that call: its row says so, and the others go on."""

import asyncio
import json
import os

import pytest

from promptops.config.settings import current_settings
from promptops.providers import create_client
from promptops.providers.catalog import Catalog
from promptops.providers.types import Completion, CompletionRequest, ModelClient, OnText
from promptops.registry import RegistryJournal
from promptops.runner import Runner
from promptops.versions.resolve import resolve_version
from support.front_door import Cli, Repo
from support.provider import Provider


class BrokenClient:
    """A client with a bug, which meets some names."""

    name = "broken"

    def __init__(self, client: ModelClient) -> None:
        self.client = client

    async def complete(self, request: CompletionRequest, on_text: OnText | None = None) -> Completion:
        if "Bob" in request.messages[-1]["content"]:
            raise ZeroDivisionError("division by zero")
        return await self.client.complete(request, on_text)

    def identity(self, request: CompletionRequest) -> tuple[str, str, bytes]:
        return self.client.identity(request)

    async def aclose(self) -> None:
        await self.client.aclose()


def test_a_bug_ends_its_own_call(
    cli: Cli, greeting: Repo, provider: Provider, caplog: pytest.LogCaptureFixture
) -> None:
    settings = current_settings()
    client = BrokenClient(create_client("openai/gpt-4o-mini-2024-07-18", settings, os.environ))
    journal = RegistryJournal(settings)
    runner = Runner(lambda _: client, Catalog.load(settings), journal)
    version = resolve_version("greet", settings)

    runs = [asyncio.run(runner.run(version, {"name": name})) for name in ("Ada", "Bob", "Cy")]
    journal.close()

    assert [run.finished.state for run in runs] == ["finished", "failed", "finished"]
    assert runs[1].error is not None
    assert "unexpected ZeroDivisionError: division by zero" in runs[1].error.message
    assert "test_unexpected_errors.py" in caplog.text
    rows = json.loads(cli("runs", "list", "--json").out)
    assert [row["state"] for row in rows] == ["finished", "failed", "finished"]


@pytest.mark.parametrize(
    "line",
    [
        "runs list -n 1000000000000000000000000000000",
        "runs search x -n 99999999999999999999",
        "runs list --min-cost nan",
        "runs list --min-latency inf",
        "history greet -n 99999999999999999999",
        "run greet -i name=x --timeout 1e400",
        "run greet -i name=x --retries 99999999999999999999",
        "feedback last --metric score --value nan",
        "release log -n 99999999999999999999",
    ],
)
def test_numbers_beyond_counting_are_wrong_usage(line: str, cli: Cli, greeting: Repo) -> None:
    done = cli(*line.split())
    assert (done.code, done.out) == (2, ""), done.err
    assert "Traceback" not in done.err
