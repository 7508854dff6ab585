"""The examples of docs/python.md, run in order in a repository with a release."""

import asyncio
import re
from typing import Any

import httpx
import pytest

from support.front_door import GREET, Repo
from support.git_repositories import GitFolder
from support.paths import ROOT
from support.provider import Provider
from support.release_states import released, write_state

PAGE = ROOT / "docs" / "python.md"


def test_the_examples_of_the_page(
    greeting: Repo, provider: Provider, capsys: pytest.CaptureFixture[str]
) -> None:
    greeting.write("prompts/greet.yaml", GREET.replace("people", "everybody"))
    greeting.commit("Greet everybody")
    folder = GitFolder(greeting.path)
    stable, canary = released(folder, "greet", "HEAD~1", "v1"), released(folder, "greet", "HEAD", "v2")
    write_state(folder, "greet", stable, canary)

    def my_client(model: str, messages: list[Any], tools: list[Any], **parameters: Any) -> str:
        return f"{model} {len(messages)} {parameters['max_tokens']}"

    names: dict[str, Any] = {"my_client": my_client}
    examples = re.findall(
        r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    for example in examples:
        exec(compile(example, PAGE.name, "exec"), names)  # noqa: S102 - of this repository
    assert asyncio.run(_answer_of(names["app"], "/greeting/Ada?user=u42")) == "Greet Ada."
    said = capsys.readouterr().out
    assert "['Greet Ada.', 'Greet Grace.']" in said
    assert said.startswith("Greet Ada.\n")
    assert said.rstrip().endswith(("v1", "v2"))


async def _answer_of(app: Any, path: str) -> str:
    transport = httpx.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://app") as client,
    ):
        return (await client.get(path)).text
