"""A judge that scores what a channel has answered."""

import json
from typing import Any

import pytest

from promptops.config.settings import current_settings
from promptops.git.repo import VERIFIED_REF
from promptops.registry import FinishedRun, RegistryDatabase, StartedRun, is_sampled
from promptops.release.plan import decode_plan, dump_plan
from support.front_door import Cli, Repo
from support.logged_runs import a_failure, a_run, an_end
from support.provider import Provider, text
from support.release_states import STATE

JUDGE = """\
model: openai/gpt-4o-mini-2024-07-18
inputs:
  ticket: string
  output: string
messages:
  - role: user
    content: "How good is {{ output }} as an answer to {{ ticket }}?"
output:
  schema:
    type: object
    properties: {score: {type: integer, minimum: 1, maximum: 5}}
    required: [score]
"""
PLAN = {
    "metrics": [
        {
            "name": "quality", "kind": "score", "source": "judge.quality", "worse": "lower", "role": "guard",
            "margin": 0.1, "range": [1, 5], "sample": 0.5,
        }
    ]
}  # fmt: skip
CANARY = {"version": "v13", "digest": "sha256:" + "4c1d" * 16}


def served(**fields: Any) -> StartedRun:
    given = {"channel": "production", "rollout": "r-1", "arm": "stable", "weight_bp": 2500}
    return a_run(**{**given, **fields})


def log(*ended: tuple[StartedRun, FinishedRun]) -> None:
    with RegistryDatabase.open(current_settings().registry) as registry:
        registry.record(ended)


def scores() -> dict[str, tuple[float, str]]:
    with RegistryDatabase.open(current_settings().registry) as registry:
        rows = registry.read(
            "SELECT r.run_id, o.value, o.text FROM outcomes o JOIN runs r ON r.seq = o.run_seq "
            "WHERE o.source = 'judge' AND o.name = 'quality'"
        )
        return {row["run_id"]: (row["value"], row["text"]) for row in rows}


@pytest.fixture
def judged(repo: Repo) -> Repo:
    """A canary on production whose plan draws half of the runs for a judge."""
    repo.write("prompts/support/triage.yaml", "model: openai/gpt-4o\nmessages: [{role: user, content: x}]\n")
    repo.write("prompts/quality.yaml", JUDGE)
    repo.commit("A prompt and its judge")
    plan = decode_plan("judged", PLAN)
    rollout = {
        "id": "r-1", "canary": CANARY, "plan": f"sha256:{plan.digest}", "phase": "progressing",
        "weight_bp": 2500, "salt": "s",
    }  # fmt: skip
    state = {
        "prompt": "support/triage",
        "generation": 1,
        "channels": {"production": {"stable": {**CANARY, "version": "v12"}, "rollout": rollout}},
    }
    repo.git("switch", "-q", "--orphan", STATE.rpartition("/")[2])
    repo.write("releases/support/triage.yaml", json.dumps(state))
    repo.write(f"plans/{plan.digest[:12]}.yaml", dump_plan(plan))
    repo.git("update-ref", VERIFIED_REF, repo.commit("State"))
    repo.git("switch", "-q", "main")
    return repo


def test_a_judge_scores_the_runs_that_were_drawn_and_each_of_them_once(
    cli: Cli, judged: Repo, provider: Provider
) -> None:
    runs = [served(arm="canary" if n % 4 == 0 else "stable") for n in range(30)]
    log(*((run, an_end()) for run in runs))
    provider.script = text('{"score": 4}')
    done = cli("judge", "score", "support/triage:production")
    assert done.code == 0
    wanted = {run.run_id for run in runs if is_sampled(run.run_id, "quality", 0.5)}
    assert scores().keys() == wanted
    assert {value for value, _ in scores().values()} == {4.0}
    (version,) = {text_ for _, text_ in scores().values()}
    assert version.startswith("quality@sha256:")
    assert done.out == f"{version} scored {len(wanted)} runs as quality\n"
    asked = len(provider.requests)
    assert json.loads(cli("judge", "score", "support/triage", "--json").out)[0]["scored"] == 0
    assert len(provider.requests) == asked
    kinds = json.loads(cli("runs", "list", "--kind", "judge", "--json").out)
    assert {run["metadata"]["judged_run"] for run in kinds} <= wanted


def test_what_is_no_evidence_is_not_judged(cli: Cli, judged: Repo, provider: Provider) -> None:
    good, cached = served(), served()
    log(
        (good, an_end()),
        (served(excluded="forced"), an_end()),
        (served(), a_failure()),
        (cached, an_end(cache_source="01J")),
        (served(kind="eval"), an_end()),
        (served(rollout="r-0"), an_end()),
        (served(channel="staging"), an_end()),
        (served(inputs=None), an_end()),
    )
    provider.script = text('{"score": 2}')
    done = cli("judge", "score", "support/triage", "--sample", "1")
    assert scores().keys() == {good.run_id, cached.run_id}
    assert "1 runs could not be judged: their inputs or outputs were not kept" in done.err


def test_a_reply_that_is_no_verdict_is_asked_for_again(cli: Cli, judged: Repo, provider: Provider) -> None:
    log((served(), an_end()))
    provider.script = text('{"score": 9}')
    done = cli("judge", "score", "support/triage", "--sample", "1")
    assert done.code == 3
    assert "1 replies were no verdict" in done.err
    assert scores() == {}
    provider.script = text('{"score": 5}')
    assert cli("judge", "score", "support/triage", "--sample", "1").code == 0
    assert [value for value, _ in scores().values()] == [5.0]


def test_a_judge_stays_the_same_within_a_rollout(cli: Cli, judged: Repo, provider: Provider) -> None:
    log((served(), an_end()))
    provider.script = text('{"score": 3}')
    assert cli("judge", "score", "support/triage", "--sample", "1").code == 0
    ((_, first),) = scores().values()
    judged.write("prompts/quality.yaml", JUDGE.replace("How good", "How very good"))
    judged.commit("Judge otherwise")
    log((served(), an_end()))
    done = cli("judge", "score", "support/triage", "--sample", "1")
    assert done.code == 4
    assert f"--judge {first}" in done.err
    assert cli("judge", "score", "support/triage", "--sample", "1", "--judge", first).code == 0
    assert {text_ for _, text_ in scores().values()} == {first}
    assert len(scores()) == 2


def test_a_channel_without_a_canary_is_judged_by_whom_one_names(
    cli: Cli, repo: Repo, provider: Provider
) -> None:
    repo.write("prompts/support/triage.yaml", "model: openai/gpt-4o\nmessages: [{role: user, content: x}]\n")
    choice = JUDGE.replace("score: {type: integer, minimum: 1, maximum: 5}", "choice: {enum: [good, bad]}")
    repo.write("prompts/quality.yaml", choice.replace("[score]", "[choice]"))
    repo.commit()
    log(*((served(rollout=None), an_end()) for _ in range(4)))
    provider.script = text('{"choice": "good"}')
    arguments = ("judge", "score", "support/triage", "--judge", "quality")
    assert "names a judge" in cli(*arguments[:3]).err
    assert "--sample 0.2" in cli(*arguments).err
    assert "--pass CHOICE, of good, bad" in cli(*arguments, "--sample", "1").err
    assert "--pass CHOICE" in cli(*arguments, "--sample", "1", "--pass", "fair").err
    assert cli(*arguments, "--sample", "1", "--pass", "good", "-n", "3").code == 0
    assert [value for value, _ in scores().values()] == [1.0] * 3


def test_a_smaller_sample_than_the_plans_is_pointed_out(cli: Cli, judged: Repo, provider: Provider) -> None:
    log((served(), an_end()))
    provider.script = text('{"score": 3}')
    done = cli("judge", "score", "support/triage", "--sample", "0.1")
    assert "the plan draws 50% for quality" in done.err
    assert cli("judge", "score", "support/triage@v12").code == 4
