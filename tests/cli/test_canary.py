"""``promptops canary`` through the front door."""

from pathlib import Path

import pytest

from support.front_door import Cli, Repo
from support.greet_releases import (
    CHECKED,
    QUICK,
    SALUTE,
    a_remote,
    channel,
    go_live,
    ok,
    subjects,
    told,
    two_versions,
    versions,
)


def test_a_canary_starts_beside_what_is_stable(cli: Cli, repo: Repo) -> None:
    go_live(cli, repo)
    done = ok(cli("canary", "greet@HEAD", "--plan", "quick"))
    assert done.out == "release(greet): production canary v2 0% → 50%\n"
    assert "plan quick: " in done.err
    assert "next: promptops tick greet:production" in done.err
    state = channel(cli)
    assert state["stable"]["version"] == "v1"
    rollout = state["rollout"]
    assert rollout["canary"]["version"] == "v2"
    assert (rollout["phase"], rollout["weight_bp"], rollout["unit"]) == ("progressing", 5000, "session")
    assert rollout["salt"] == f"greet/production/sha256:{rollout['canary']['digest']}"
    trailers = repo.git("log", "-1", "--format=%(trailers)", "promptops-state")
    assert "Promptops-Transition: start" in trailers
    assert "Promptops-Actor: Ada <ada@example.org>" in trailers


def test_the_default_plan_starts_with_its_eval(cli: Cli, repo: Repo) -> None:
    go_live(cli, repo, more=CHECKED)
    done = told(cli, "canary", "greet@HEAD")
    assert (done["phase"], done["weight_bp"], done["canary"]) == ("eval", 0, "v2")


def test_the_first_version_of_a_channel_needs_a_yes(cli: Cli, repo: Repo) -> None:
    two_versions(repo)
    done = cli("canary", "greet@HEAD", "--to", "staging")
    assert done.code == 2
    assert "nothing to compare with: all calls go to it at once" in done.err
    assert "--yes" in done.err
    ok(cli("canary", "greet@HEAD", "--to", "staging", "--yes"))
    assert channel(cli, name="staging")["stable"]["version"] == "v1"
    ok(cli("canary", "greet:staging", "--yes"))
    assert channel(cli)["stable"]["version"] == "v1"


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("greet", "only a commit is released"),
        ("greet@INDEX", "only a commit is released"),
        ("greet:production", "is where it would be released to"),
        ("greet@HEAD~1", "serves already (v1)"),
        ("greet@nowhere", "nowhere"),
        ("greet@production", "is a channel"),
        ("grete@HEAD", "did you mean greet?"),
    ],
)
def test_what_cannot_be_a_canary(cli: Cli, repo: Repo, reference: str, said: str) -> None:
    go_live(cli, repo)
    done = cli("canary", reference, "--yes")
    assert done.code == 4
    assert said in done.err
    assert len(subjects(repo)) == 1


def test_unknown_channels_and_plans_name_the_nearest(cli: Cli, repo: Repo) -> None:
    go_live(cli, repo)
    done = cli("canary", "greet@HEAD", "--to", "productoin")
    assert (done.code, "did you mean production?" in done.err) == (4, True)
    done = cli("canary", "greet@HEAD", "--plan", "quikc")
    assert (done.code, "did you mean quick?" in done.err) == (4, True)


def test_a_second_canary_must_supersede(cli: Cli, repo: Repo) -> None:
    go_live(cli, repo)
    ok(cli("canary", "greet@HEAD", *QUICK))
    repo.write("prompts/greet.yaml", SALUTE.replace("Salute {{", "Hail {{"))
    repo.commit("Hail people")
    done = cli("canary", "greet@HEAD", *QUICK)
    assert done.code == 4
    assert "active canary: v2" in done.err
    assert "--supersede" in done.err
    ok(cli("canary", "greet@HEAD", *QUICK, "--supersede"))
    assert versions(cli) == ("v1", "v3")
    assert subjects(repo)[:2] == [
        "release(greet): production canary v3 0% → 50%, in place of v2",
        "release(greet): production canary v2 0% → 50%",
    ]
    assert "Promptops-Ends: r-" in repo.git("log", "-1", "--format=%b", "promptops-state")


def test_the_same_pair_goes_on_with_its_evidence(cli: Cli, repo: Repo) -> None:
    go_live(cli, repo)
    first = told(cli, "canary", "greet@HEAD", *QUICK)
    salt = channel(cli)["rollout"]["salt"]
    ok(cli("release", "abort", "greet"))
    again = told(cli, "canary", "greet@HEAD", *QUICK)
    assert again["rollout"] == first["rollout"]
    assert channel(cli)["rollout"]["salt"] == salt
    ok(cli("release", "abort", "greet"))
    assert "needs a reason" in cli("canary", "greet@HEAD", *QUICK, "--new-evidence").err
    again = told(cli, "canary", "greet@HEAD", *QUICK, "--new-evidence", "--reason", "the log had a gap")
    assert again["rollout"] == f"{first['rollout']}.2"
    assert channel(cli)["rollout"]["salt"] == f"{salt}/2"  # other users meet the canary now
    ok(cli("release", "abort", "greet"))
    assert told(cli, "canary", "greet@HEAD", *QUICK)["rollout"] == again["rollout"]
    assert channel(cli)["rollout"]["salt"] == f"{salt}/2"


def test_a_written_plan_is_followed_and_pinned(cli: Cli, repo: Repo) -> None:
    plans = (
        "plans: {slow: {eval: null, quality: optional, unit: user, "
        "steps: [{weight: 10}, {approval: manual}, {weight: 30}]}}\n"
    )
    repo.write("promptops.yaml", plans + 'releases: [{prompts: "gr*", plan: slow}]\n')
    go_live(cli, repo)
    done = told(cli, "canary", "greet@HEAD", "--yes")
    assert done["weight_bp"] == 1000
    assert channel(cli)["rollout"]["unit"] == "user"
    repo.write("promptops.yaml", plans.replace("weight: 10", "weight: 20"))
    tick = told(cli, "tick", "greet")
    assert (tick["move"], tick["phase"], tick["weight_bp"]) == ("await", "awaiting", 1000)


def test_a_plan_whose_metric_has_no_source_is_refused(cli: Cli, repo: Repo) -> None:
    metric = "{name: polite, kind: binary, source: check.polite, worse: lower, role: guard, margin: 0.05}"
    repo.write("promptops.yaml", f"plans: {{checked: {{metrics: [{metric}]}}}}\n")
    go_live(cli, repo)
    done = cli("canary", "greet@HEAD", "--plan", "checked", "--yes")
    assert done.code == 4
    assert "greet has no check polite" in done.err


QUALITY = "plans: {{bare: {{eval: null, steps: [{{weight: 10}}]{}}}}}\n"
CHANNELS = "channels: {beta: {plan: bare}, euProd2: {plan: bare}}\n"
TAGGED = "{name: hard, kind: binary, source: checks.pass, worse: lower, role: guard, margin: 0.1, tag: hard}"


@pytest.mark.parametrize(
    ("more", "checks", "channel_name", "refused", "said"),
    [
        ("", "", "production", True, False),
        (", quality: optional", "", "production", False, True),
        (", quality: required", "", "beta", True, False),
        ("", "", "beta", False, True),
        ("", "", "euProd2", True, False),
        (f", metrics: [{TAGGED}]", CHECKED, "production", True, False),
        ("", CHECKED, "production", False, False),
    ],
)
def test_a_plan_that_guards_no_quality_says_so(
    cli: Cli, repo: Repo, more: str, checks: str, channel_name: str, refused: bool, said: bool
) -> None:
    """Errors, latency and cost are what they were when a version only answers worse."""
    repo.write("promptops.yaml", QUALITY.format(more) + CHANNELS)
    go_live(cli, repo, more=checks)
    target = f"greet:{channel_name}"
    if channel_name != "production":
        ok(cli("promote", "greet@HEAD~1", "--to", channel_name, "--yes"))
    done = cli("canary", "greet@HEAD", "--to", channel_name, "--plan", "bare", "--yes")
    assert done.code == (4 if refused else 0), done.err
    for way in ("checks suggest greet", "judge.PROMPT", "quality: optional") if refused else ():
        assert way in done.err
    if refused:
        forecast = ok(cli("release", "forecast", "greet@HEAD", "--to", channel_name, "--plan", "bare"))
        assert "guards no quality" in forecast.err
        return
    warning = "plan bare guards no quality: by error_rate, latency alone"
    outputs = (done.err, cli("tick", target).err, " ".join(cli("status", target).out.split()))
    assert [warning in each for each in outputs] == [said] * 3


def test_where_a_remote_exists_only_reviewed_versions_are_released(
    cli: Cli, repo: Repo, tmp_path: Path
) -> None:
    two_versions(repo)
    a_remote(repo, tmp_path / "origin.git")
    ok(cli("promote", "greet@HEAD~1", "--yes"))
    repo.git("checkout", "-q", "-b", "work")
    repo.write("prompts/greet.yaml", SALUTE.replace("Salute {{", "Hail {{"))
    repo.commit("Hail people")
    done = cli("canary", "greet@HEAD", *QUICK)
    assert done.code == 4
    assert "is not on origin/main, so it has not been reviewed" in done.err
    assert "needs a reason" in cli("canary", "greet@HEAD", *QUICK, "--unreviewed").err
    ok(cli("canary", "greet@HEAD", *QUICK, "--unreviewed", "--reason", "the site is down"))
    assert "Promptops-Reason: the site is down" in repo.git("log", "-1", "--format=%B", "promptops-state")
    there = repo.git("ls-remote", "origin", "promptops-state").split()[0]
    assert there == repo.git("rev-parse", "promptops-state")


def test_a_canary_can_be_proposed_on_a_branch(cli: Cli, repo: Repo) -> None:
    go_live(cli, repo)
    done = ok(cli("canary", "greet@HEAD", *QUICK, "--propose", "release-greet"))
    assert "proposed on the branch release-greet" in done.out
    assert versions(cli) == ("v1", None)
    assert repo.git("log", "-1", "--format=%s", "release-greet") == (
        "release(greet): production canary v2 0% → 50%"
    )
