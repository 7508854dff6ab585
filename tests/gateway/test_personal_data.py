"""What the gateway writes while it answers: no planted value of any kind is in any file, nor on stderr."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from promptops import Limits
from support.front_door import Cli, Repo
from support.gateway_client import Client, Response, running_gateway
from support.greet_releases import ok, runs, told
from support.personal_data import PLANTED, QUOTES, REDACTORS, SENTENCE, SETTINGS, found_in, quoting
from support.prompt_files import ASKING, TONE_JUDGE
from support.provider import Provider, text
from support.workspace_clients import locked


@pytest.fixture
def project(cli: Cli, repo: Repo, provider: Provider) -> Repo:
    """``ask:production`` is live, and what is said to it is redacted."""
    repo.write("prompts/judges/tone.yaml", TONE_JUDGE)
    repo.write("prompts/ask.yaml", ASKING)
    repo.write("promptops.yaml", SETTINGS)
    repo.write("own/redactors.py", REDACTORS)
    repo.commit("Ask")
    ok(cli("promote", "ask@HEAD", "--yes"))
    provider.script = quoting
    return repo


@contextmanager
def workers(folder: Path) -> Iterator[tuple[Client, Client]]:
    """Two of one server, which keeps beside the registry what they share."""
    shared = {"shared": folder / "registry.db-serve-1", "limits": Limits(retries=0)}
    with running_gateway(folder, **shared) as one, running_gateway(folder, **shared, member=1) as two:
        yield one, two


def asked(client: Client, number: int, key: str = "", **more: Any) -> Response:
    headers = {"Idempotency-Key": key} if key else {}
    inputs = {"question": f"{SENTENCE} {number}"}
    return client.chat("ask:production", inputs=inputs, headers=headers, user=PLANTED["email"], **more)


def leaks(repo: Repo) -> dict[str, list[str]]:
    files = (file for file in repo.path.rglob("*") if file.is_file() and "own" not in file.parts)
    found = {file.relative_to(repo.path).as_posix(): found_in(file.read_bytes()) for file in files}
    return {name: kinds for name, kinds in found.items() if kinds}


def test_no_request_leaves_it_in_a_file(project: Repo, capfd: pytest.CaptureFixture[str]) -> None:
    with workers(project.path) as (client, _):
        for number in range(len(QUOTES)):
            first = asked(client, number, f"k{number}")
            asked(client, number, f"s{number}", stream=True)
            assert asked(client, number, f"k{number}").raw == first.raw
            variables = {"question": f"{SENTENCE} {number}"}
            client.respond(prompt={"id": "ask", "variables": variables}, stream=bool(number % 2))
        answer = asked(client, 0)
        assert PLANTED["card"] in answer.text
        run_id = answer.headers["x-promptops-run-id"]
        said = {"run_id": run_id, "thumbs": "down", "comment": SENTENCE, "edit": SENTENCE}
        assert client.send("POST", "/v1/feedback", said).body["new"] == 2
        client.send("POST", "/v1/feedback", {**said, "metric": SENTENCE})
        client.chat(SENTENCE)
        client.send("GET", f"/v1/runs/{PLANTED['secret']}")
        shown = client.get(f"/v1/runs/{run_id}")
        assert found_in(shown.raw) == found_in(client.get("/metrics").raw) == []
        assert "[card]" in shown.body["output"]
        assert (project.path / "registry.db-serve-1").exists()
        assert leaks(project) == {}  # write-ahead logs too
    assert leaks(project) == {}
    assert found_in("".join(capfd.readouterr()).encode()) == []


def test_a_redacted_answer_is_not_that_of_another_worker(project: Repo, provider: Provider) -> None:
    """The call is not made again either."""
    with workers(project.path) as (client, other):
        asked(client, 0, "a")
        sent = len(provider.requests)
        again = asked(other, 0, "a")
        assert (again.status, again.error["code"]) == (409, "conflict")
        assert "redacted" in again.error["message"]
        assert len(provider.requests) == sent
        failed = asked(client, 3, "b")
        repeated = asked(other, 3, "b")
        assert failed.status == repeated.status
        assert "[email]" in repeated.error["message"]
        provider.script = text("nothing-of-the-kind")
        clean = [
            client.chat("ask:production", inputs={"question": "x"}, headers={"Idempotency-Key": "c"})
            for client in (client, other)
        ]
        assert clean[0].text == clean[1].text


def test_runs_that_wait_beside_the_registry_hold_none(project: Repo) -> None:
    with running_gateway(project.path) as client, locked(project.path):
        for number in range(3):
            asked(client, number)
        assert list(project.path.glob("registry.db*-spool/*.json"))
        assert leaks(project) == {}


def test_a_person_is_erased_while_others_are_answered(cli: Cli, project: Repo, provider: Provider) -> None:
    project.write("promptops.yaml", "")
    provider.script = lambda request: text(f"You said {request.body['messages'][-1]['content']}")
    with running_gateway(project.path) as client:
        for number in range(12):
            inputs = {"question": f"{SENTENCE if number % 2 else 'hello'} 0"}
            client.chat("ask:production", inputs=inputs, user=f"u{number % 2}")
            if number == 5:
                assert ok(cli("registry", "erase", "--unit", "u1", "--yes")).code == 0
    assert ok(cli("registry", "erase", "--unit", "u1", "--yes")).code == 0
    assert leaks(project) == {}
    assert len(runs(project)) >= 12
    assert (
        sum(
            run["inputs"] is None
            for run in (told(cli, "runs", "show", each["run_id"]) for each in runs(project))
        )
        >= 6
    )
