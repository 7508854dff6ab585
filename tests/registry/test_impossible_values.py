"""Values that cannot be are refused by the line, with their number, and nothing of the file is taken in."""

import json
import os
from typing import Any

import pytest

from promptops.config.settings import current_settings
from promptops.registry import RegistryDatabase
from support.front_door import Cli, Repo
from support.logged_runs import a_run, an_end
from support.provider import Provider

HUGE = "1" + "0" * 400


@pytest.fixture
def run_id(greeting: Repo, provider: Provider, cli: Cli) -> str:
    return str(json.loads(cli("run", "greet", "-i", "name=Ada", "--json").out)["run_id"])


@pytest.mark.parametrize(
    "more",
    [
        f'"value": {HUGE}',
        '"value": 1e999',
        '"value": NaN',
        '"value": 1, "occurred_at": "9999-99-99"',
        '"value": 1, "occurred_at": "9999-12-31T23:59:59-23:59"',
        '"value": 1, "occurred_at": "0001-01-01T00:00:00+23:59"',
        f'"value": 1, "occurred_at": {HUGE}',
        '"value": 1, "comment": ' + "[" * 100_000,
    ],
)
def test_feedback_that_cannot_be_is_counted(more: str, run_id: str, cli: Cli, repo: Repo) -> None:
    good = json.dumps({"run_id": run_id, "metric": "rating", "value": 3})
    bad = f'{{"run_id": "{run_id}", "metric": "rating", {more}}}'
    repo.write("f.jsonl", f"{good}\n{bad}\n{good}\n{bad}")

    done = cli("feedback", "--from", "f.jsonl")

    assert done.code == 4, done.err
    assert "f.jsonl:2: " in done.err
    assert "f.jsonl:4: " in done.err
    assert "2 of 4 lines are bad; nothing is taken in" in done.err
    assert not json.loads(cli("runs", "show", run_id, "--json").out)["outcomes"]


def test_a_run_id_that_is_no_text_is_a_bad_line(run_id: str, cli: Cli, repo: Repo) -> None:
    repo.write("f.jsonl", json.dumps({"run_id": "\ud800" * 26, "metric": "rating", "value": 3}))
    assert cli("feedback", "--from", "f.jsonl").code == 4


def exported(cli: Cli, repo: Repo) -> list[dict[str, Any]]:
    """The header of an export, its one run and its end."""
    run = a_run(channel="production", rollout="r-1", arm="canary", weight_bp=2500, unit_hash="0" * 64)
    with RegistryDatabase.open(current_settings().registry) as registry:
        registry.record([(run, an_end())])
    assert cli("runs", "export", "--for-release", "--out", "export.jsonl").code == 0
    return [json.loads(line) for line in (repo.path / "export.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("started_at", "9999-99-99T99:99:99Z"),
        ("started_at", "٢٠٢٦-11-28T00:00:00Z"),
        ("finished_at", "2026-02-30T00:00:00Z"),
        ("weight_bp", 1 << 63),
        ("latency_ms", int(HUGE)),
        ("run_id", "\ud800" * 26),
    ],
)
def test_exported_runs_that_cannot_be_are_counted(name: str, value: Any, greeting: Repo, cli: Cli) -> None:
    header, run, end = exported(cli, greeting)
    lines = [header, {**run, name: value}, {**run, name: value}, {**end, "end": 2}]
    greeting.write("bad.jsonl", "".join(json.dumps(line) + "\n" for line in lines))

    done = cli("runs", "import", "bad.jsonl")

    assert done.code == 4, done.err
    assert f"bad.jsonl:2: `{name}`" in done.err
    assert f"bad.jsonl:3: `{name}`" in done.err


@pytest.mark.parametrize("name", ["since_seq", "through_seq"])
def test_a_header_that_cannot_be_is_refused(name: str, greeting: Repo, cli: Cli) -> None:
    header, *rest = exported(cli, greeting)
    header[name] = int(HUGE)
    greeting.write("bad.jsonl", "".join(json.dumps(line) + "\n" for line in (header, *rest)))
    done = cli("runs", "import", "bad.jsonl")
    assert done.code == 4, done.err


def test_what_is_no_file_among_waiting_runs_holds_nobody_up(
    greeting: Repo, provider: Provider, cli: Cli
) -> None:
    spool = greeting.path / "registry.db-spool"
    spool.mkdir()
    os.mkfifo(spool / "pipe.json")
    (spool / "zero.json").symlink_to("/dev/zero")
    (spool / "nowhere.json").symlink_to("nowhere")

    done = cli("run", "greet", "-i", "name=Ada")

    assert (done.code, done.out) == (0, "Greet Ada.\n"), done.err
    assert sorted(file.name for file in spool.glob("*.damaged")) == [
        "nowhere.damaged",
        "pipe.damaged",
        "zero.damaged",
    ]
    assert len(json.loads(cli("runs", "list", "--json").out)) == 1
