"""What people say of answers."""

import json
from pathlib import Path
from typing import Any

import pytest

from promptops.config.settings import current_settings
from promptops.errors import Invalid, NotFound
from promptops.registry import RegistryDatabase, Spool, add_outcome
from support.front_door import Cli, Repo
from support.logged_runs import a_run, an_end
from support.provider import Provider, text


def logged(count: int = 1) -> list[str]:
    """Runs in the project's registry; their ids."""
    runs = [(a_run(), an_end()) for _ in range(count)]
    with RegistryDatabase.open(current_settings().registry) as registry:
        registry.record(runs)
    return [run.run_id for run, _ in runs]


def told() -> list[tuple[Any, ...]]:
    with RegistryDatabase.open(current_settings().registry) as registry:
        rows = registry.read("SELECT name, value, text, occurred_at FROM outcomes ORDER BY id")
        return [tuple(row) for row in rows]


def lines(*outcomes: dict[str, Any] | str) -> str:
    return "".join(f"{each if isinstance(each, str) else json.dumps(each)}\n" for each in outcomes)


def test_thumbs_of_a_run_show_where_runs_and_versions_are_looked_at(
    cli: Cli, greeting: Repo, provider: Provider
) -> None:
    provider.script = text("Hello")
    runs = [json.loads(cli("run", "greet", "-i", "name=Ada", "--json").out)["run_id"] for _ in range(3)]
    assert cli("feedback", runs[0], "up").out == "1 outcome logged\n"
    assert cli("feedback", runs[1], "down", "--comment", "too short").code == 0
    assert cli("feedback", runs[2][:24], "up").code == 0
    (version,) = json.loads(cli("history", "greet", "--json").out)
    assert (version["figures"]["thumbs_up"], version["figures"]["thumbs_down"]) == (2, 1)
    assert "+2 -1" in cli("history", "greet").out
    assert "thumbs     -1.0 too short (person)" in cli("runs", "show", runs[1]).out
    with RegistryDatabase.open(current_settings().registry) as registry:
        row = registry.read("SELECT feedback FROM run_log WHERE run_id = ?", (runs[1],))[0]
    assert row["feedback"] == "thumbs -1.0: too short"


def test_saying_the_same_again_changes_nothing_and_another_mind_does(cli: Cli, repo: Repo) -> None:
    (run,) = logged()
    for verdict in ("up", "up", "down", "up"):
        assert cli("feedback", run, verdict).code == 0
    assert [value for _, value, _, _ in told()] == [1.0, -1.0, 1.0]


def test_an_edit_keeps_the_text_unless_outputs_are_not_kept(cli: Cli, repo: Repo) -> None:
    (run,) = logged()
    done = cli("feedback", run, "up", "--edit", "Delivery, then", "--comment", "nearly", "--json")
    assert json.loads(done.out) == {"new": 2, "known": 0}
    assert [row[:3] for row in told()] == [("thumbs", 1.0, "nearly"), ("edited", 1.0, "Delivery, then")]
    repo.write("promptops.yaml", "log: {outputs: hash}\n")
    (other,) = logged()
    done = cli("feedback", other, "--edit", "Delivery")
    assert "not kept" in done.err
    assert told()[-1][:3] == ("edited", 1.0, "")


def test_figures_of_ones_own_need_no_declaration(cli: Cli, repo: Repo) -> None:
    (run,) = logged()
    assert cli("feedback", run, "--metric", "refund_eur", "--value", "12.5").code == 0
    assert cli("feedback", run, "--metric", "dwell_s", "--value", "3").code == 0
    assert [row[:2] for row in told()] == [("refund_eur", 12.5), ("dwell_s", 3.0)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--metric", "corect", "--value", "1"], "did you mean correct?"),
        (["--metric", "Thumbs", "--value", "1"], "did you mean thumbs?"),
        (["--metric", "incorrect", "--value", "1"], "did you mean correct? correct is 1 (yes) or 0 (no)"),
        (["--metric", "correct", "--value", "0.5"], "correct is 1 (yes) or 0 (no)"),
        (["--metric", "thumbs", "--value", "5"], "thumbs are up (1) or down (-1)"),
        (["--metric", "dwell_s", "--value", "-1"], "dwell_s is a number of seconds"),
        (["--metric", " ", "--value", "1"], "usual names: thumbs"),
        (["--metric", "correct"], "--metric correct --value 1"),
        ([], "promptops feedback RUN up"),
        (["up", "--from", "-"], "leave the other arguments out"),
    ],
)
def test_what_would_never_be_counted_is_refused(
    arguments: list[str], message: str, cli: Cli, repo: Repo
) -> None:
    (run,) = logged()
    done = cli("feedback", run, *arguments)
    assert done.code == 4
    assert message in done.err
    assert told() == []


def test_a_run_that_is_not_there_is_not_found(cli: Cli, repo: Repo) -> None:
    assert cli("feedback", "01J", "up").code == 4
    logged()
    done = cli("feedback", "7ZZZZZZZZZ", "up")
    assert done.code == 4
    assert "no run 7ZZZZZZZZZ" in done.err
    assert "which run?" in cli("feedback", "--metric", "correct", "--value", "1").err


def test_bulk_feedback_is_taken_once_however_often_it_comes(cli: Cli, repo: Repo) -> None:
    one, other = logged(2)
    repo.write(
        "feedback.jsonl",
        lines(
            {"run_id": one, "metric": "thumbs", "value": "up", "occurred_at": "2026-11-02T10:00:00+01:00"},
            {"run_id": one, "metric": "thumbs", "value": 1, "occurred_at": "2026-11-02T09:00:00Z"},
            {"run_id": one, "metric": "thumbs", "value": -1, "occurred_at": "2026-11-03T09:00:00"},
            "",
            {"run_id": other, "metric": "correct", "value": False, "comment": "it was a refund"},
            {"run_id": other.lower(), "metric": "correct", "value": 0, "comment": "it was a refund"},
        ),
    )
    assert cli("feedback", "--from", "feedback.jsonl").out == "3 outcomes logged; 2 recorded before\n"
    assert json.loads(cli("feedback", "--from", "feedback.jsonl", "--json").out) == {"new": 0, "known": 5}
    assert [row[:3] for row in told()] == [
        ("thumbs", 1.0, ""),
        ("thumbs", -1.0, ""),
        ("correct", 0.0, "it was a refund"),
    ]
    assert told()[0][3] == "2026-11-02T09:00:00.000Z"


RUN = "01JD8Z3K00000000000000000A"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "f.jsonl:2: not JSON"),
        ("[]", "f.jsonl:2: not an object"),
        ({"run_id": "01JD", "metric": "correct", "value": 1}, "must be the whole id of a run"),
        ({"run_id": RUN, "metric": "correct", "value": 1}, f"f.jsonl:2: no run {RUN}"),
        ({"run_id": RUN, "metric": "correct"}, "None is not a number"),
        ({"run_id": RUN, "value": 1}, "None is not a name of an outcome"),
        ({"run_id": RUN, "metric": "correct", "value": "1"}, "'1' is not a number"),
        (f'{{"run_id": "{RUN}", "metric": "x", "value": NaN}}', "NaN is not a JSON number"),
        ({"run_id": RUN, "metric": "x", "value": 1, "text": "why"}, "unknown key `text`"),
        ({"run_id": RUN, "metric": "x", "value": 1, "comment": 5}, "`comment` must be text"),
        ({"run_id": RUN, "metric": "x", "value": 1, "occurred_at": "soon"}, "'soon' is not a time"),
        ({"run_id": RUN, "metric": "x", "value": 1, "occurred_at": 5}, "5 is not a time"),
    ],
)
def test_one_bad_line_keeps_the_whole_file_out(
    line: dict[str, Any] | str, message: str, cli: Cli, repo: Repo
) -> None:
    (run,) = logged()
    repo.write("f.jsonl", lines({"run_id": run, "metric": "correct", "value": 1}, line))
    done = cli("feedback", "--from", "f.jsonl")
    assert done.code == 4
    assert message in done.err
    assert told() == []


def test_a_file_that_cannot_be_read_is_named(cli: Cli, repo: Repo) -> None:
    assert "cannot read nothing.jsonl" in cli("feedback", "--from", "nothing.jsonl").err


def test_many_lines_come_from_stdin_in_one_go(repo: Repo, process: Any, tmp_path: Path) -> None:
    runs = logged(500)
    text_ = lines(*({"run_id": run, "metric": "correct", "value": 1} for run in runs * 4))
    done = process(["feedback", "--from", "-"], input=text_)
    assert (done.returncode, done.stdout) == (0, "500 outcomes logged; 1,500 recorded before\n")
    assert len(told()) == 500


def test_feedback_finds_a_run_that_waits_beside_the_registry(cli: Cli, repo: Repo) -> None:
    run = a_run()
    assert Spool(current_settings().registry).put(run, an_end())
    assert cli("feedback", run.run_id, "up").code == 0
    assert [row[:2] for row in told()] == [("thumbs", 1.0)]


def test_an_application_logs_outcomes_by_the_whole_id(repo: Repo) -> None:
    (run,) = logged()
    with RegistryDatabase.open(current_settings().registry) as registry:
        assert add_outcome(registry, run, "thumbs", "up", occurred_at="2026-11-02T09:00:00Z")
        assert not add_outcome(registry, run, "thumbs", 1, occurred_at="2026-11-02T09:00:00Z")
        assert add_outcome(registry, run, "support/quality", 4, source="judge")
        with pytest.raises(NotFound):
            add_outcome(registry, run[:10], "thumbs", "up")
        with pytest.raises(Invalid):
            add_outcome(registry, run, "thumb", "up")
        sources = [row[0] for row in registry.read("SELECT source FROM outcomes ORDER BY id")]
    assert sources == ["person", "judge"]
