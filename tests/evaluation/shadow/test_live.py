"""The shadow of a channel: put on, drawn, answered in the background, and never in anybody's way."""

import json
import os
import re
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from promptops import Workspace
from promptops.config.clock import utc_now
from promptops.config.settings import find_settings
from promptops.evaluation.shadow.live.lock import exclusive_lock
from promptops.evaluation.shadow.live.spawn import start_drain
from promptops.registry import (
    FinishedRun,
    LiveShadowKey,
    RegistryDatabase,
    RegistryJournal,
    StartedRun,
    add_job,
    is_sampled,
    lease_jobs,
    new_run_id,
    next_live_shadow,
    read_shadow_counts,
    release_leases,
)
from promptops.registry.queries.rows import MAX_SHADOW_JOBS, record_json
from promptops.service.shadow_worker import MAX_QUEUED
from promptops.versions.resolve import resolve_version
from support.forked_commands import ForkedPopen
from support.front_door import Cli, Repo
from support.greet_releases import SALUTE, a_remote, channel, go_live, ok, subjects, told, two_versions
from support.logged_rows import open_log
from support.logged_runs import a_run, an_end
from support.provider import Answer, Provider, Received, echo, malformed, reply, reset, slow, status, text

RUN = ("run", "greet:production", "-i", "name=Ada")
AS_BEFORE = ("--version", "HEAD", "--sample", "1", "--max-usd", "1")
PROGRAM = (sys.executable, "-m", "promptops")
SHADOW_TEXTS = "SELECT t.* FROM runs JOIN run_texts t USING (seq) WHERE kind = 'shadow' ORDER BY seq"


def rows(repo: Repo, sql: str = "SELECT * FROM runs ORDER BY seq") -> list[dict[str, Any]]:
    with open_log(repo.path) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute(sql)]


def shadows(repo: Repo) -> list[dict[str, Any]]:
    return [row for row in rows(repo) if row["kind"] == "shadow"]


def jobs(repo: Repo, where: str = "true") -> list[dict[str, Any]]:
    return rows(repo, f"SELECT * FROM jobs WHERE {where} ORDER BY id")


def until(true: Any, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


def put_on(cli: Cli, *more: str, sample: str = "1", usd: str = "1", rev: str = "HEAD") -> None:
    what = ("--version", rev, "--sample", sample, "--max-usd", usd)
    ok(cli("shadow", "on", "greet:production", *what, *more))


@pytest.fixture
def live(repo: Repo, cli: Cli) -> Repo:
    """v1 greets in production, v2 salutes in its shadow."""
    go_live(cli, repo)
    put_on(cli)
    return repo


def quietly(cli: Cli, repo: Repo, *more: str) -> Any:
    """A run while another drain seems to be at work, so that none starts by itself."""
    with exclusive_lock(repo.registry) as held:
        assert held
        return cli(*RUN, *more)


def drain(cli: Cli, *more: str) -> Any:
    done = cli("shadow", "drain", "--wait", "--json", *more)
    return done.code, json.loads(done.out), done.err


def saluting(provider: Provider, answer: Answer) -> None:
    """The candidate gets this answer, and others an echo."""
    provider.script = lambda request: answer if b"Salute" in request.raw else echo(request)


def test_the_shadow_answers_when_the_user_has_the_answer(live: Repo, cli: Cli, provider: Provider) -> None:
    done = cli(*RUN, "--meta", "tags=vip")
    assert (done.code, done.out, done.err) == (0, "Greet Ada.\n", "")
    until(lambda: jobs(live, "done_at IS NOT NULL"))
    primary, shadow = rows(live)
    assert (primary["kind"], primary["version"], primary["shadow_of"]) == ("run", "v1", None)
    assert shadow["shadow_of"] == primary["run_id"]
    told_of = [
        shadow[name] for name in ("kind", "arm", "version", "channel", "state", "rollout", "unit_hash")
    ]
    assert told_of == ["shadow", "candidate", "v2", "production", "finished", None, None]
    (job,) = jobs(live)
    assert (job["run_id"], job["error_message"]) == (primary["run_id"], None)


def test_a_drain_has_a_session_and_streams_of_its_own(live: Repo, provider: Provider) -> None:
    """Whoever reads the answer through a pipe sees its end, though the shadow is still at work."""
    go_on = threading.Event()

    def answer(request: Received) -> Answer:
        if b"Salute" in request.raw:
            go_on.wait(20)
        return echo(request)

    provider.script = answer
    streams: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    with ForkedPopen([*PROGRAM, *RUN], **streams) as child:
        assert child.communicate(timeout=60)[0] == "Greet Ada.\n"
    assert shadows(live) == []
    go_on.set()
    until(lambda: jobs(live, "done_at IS NOT NULL"))
    assert [row["state"] for row in shadows(live)] == ["finished"]


def test_one_drain_is_enough(live: Repo, cli: Cli, provider: Provider) -> None:
    for _ in range(3):
        ok(quietly(cli, live))
    with exclusive_lock(live.registry) as held:
        assert held
        assert not start_drain(find_settings(live.path, os.environ))
        done = cli("shadow", "drain")
        assert (done.code, "another drain is at work" in done.err) == (0, True)
    assert drain(cli) == (0, {"answered": 3, "left_out": {}, "left": []}, "")
    assert drain(cli)[1]["answered"] == 0
    assert len(shadows(live)) == 3


def test_calls_are_drawn_by_their_ids(repo: Repo, cli: Cli, provider: Provider) -> None:
    go_live(cli, repo)
    put_on(cli, sample="0.4")
    for _ in range(12):
        ok(quietly(cli, repo))
    ids = [row["run_id"] for row in rows(repo)]
    assert [job["run_id"] for job in jobs(repo)] == [each for each in ids if is_sampled(each, "shadow", 0.4)]


def test_a_batch_on_the_channel(live: Repo, cli: Cli, provider: Provider) -> None:
    live.write("in.jsonl", "".join(json.dumps({"inputs": {"name": f"p{n}"}}) + "\n" for n in range(6)))
    ok(cli("batch", "greet:production", "in.jsonl", "--out", "out.jsonl"))
    until(lambda: len(jobs(live, "done_at IS NOT NULL")) == 6)
    assert sorted(row["output"] for row in rows(live, SHADOW_TEXTS)) == [f"Salute p{n}." for n in range(6)]


class TestPutting:
    def test_it_is_written_to_the_release_state_and_frozen(self, live: Repo, cli: Cli) -> None:
        assert subjects(live)[0] == "release(greet): production shadow v2 100%"
        assert "versions/greet" in live.git("ls-tree", "-r", "--name-only", "promptops-state")
        assert "v2 on 100 % of calls" in ok(cli("status", "greet")).out
        assert "nothing to do" in ok(cli("shadow", "on", "greet:production", *AS_BEFORE)).out
        ok(cli("shadow", "off", "greet"))
        assert subjects(live)[0] == "release(greet): production shadow off"
        assert "nothing to do" in ok(cli("shadow", "off", "greet")).out

    def test_a_version_that_goes_live_shadows_no_more(self, live: Repo, cli: Cli) -> None:
        ok(cli("promote", "greet@v2", "--yes"))
        state = channel(cli)
        assert (state["stable"]["version"], state["shadow"]) == ("v2", None)

    @pytest.mark.parametrize(
        ("rev", "why"),
        [("greet", "only a commit is released"), ("HEAD~1", "serves already"), ("v7", "no version v7")],
    )
    def test_versions_that_cannot_be_a_shadow(self, live: Repo, cli: Cli, rev: str, why: str) -> None:
        what = ("--version", rev, "--sample", "0.1", "--max-usd", "1")
        done = cli("shadow", "on", "greet:production", *what)
        assert (done.code, why in done.err) == (4, True), done.err

    def test_a_channel_that_serves_nothing(self, greeting: Repo, cli: Cli) -> None:
        what = ("--version", "HEAD", "--sample", "0.1", "--max-usd", "1")
        done = cli("shadow", "on", "greet:production", *what)
        assert (done.code, "promptops promote" in done.err) == (4, True)

    def test_only_what_is_reviewed(self, repo: Repo, cli: Cli, tmp_path: Path) -> None:
        two_versions(repo)
        a_remote(repo, tmp_path / "remote.git")
        ok(cli("promote", "greet@HEAD~1", "--yes"))
        repo.write("prompts/greet.yaml", SALUTE.replace("Salute", "Hail"))
        repo.commit("Not pushed")
        what = ("--version", "HEAD", "--sample", "0.1", "--max-usd", "1")
        assert cli("shadow", "on", "greet:production", *what).code == 4
        assert cli("shadow", "on", "greet:production", *what, "--unreviewed").code == 4
        ok(cli("shadow", "on", "greet:production", *what, "--unreviewed", "--reason", "a trial"))

    def test_a_budget_that_could_not_be_kept(self, repo: Repo, cli: Cli) -> None:
        go_live(cli, repo)
        repo.write("prompts/greet.yaml", SALUTE.replace("openai/gpt-4o-mini-2024-07-18", "openai/unheard-of"))
        repo.commit("Ask somebody else")
        what = ("--version", "HEAD", "--sample", "0.1", "--max-usd", "1")
        done = cli("shadow", "on", "greet:production", *what)
        assert (done.code, "--max-usd cannot be enforced" in done.err) == (4, True), done.err


class TestFaults:
    """In each the user's answer, its row and the exit code are what they are without a shadow."""

    def served(self, cli: Cli, live: Repo) -> None:
        done = quietly(cli, live)
        assert (done.code, done.out, done.err) == (0, "Greet Ada.\n", "")
        primary = [row for row in rows(live) if row["kind"] == "run"][-1]
        assert (primary["state"], primary["error_type"]) == ("finished", None)

    @pytest.mark.parametrize(
        ("answer", "error"),
        [
            (status(500), "server"),
            (malformed(), "malformed_reply"),
            (reset(), "connection"),
            (status(400), "bad_request"),
            (status(404, "no such model"), "not_found"),
            (slow(3.0, text("late")), "timeout"),
        ],
    )
    def test_a_candidate_that_fails(
        self, live: Repo, cli: Cli, provider: Provider, answer: Answer, error: str
    ) -> None:
        saluting(provider, answer)
        self.served(cli, live)
        assert drain(cli, "--retries", "0", "--timeout", "0.5")[1]["answered"] == 1
        (shadow,) = shadows(live)
        assert (shadow["state"], shadow["error_type"]) == ("failed", error)
        assert drain(cli)[1]["answered"] == 0  # a finished job is not repeated, be it a failure

    def test_a_provider_that_says_it_is_too_much_is_left_alone(
        self, live: Repo, cli: Cli, provider: Provider
    ) -> None:
        for _ in range(6):
            self.served(cli, live)
        asked = len(provider.requests)
        saluting(provider, status(429, retry_after=30))
        code, told_of, err = drain(cli, "-j", "1")
        assert (code, told_of["answered"], "429" in err) == (5, 0, True)
        assert len(provider.requests) == asked + 1
        assert len(jobs(live, "done_at IS NULL AND leased_until IS NULL")) == 6
        provider.script = echo
        assert drain(cli)[1]["answered"] == 6

    def test_the_budget_is_kept_over_drains(self, live: Repo, cli: Cli, provider: Provider) -> None:
        cost = 5 * 0.15e-6 + 64 * 0.6e-6
        put_on(cli, usd=f"{cost * 3.5:.8f}")
        usage = {"prompt_tokens": 5, "completion_tokens": 64, "total_tokens": 69}
        saluting(provider, text("Hail", usage=usage))
        for number in range(5):
            self.served(cli, live)
            if number % 2:
                drain(cli, "-j", "1")
        code, told_of, _ = drain(cli, "-j", "1")
        assert (code, told_of["left_out"], told_of["left"][0]["prompt"]) == (6, {"over budget": 1}, "greet")
        spent = sum(row["spent_usd"] for row in shadows(live))
        assert cost * 2 < spent <= cost * 3.5
        assert not jobs(live, "done_at IS NULL")
        put_on(cli, usd="1")
        self.served(cli, live)
        assert drain(cli)[1]["answered"] == 1

    def test_what_another_host_spends_meanwhile_counts(
        self, live: Repo, cli: Cli, provider: Provider
    ) -> None:
        for _ in range(4):
            self.served(cli, live)

        def answer(request: Received) -> Answer:
            digest = json.loads(jobs(live)[0]["payload"])["digest"]
            of_host = {"prompt": "greet", "channel": "production", "digest": digest, "shadow_of": "theirs"}
            with RegistryDatabase.open(live.registry) as theirs:
                theirs.record([(a_run(kind="shadow", arm="candidate", **of_host), an_end(spent_usd=1.0))])
            return echo(request)

        provider.script = answer
        code, told_of, _ = drain(cli, "-j", "1")
        assert (code, told_of["answered"], told_of["left_out"]) == (6, 1, {"over budget": 3})

    def test_inputs_that_the_candidate_refuses_are_incompatible(
        self, repo: Repo, cli: Cli, provider: Provider
    ) -> None:
        go_live(cli, repo)
        repo.write("prompts/greet.yaml", SALUTE.replace("  name: string", "  name: string\n  mood: string"))
        repo.commit("Ask for a mood")
        put_on(cli)
        self.served(cli, repo)
        assert drain(cli) == (0, {"answered": 0, "left_out": {"incompatible": 1}, "left": []}, "")
        assert shadows(repo) == []
        assert "mood" in jobs(repo)[0]["error_message"]

    def test_tools_are_asked_for_and_never_run(self, repo: Repo, cli: Cli, provider: Provider) -> None:
        go_live(cli, repo)
        tool = "tools: [{type: function, function: {name: wipe, parameters: {type: object}}}]\n"
        repo.write("prompts/greet.yaml", SALUTE + tool)
        repo.commit("Give it a tool")
        put_on(cli)
        call = {"id": "c1", "type": "function", "function": {"name": "wipe", "arguments": "{}"}}
        saluting(provider, reply({"role": "assistant", "content": None, "tool_calls": [call]}))
        self.served(cli, repo)
        asked = len(provider.requests)
        assert drain(cli)[1]["answered"] == 1
        assert len(provider.requests) == asked + 1
        assert rows(repo, SHADOW_TEXTS)[0]["tool_calls"].count("wipe") == 1

    def test_a_drain_that_is_killed_is_taken_over(self, live: Repo, cli: Cli, provider: Provider) -> None:
        for _ in range(4):
            self.served(cli, live)
        answered = threading.Semaphore(2)

        def two_answers(request: Received) -> Answer:
            said = b"Salute" in request.raw and not answered.acquire(blocking=False)
            return slow(60.0, text("never")) if said else echo(request)

        provider.script = two_answers
        command = [*PROGRAM, "shadow", "drain", "-j", "1"]
        with ForkedPopen(command, cwd=live.path, start_new_session=True) as child:
            until(lambda: len(shadows(live)) == 2 and jobs(live, "leased_by IS NOT NULL AND done_at IS NULL"))
            child.kill()
        provider.script = echo
        before = {row["run_id"] for row in shadows(live)}
        assert drain(cli)[1]["answered"] == 2
        assert before < {row["run_id"] for row in shadows(live)}
        assert len({row["shadow_of"] for row in shadows(live)}) == len(shadows(live)) == 4

    def test_an_answer_that_is_there_is_not_asked_for_again(
        self, live: Repo, cli: Cli, provider: Provider
    ) -> None:
        """As when a drain was killed between its answer's row and the end of the job."""
        self.served(cli, live)
        drain(cli)
        with open_log(live.path) as connection:
            connection.execute("UPDATE jobs SET done_at = NULL, leased_until = NULL")
        assert drain(cli)[1]["answered"] == 0
        assert len(shadows(live)) == 1
        assert not jobs(live, "done_at IS NULL")

    def test_another_version_or_none_shadows_the_channel_by_now(
        self, live: Repo, cli: Cli, provider: Provider
    ) -> None:
        self.served(cli, live)
        ok(cli("shadow", "off", "greet"))
        assert drain(cli)[1]["left_out"] == {"no longer in shadow": 1}
        self.served(cli, live)
        assert len(jobs(live)) == 1

    def test_inputs_that_are_not_kept(self, live: Repo, cli: Cli, provider: Provider) -> None:
        live.write("promptops.yaml", "log: {inputs: hash}\n")
        self.served(cli, live)
        assert jobs(live) == []

    def test_a_call_that_fails_is_answered_too(self, live: Repo, cli: Cli, provider: Provider) -> None:
        provider.script = lambda request: echo(request) if b"Salute" in request.raw else status(400)
        assert quietly(cli, live).code == 4
        provider.script = echo
        assert drain(cli)[1]["answered"] == 1

    def test_a_registry_that_cannot_be_written_keeps_the_job_with_the_run(
        self, live: Repo, cli: Cli, provider: Provider
    ) -> None:
        with RegistryDatabase.open(live.registry) as other, other.write():
            journal = RegistryJournal(find_settings(live.path, os.environ), busy_s=0.1)
            run = StartedRun(
                run_id=new_run_id(),
                started_at=utc_now(),
                reference="greet:production",
                prompt="greet",
                digest="0" * 64,
                request_model="m",
                messages_hash="",
                inputs={"name": "Bo"},
            )
            prompt = resolve_version("greet@HEAD", find_settings(live.path, os.environ)).prompt
            about = {"prompt": "greet", "channel": "production", "digest": prompt.digest}
            journal.start(run, prompt)
            journal.finish(run.run_id, FinishedRun(finished_at=utc_now(), state="finished", shadow=about))
            journal.close()
        self.served(cli, live)
        assert drain(cli)[1]["answered"] == 2


class TestApplications:
    def test_a_worker_answers_too(self, live: Repo, provider: Provider) -> None:
        with Workspace.open(live.path) as workspace:
            run = workspace.run("greet:production", {"name": "Ada"}, metadata={"tags": ["vip"]})
            assert run.answer == "Greet Ada."
            until(lambda: shadows(live))
        (shadow,) = shadows(live)
        assert (shadow["shadow_of"], shadow["version"]) == (run.started.run_id, "v2")
        assert jobs(live) == []

    @pytest.mark.parametrize(
        ("answer", "state", "said"),
        [
            (reply({"content": "half"}, finish="SAFETY"), "failed", (None, "content_filter")),
            (reply({"content": "half"}, finish="MAX_TOKENS"), "finished", ("length", None)),
            (reply({"content": None, "refusal": "No."}), "finished", ("refusal", None)),
            (reply({"content": "half"}, finish="abort"), "failed", (None, "server")),
        ],
    )
    def test_what_a_candidate_means_is_logged(
        self, live: Repo, provider: Provider, answer: Answer, state: str, said: tuple[str | None, str | None]
    ) -> None:
        saluting(provider, answer)
        with Workspace.open(live.path) as workspace:
            workspace.run("greet:production", {"name": "Ada"})
            until(lambda: any(row["state"] != "started" for row in shadows(live)))
        (shadow,) = shadows(live)
        assert (shadow["state"], (shadow["finish_reason"], shadow["error_type"])) == (state, said)

    def test_what_does_not_fit_is_dropped_counted_and_said_once(
        self,
        live: Repo,
        provider: Provider,
        caplog: pytest.LogCaptureFixture,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        saluting(provider, slow(2.0, text("Hail")))
        with Workspace.open(live.path) as workspace:
            for _ in range(MAX_QUEUED + 30):
                workspace.run("greet:production", {"name": "Ada"})
        assert caplog.text.count("cannot keep up") == 1
        said = re.search(r"left out (\d+) calls", caplog.text)
        dropped = int(said[1]) if said else 0
        assert 0 < dropped <= 30
        left = len(jobs(live, "done_at IS NULL"))
        assert len(shadows(live)) + left >= MAX_QUEUED + 30 - dropped

    @pytest.mark.parametrize("answer", [status(404), status(429, retry_after=1)])
    def test_a_candidate_that_fails_touches_nobody(
        self, live: Repo, provider: Provider, answer: Answer
    ) -> None:
        saluting(provider, answer)
        with Workspace.open(live.path) as workspace:
            for _ in range(3):
                assert workspace.run("greet:production", {"name": "Ada"}).answer == "Greet Ada."
        states = [row["state"] for row in rows(live) if row["kind"] == "run"]
        assert states == ["finished"] * 3

    def test_where_there_is_no_git(self, live: Repo, cli: Cli, provider: Provider, tmp_path: Path) -> None:
        ok(cli("release", "bundle", "--out", str(tmp_path / "bundle.json")))
        with Workspace.from_bundle(tmp_path / "bundle.json") as workspace:
            assert workspace.run("greet:production", {"name": "Ada"}).answer == "Greet Ada."
            log = workspace.settings.registry
        with RegistryDatabase.open(log) as registry:
            found = [tuple(row) for row in registry.read("SELECT kind, version FROM runs ORDER BY seq")]
        assert found == [("run", "v1"), ("shadow", "v2")]

    def test_what_was_under_way_at_the_end_waits_for_a_drain(
        self, live: Repo, cli: Cli, provider: Provider
    ) -> None:
        saluting(provider, slow(30.0, text("Hail")))
        with Workspace.open(live.path) as workspace:
            workspace.run("greet:production", {"name": "Ada"})
        assert len(jobs(live, "done_at IS NULL")) == 1
        provider.script = echo
        assert drain(cli)[1]["answered"] == 1


class TestFigures:
    def test_shadow_rows_are_shown_as_such_and_counted_apart(
        self, live: Repo, cli: Cli, provider: Provider
    ) -> None:
        ok(quietly(cli, live))
        drain(cli)
        listed = ok(cli("runs", "list", "--all")).out.splitlines()
        assert sum("(shadow)" in line for line in listed) == 1
        found = told(cli, "runs", "stats", "greet:production")
        assert [(row["key"], row["calls"]) for row in found["rows"]] == [("greet@v1", 1)]
        assert [(row["key"], row["calls"]) for row in found["apart"]] == [("shadow", 1)]
        assert "Not counted above" in cli("runs", "stats").err
        told_of = ok(cli("runs", "export", "--for-release")).out.splitlines()
        assert [json.loads(line)["run_id"] for line in told_of[1:-1]] == [rows(live)[0]["run_id"]]


class TestReading:
    @pytest.fixture
    def pairs(self, repo: Repo, cli: Cli, provider: Provider) -> Repo:
        """Twelve calls, of which the shadow answers four as it should not."""
        go_live(cli, repo)
        checked = SALUTE + "checks: [{contains: '{{ name }}'}]\n"
        repo.write("prompts/greet.yaml", checked)
        repo.commit("Check it")
        put_on(cli)

        def answer(request: Received) -> Answer:
            wrong = b"Salute" in request.raw and any(f"p{n}.".encode() in request.raw for n in (1, 3, 5, 7))
            return text("Hm.") if wrong else echo(request)

        provider.script = answer
        repo.write("in.jsonl", "".join(json.dumps({"inputs": {"name": f"p{n}"}}) + "\n" for n in range(12)))
        with exclusive_lock(repo.registry):
            ok(cli("batch", "greet:production", "in.jsonl", "-j", "1", "--out", "out.jsonl"))
        return repo

    def test_what_a_shadow_has_shown(self, pairs: Repo, cli: Cli) -> None:
        before = told(cli, "shadow", "status")[0]
        assert (before["pairs"], before["waiting"], before["channel"]) == (0, 12, "production")
        assert drain(cli)[0] == 0
        (found,) = told(cli, "shadow", "status", "greet")
        assert (found["pairs"], found["waiting"], found["broke"], found["fixed"]) == (12, 0, 4, 0)
        said = ok(cli("shadow", "status")).out
        assert "greet:production: v2 in the shadow of 100 % of calls" in said
        assert "12 pairs; $" in said
        assert max(map(len, said.splitlines())) <= 80

    def test_it_is_shown_as_a_shadow_run_is(self, pairs: Repo, cli: Cli) -> None:
        drain(cli)
        shown = told(cli, "shadow", "show", "greet:production")
        shown = shown[0] if isinstance(shown, list) else shown
        assert (shown["mode"], shown["broke_total"]) == ("live", 4)
        for form in ("text", "markdown", "html"):
            told_of = ok(cli("shadow", "show", "greet:production", "--format", form)).out
            assert "greet@v2" in told_of
            assert "Hm." in told_of
        assert "behind live traffic" in ok(cli("shadow", "show", "greet:production")).out

    def test_only_calls_before_the_first_that_waits_count(self, pairs: Repo, cli: Cli) -> None:
        drain(cli)
        with open_log(pairs.path) as connection:
            connection.execute("UPDATE jobs SET done_at = NULL WHERE id = 5")
        assert told(cli, "shadow", "status")[0]["pairs"] == 4

    def test_no_shadow(self, greeting: Repo, cli: Cli) -> None:
        done = cli("shadow", "show", "greet:production")
        assert (done.code, "promptops shadow on greet:production" in done.err) == (4, True)


def test_a_lease_is_nobody_elses_until_it_ends(repo: Repo) -> None:
    with RegistryDatabase.open(repo.registry) as registry:
        shadowing = LiveShadowKey("greet", "production", "0" * 64)
        for number in range(3):
            add_job(registry, f"run{number}", shadowing)
        mine = lease_jobs(registry, shadowing, "here:1:me", most=2, seconds=-1)
        assert [job.run_id for job in mine] == ["run0", "run1"]
        assert [job.run_id for job in lease_jobs(registry, shadowing, "here:1:me", most=9, seconds=60)] == [
            "run2"
        ]
        theirs = lease_jobs(registry, shadowing, "there:2:you", most=9, seconds=60)
        assert [job.run_id for job in theirs] == ["run0", "run1"]
        assert next_live_shadow(registry) is None
        release_leases(registry, "there:2:you")
        assert next_live_shadow(registry) == shadowing
        assert next_live_shadow(registry, {shadowing}) is None


def test_jobs_that_would_pile_up_are_left_out_and_counted(repo: Repo) -> None:
    with RegistryDatabase.open(repo.registry) as registry:
        shadowing = LiveShadowKey("greet", "production", "0" * 64)
        many = [("shadow", "old", record_json(shadowing.about), utc_now())] * (MAX_SHADOW_JOBS + 1)
        with registry.write() as connection:
            sql = "INSERT INTO jobs (kind, run_id, payload, created_at) VALUES (?, ?, ?, ?)"
            connection.executemany(sql, many)
        add_job(registry, "new", shadowing)
        found = read_shadow_counts(registry, shadowing)
    assert (found.waiting, found.left_out) == (MAX_SHADOW_JOBS + 1, {"too many waited": 1})
