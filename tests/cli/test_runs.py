"""The `runs` verbs through the front door."""

import csv
import io
import json
import random
import re
import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from promptops.cli.commands.registry.recover import registry_recover
from promptops.cli.reports.run_tables import format_age
from promptops.registry import FinishedRun, RegistryDatabase, StartedRun, new_run_id
from promptops.reports.numbers import format_bytes, short_count, usd_cell
from support.front_door import GREET, Cli, Repo
from support.git_repositories import GitFolder
from support.logged_rows import open_log
from support.logged_runs import OTHER_DIGEST, a_failure, a_run, an_end, check
from support.provider import Provider, text
from support.release_states import released, write_state


def log(repo: Repo, *runs: tuple[StartedRun, FinishedRun]) -> list[str]:
    with RegistryDatabase.open(repo.registry) as registry:
        registry.record(runs)
    return [run.run_id for run, _ in runs]


def told(cli: Cli, *arguments: str) -> Any:
    done = cli(*arguments, "--json")
    assert done.code == 0, done.err
    return json.loads(done.out)


def column(out: str, number: int) -> list[str]:
    return [re.split(r"  +", line.strip())[number] for line in out.splitlines()[1:]]


@pytest.fixture
def some(repo: Repo) -> list[str]:
    commit = {"commit_sha": "3f2c9e1" + "0" * 33}
    first, second, third, fourth = sorted(new_run_id() for _ in range(4))  # one millisecond has any order
    return log(
        repo,
        (a_run(run_id=first, **commit), an_end(checks=(check(), check("short", passed=False)))),
        (a_run(run_id=second, **commit, dirty=True, channel="production"), a_failure("rate_limit")),
        (a_run(run_id=third, prompt="summarize", version="v3", kind="eval"), an_end(output="A late parcel")),
        (
            a_run(run_id=fourth, digest=OTHER_DIGEST, overrides={"model": "x"}, request_model="x"),
            an_end(cost_usd=None),
        ),
    )


class TestList:
    def test_a_table_newest_first(self, cli: Cli, some: Sequence[str]) -> None:
        done = cli("runs", "list", "--all")
        assert done.code == 0
        versions = ["support/triage@sha256:90be90b", "summarize@v3", "support/triage@sha256:4c1d4c1"]
        assert column(done.out, 2) == [*versions, "support/triage@3f2c9e1"]
        assert column(done.out, 3) == ["ok", "ok (eval)", "rate_limit", "1 failed"]
        for short, run_id in zip(column(done.out, 0), reversed(some), strict=True):
            assert run_id.startswith(short)
        assert max(map(len, done.out.splitlines())) <= 80

    def test_a_started_run_is_shown_as_such(self, cli: Cli, repo: Repo) -> None:
        with RegistryDatabase.open(repo.registry) as registry:
            registry.start(a_run())
        assert column(cli("runs", "list").out, 3) == ["started"]

    def test_filters(self, cli: Cli, some: Sequence[str]) -> None:
        def chosen(*arguments: str) -> list[int]:
            return [some.index(run["run_id"]) for run in told(cli, "runs", "list", *arguments)]

        assert chosen() == [3, 1, 0]
        assert chosen("--all") == [3, 2, 1, 0]
        assert chosen("--kind", "eval") == [2]
        assert chosen("-n", "1") == [3]
        assert chosen("support/triage") == [3, 1, 0]
        assert chosen("s*") == [3, 1, 0]
        assert chosen("s*", "--all") == [3, 2, 1, 0]
        assert chosen("support/triage:production") == chosen("--channel", "production") == [1]
        assert chosen("support/triage@sha256:90be") == [3]
        assert chosen("--error", "any", "--since", "1h") == [1]
        assert chosen("--model", "x", "--kind", "run") == [3]
        assert chosen("--min-latency", "1000") == [1]
        assert chosen("--min-cost", "0.0001", "--all") == [2, 0]

    @pytest.mark.parametrize("words", [(), ("support/triage",), ("support/*",)])
    def test_by_the_time_of_the_start_and_what_served_somebody_first(
        self, words: tuple[str, ...], cli: Cli, repo: Repo
    ) -> None:
        """A batch and an import write a run long after it has begun."""
        at = [f"2026-01-0{day}T00:00:00.000Z" for day in (2, 3, 1, 4)]
        kinds = [{}, {"kind": "batch", "channel": "production"}, {}, {"kind": "batch"}]
        ids = [f"01{day}{'0' * 23}" for day in ("B", "C", "A", "D")]
        runs = zip(at, kinds, ids, strict=True)
        log(repo, *((a_run(started_at=one, run_id=id_, **kind), an_end()) for one, kind, id_ in runs))
        assert [run["run_id"] for run in told(cli, "runs", "list", *words)] == [ids[1], ids[0], ids[2]]
        assert [run["run_id"] for run in told(cli, "runs", "list", *words, "--all", "-n", "1")] == [ids[3]]

    def test_nothing_that_served_anybody(self, cli: Cli, repo: Repo) -> None:
        log(repo, (a_run(kind="eval"), an_end()))
        assert "--all lists those of batch, eval, judge and shadow too" in cli("runs", "list").err
        assert "--all" not in cli("runs", "list", "--kind", "judge").err

    def test_a_revision_means_its_digest(self, cli: Cli, greeting: Repo, provider: Provider) -> None:
        cli("run", "greet", "-i", "name=Ada")
        file = greeting.path / "prompts/greet.yaml"
        file.write_text(file.read_text().replace("You greet", "You always greet"))
        cli("run", "greet", "-i", "name=Bob")
        names = [run["inputs"]["name"] for run in told(cli, "runs", "list", "greet@HEAD")]
        assert names == ["Ada"]
        assert len(told(cli, "runs", "list", "prompts/greet.yaml")) == 2
        assert cli("runs", "list", "greet@nowhere").code == 4

    def test_nothing_to_list(self, cli: Cli, repo: Repo) -> None:
        done = cli("runs", "list")
        assert (done.code, done.out) == (0, "")
        assert "no runs" in done.err
        assert told(cli, "runs", "list") == []
        assert not (repo.path / "registry.db").exists()


class TestShow:
    def test_the_exact_messages_of_edits_that_were_never_committed(
        self, cli: Cli, greeting: Repo, provider: Provider
    ) -> None:
        file = greeting.path / "prompts/greet.yaml"
        before = file.read_text()
        file.write_text(before.replace("You greet", "You never greet"))
        provider.script = text("Hello")
        run = told(cli, "run", "greet", "-i", "name=Ada")
        file.write_text(before)
        shown = told(cli, "runs", "show", run["run_id"])
        assert shown["messages"] == provider.requests[0].body["messages"]
        assert shown["messages"][0]["content"] == "You never greet people."
        assert told(cli, "runs", "show", run["run_id"], "--messages") == shown["messages"]
        done = cli("runs", "show", run["run_id"][:20])
        assert "You never greet people." in done.out
        assert "with edits that are not committed" in done.out
        assert done.out.rstrip().endswith("Hello")

    def test_the_version_comes_from_the_commit_where_the_registry_has_it_not(
        self, cli: Cli, greeting: Repo, provider: Provider
    ) -> None:
        run = told(cli, "run", "greet", "-i", "name=Ada")
        with open_log(greeting.path) as connection:
            connection.execute("DELETE FROM versions")
        greeting.write("prompts/greet.yaml", "broken: [")
        assert told(cli, "runs", "show", run["run_id"])["messages"][1]["content"] == "Greet Ada."
        with open_log(greeting.path) as connection:
            connection.execute("UPDATE runs SET digest = 'ff'")
        problem = told(cli, "runs", "show", run["run_id"])["messages_problem"]
        assert "neither in the registry nor in git" in problem
        assert '"name": "Ada"' in cli("runs", "show", run["run_id"]).out

    def test_messages_that_come_out_differently_are_not_shown(
        self, cli: Cli, greeting: Repo, provider: Provider
    ) -> None:
        run = told(cli, "run", "greet", "-i", "name=Ada")
        with open_log(greeting.path) as connection:
            connection.execute("UPDATE runs SET messages_hash = 'ff'")
        done = cli("runs", "show", run["run_id"], "--messages")
        assert done.code == 4
        assert "come out differently" in done.err

    def test_inputs_that_were_not_stored(self, cli: Cli, greeting: Repo, provider: Provider) -> None:
        greeting.write("promptops.yaml", "log: {inputs: hash}\n")
        run = told(cli, "run", "greet", "-i", "name=Ada")
        shown = told(cli, "runs", "show", run["run_id"])
        assert (shown["inputs"], shown["messages"]) == (None, None)
        assert cli("runs", "show", run["run_id"], "--messages").code == 4
        assert "the log has no inputs of it" in cli("runs", "show", run["run_id"]).out

    def test_every_fact_has_its_line(self, cli: Cli, repo: Repo) -> None:
        ids = log(
            repo,
            (
                a_run(kind="shadow", rollout="r-1", arm="canary", weight_bp=500, metadata={"team": "a"}),
                a_failure(
                    output="half", attempts=({"model": "m"}, {"model": "m"}), first_token_ms=20.0,
                    cache_source="01A", checks=(check("json", passed=False, message="cut off"),),
                ),
            ),
            (a_run(), an_end(output=None, tool_calls=({"id": "c1"},), latency_ms=None, input_tokens=None,
                             output_tokens=None, response_model="other")),
        )  # fmt: skip
        with open_log(repo.path) as connection:
            connection.execute(
                "INSERT INTO outcomes (run_seq, source, name, value, text, occurred_at, recorded_at) "
                "VALUES (1, 'person', 'thumbs', 0, 'wrong', '', '')"
            )
        out = cli("runs", "show", ids[0]).out
        for part in (
            "r-1 (canary, 5 %)", "kind       shadow", '{"team": "a"}', "attempts   2",
            "first token after 20 ms", "cost       unknown", "=== partial answer\nhalf",
            "FAILED json: cut off", "answer of run 01A",
            "it went wrong (retryable)", "thumbs     0.0 wrong (person)",
        ):  # fmt: skip
            assert part in out
        second = cli("runs", "show", ids[1]).out
        assert '"id": "c1"' in second
        assert "(answered: other)" in second
        assert "tokens" not in second

    def test_unknown_and_ambiguous_runs(self, cli: Cli, some: Sequence[str]) -> None:
        unknown = cli("runs", "show", "7ZZZZZZZ")
        assert (unknown.code, unknown.out) == (4, "")
        assert "no run 7ZZZZZZZ" in unknown.err
        ambiguous = cli("runs", "show", "0")
        assert ambiguous.code == 4
        assert some[0] in ambiguous.err


class TestSearch:
    def test_words_and_filters(self, cli: Cli, some: Sequence[str]) -> None:
        found = told(cli, "runs", "search", "parcel")
        assert [some.index(run["run_id"]) for run in found] == [3, 2, 1, 0]
        found = told(cli, "runs", "search", "late", "output:parcel", "--prompt", "summarize")
        assert [run["snippet"] for run in found] == ["A late parcel"]
        assert column(cli("runs", "search", "output:parcel").out, 3) == ["A late parcel"]

    def test_filters_alone(self, cli: Cli, some: Sequence[str]) -> None:
        assert column(cli("runs", "search", "--prompt", "summarize").out, 3) == ["A late parcel"]
        assert told(cli, "runs", "search", "--error", "any")[0]["run_id"] == some[1]

    def test_nothing_found(self, cli: Cli, some: Sequence[str]) -> None:
        done = cli("runs", "search", "zebra")
        assert (done.code, done.out, done.err) == (0, "", "nothing found\n")

    def test_a_large_log_says_that_it_is_indexed(self, cli: Cli, repo: Repo) -> None:
        log(repo, *((a_run(), an_end()) for _ in range(2_001)))
        assert "indexing runs for search: 2,000 of 2,001" in cli("runs", "search", "delivery", "-n", "1").err


class TestStats:
    def test_production_is_summed_up_apart_from_the_rest(self, cli: Cli, some: Sequence[str]) -> None:
        done = cli("runs", "stats")
        assert column(done.out, 0)[0] == "support/triage"
        assert "Not counted above" in done.err
        assert column(done.out, 0)[-1] == "eval"
        found = told(cli, "runs", "stats")
        assert [(row["key"], row["calls"]) for row in found["rows"]] == [("support/triage", 3)]
        assert [(row["key"], row["calls"]) for row in found["apart"]] == [("eval", 1)]

    def test_one_prompt_by_version(self, cli: Cli, some: Sequence[str]) -> None:
        done = cli("runs", "stats", "support/triage")
        assert column(done.out, 0)[:2] == ["sha256:4c1d4c1d4c1d", "sha256:90be90be90be"]
        assert done.err == ""
        assert max(map(len, done.out.splitlines())) <= 100
        rows = told(cli, "runs", "stats", "support/triage", "--by", "model")["rows"]
        assert [row["key"] for row in rows] == ["openai/gpt-4o-mini-2024-07-18", "x"]

    def test_another_kind(self, cli: Cli, some: Sequence[str]) -> None:
        found = told(cli, "runs", "stats", "--kind", "eval")
        assert ([row["key"] for row in found["rows"]], found["apart"]) == (["summarize"], [])

    def test_nothing_to_sum_up(self, cli: Cli, repo: Repo) -> None:
        done = cli("runs", "stats")
        assert (done.code, done.out) == (0, "")
        assert "no such runs" in done.err


class TestExport:
    def test_to_stdout(self, cli: Cli, some: Sequence[str]) -> None:
        lines = cli("runs", "export").out.splitlines()
        assert [json.loads(line)["run_id"] for line in lines] == list(some)
        rows = csv.DictReader(
            io.StringIO(cli("runs", "export", "summarize", "--format", "csv", "--out", "-").out)
        )
        assert [row["output"] for row in rows] == ["A late parcel"]

    def test_to_a_file(self, cli: Cli, repo: Repo, some: Sequence[str]) -> None:
        done = cli("runs", "export", "--out", "runs.jsonl", "--error", "any")
        assert (done.out, done.err) == ("", "1 runs written to runs.jsonl\n")
        assert json.loads((repo.path / "runs.jsonl").read_text())["run_id"] == some[1]
        assert cli("runs", "export", "--out", "no/such/folder").code == 4

    @pytest.mark.no_cover
    @pytest.mark.slow
    def test_memory_stays_flat(self, cli: Cli, repo: Repo) -> None:
        log(repo, *((a_run(), an_end(output=f"{n}" + "x" * 10_000)) for n in range(3_000)))
        tracemalloc.start()
        assert cli("runs", "export", "--out", "/dev/null").code == 0
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 12_000_000  # the outputs alone are 30 MB


def size_of(repo: Repo) -> int:
    with RegistryDatabase.open(repo.registry) as registry:
        return registry.size_bytes()


class TestPrune:
    def fill(self, repo: Repo) -> None:
        old = "2020-05-01T00:00:00.000Z"
        log(
            repo,
            *(
                (a_run(started_at=old), an_end(output=random.Random(n).randbytes(3_000).hex()))
                for n in range(500)
            ),
            (a_run(), an_end()),
        )

    def test_says_what_would_go_and_then_what_went(self, cli: Cli, repo: Repo) -> None:
        self.fill(repo)
        size_before = size_of(repo)
        dry = cli("registry", "prune", "--older-than", "30d", "--dry-run")
        assert dry.out.startswith(
            "would delete 500 runs started 2020-05-01 to 2020-05-01; the registry would"
        )
        assert len(told(cli, "runs", "list", "-n", "900")) == 501
        done = cli("registry", "prune", "--older-than", "30d")
        assert done.out.startswith("deleted 500 runs")
        if isinstance(repo.registry, Path):  # a server gives back what is not a whole month by and by
            assert size_of(repo) < size_before / 4
        assert cli("registry", "prune", "--older-than", "30d").out == "nothing to delete\n"

    def test_the_evidence_of_a_canary_stays(self, cli: Cli, repo: Repo) -> None:
        old = "2020-05-01T00:00:00.000Z"
        log(repo, *((a_run(started_at=old, rollout=name), an_end()) for name in ("r-1", "r-0", None)))
        folder = GitFolder(repo.path)
        repo.write("prompts/support/triage.yaml", GREET)
        repo.commit()
        version = released(folder, "support/triage", "HEAD", "v1")
        write_state(folder, "support/triage", version, version)
        done = cli("registry", "prune", "--older-than", "30d")
        assert "deleted 2 runs" in done.out
        assert "1 runs of active rollouts are kept; --force deletes them too" in done.err
        assert [run["rollout"] for run in told(cli, "runs", "list")] == ["r-1"]
        assert "deleted 1 runs" in cli("registry", "prune", "--older-than", "30d", "--force").out

    def test_by_size(self, cli: Cli, repo: Repo) -> None:
        self.fill(repo)
        found = told(cli, "registry", "prune", "--max-size", "2MB", "--force")
        assert found["dry_run"] is False
        assert found["bytes_after"] <= 2_000_000 < found["bytes_before"]

    @pytest.mark.parametrize(
        "arguments", [(), ("--older-than", "soon"), ("--max-size", "small")], ids=["nothing", "age", "size"]
    )
    def test_what_cannot_be_understood(self, cli: Cli, repo: Repo, arguments: tuple[str, ...]) -> None:
        self.fill(repo)
        done = cli("registry", "prune", *arguments)
        assert (done.code, done.out) == (4, "")
        assert len(done.err.splitlines()) == 2
        assert len(told(cli, "runs", "list", "-n", "900")) == 501

    def test_notes_of_what_stays(self, capsys: pytest.CaptureFixture[str]) -> None:
        from promptops.cli.commands.registry.prune import print_prune_report
        from promptops.registry import PruneResult

        print_prune_report(
            PruneResult(
                runs=0, first_at=None, last_at=None, kept=6, bytes_before=9, bytes_after=9, waiting=True
            ),
            dry_run=False,
        )
        said = capsys.readouterr().err
        assert "6 runs of active rollouts are kept; --force" in said
        assert "another process is reading" in said


class TestRecover:
    @pytest.mark.sqlite
    def test_a_damaged_registry(self, cli: Cli, repo: Repo, capfd: pytest.CaptureFixture[str]) -> None:
        log(repo, *((a_run(inputs={"ticket": "x" * 2000}), an_end()) for _ in range(300)))
        path = repo.path / "registry.db"
        with path.open("r+b") as file:
            for page in range(90, path.stat().st_size // 8192, 3):
                file.seek(page * 8192)
                file.write(b"\xff" * 100)
        done = cli("runs", "list", "-n", "900")
        assert done.code == 4
        assert "registry recover" in done.err
        capfd.readouterr()
        registry_recover()
        said = capfd.readouterr()
        assert "runs saved to" in said.out
        assert "without inputs and output" in said.err
        assert "registry recover --swap" in said.err
        swapped = cli("registry", "recover", "--swap")
        assert (swapped.code, "the damaged registry is now" in swapped.out) == (0, True)
        assert [file.name for file in repo.path.glob("registry.db-damaged-*")] != []
        assert cli("init").code == 0
        assert "registry" not in repo.git("status", "--short")  # texts of runs are not for `git add -A`
        assert len(told(cli, "runs", "list", "-n", "900")) > 150


@pytest.mark.sqlite
def test_a_broken_registry_is_one_line_and_exit_4_for_every_verb(cli: Cli, repo: Repo) -> None:
    (repo.path / "registry.db").write_text("this is not a database, and never was " * 99)
    for arguments in (
        ("list",), ("show", "01"), ("search", "x"), ("stats",), ("export",), ("prune", "--max-size", "1GB"),
    ):  # fmt: skip
        done = cli("runs", *arguments)
        assert (done.code, done.out) == (4, "")
        assert "is not a promptops registry" in done.err
        assert "Traceback" not in done.err


def test_numbers_for_people() -> None:
    assert [usd_cell(value) for value in (None, 0.0, 0.00012)] == [None, "0", "0.00012"]
    assert [short_count(n) for n in (None, 0, 9_999, 10_000, 1_234_567, 5 * 10**9)] == [
        "-", "0", "9999", "10k", "1.23M", "5G",
    ]  # fmt: skip
    assert [format_bytes(n) for n in (12, 4_096, 98_000_000, 2_500_000_000)] == [
        "12 bytes",
        "4.1 kB",
        "98.0 MB",
        "2.5 GB",
    ]
    assert format_age("2020-01-01T00:00:00.000Z").endswith("d")
    assert format_age("2999-01-01T00:00:00.000Z") == "0s"


def test_the_registry_can_be_elsewhere(cli: Cli, repo: Repo, tmp_path: Path) -> None:
    with RegistryDatabase.open(tmp_path / "other.db") as registry:
        registry.record([(a_run(prompt="elsewhere"), an_end())])
    done = cli("--registry", str(tmp_path / "other.db"), "runs", "list")
    assert column(done.out, 2) == ["elsewhere@sha256:4c1d4c1"]
