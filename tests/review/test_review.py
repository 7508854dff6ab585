"""Queues of answers, labels, and what they say."""

import json
import math
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from promptops.config.settings import current_settings, find_settings
from promptops.errors import Invalid, NotFound
from promptops.registry import (
    RegistryDatabase,
    RunFilter,
    add_label,
    claim_item,
    defer_item,
    get_item,
    get_queue,
    label_of_item,
    list_runs,
    make_outcome,
    prune_runs,
    read_review_labels,
)
from promptops.review.labels import label_item
from promptops.review.queue import QueueRequest, start_queue
from promptops.review.rubric import load_rubric
from promptops.review.summary import count_codes, summarize_reviews, weighted_rate
from support.front_door import Cli, Repo
from support.logged_runs import a_run, an_end, check
from support.reviews import ADA, a_label, review_all

GRACE = "Grace <grace@example.org>"


@pytest.fixture
def registry(greeting: Repo) -> Iterator[RegistryDatabase]:
    with RegistryDatabase.open(current_settings().registry) as opened:
        yield opened


def log(registry: RegistryDatabase, count: int, *, failing: int = 0, **fields: Any) -> list[str]:
    """Answers of ``greet``; the first ones fail a check."""
    rows = []
    for number in range(count):
        run = a_run(prompt="greet", inputs={"name": f"N{number}"}, **fields)
        rows.append((run, an_end(output=f"Hello N{number}", checks=[check(passed=number >= failing)])))
    registry.record(rows)
    return [run.run_id for run, _ in rows]


def start(registry: RegistryDatabase, **fields: Any) -> int:
    request = QueueRequest(**{"target": "greet", "by": ADA, **fields})
    return start_queue(registry, current_settings(), request).id


def items_of(registry: RegistryDatabase, queue: int) -> list[Any]:
    return registry.read("SELECT * FROM review_items WHERE queue = ? ORDER BY position", (queue,))


def test_a_queue_draws_at_random_with_known_probability(registry: RegistryDatabase, cli: Cli) -> None:
    log(registry, 40)
    done = cli("review", "start", "greet", "--sample", "10", "--json")
    queue = json.loads(done.out)
    assert (queue["items"], queue["left"], queue["selection"]["population"]) == (10, 10, 40)
    assert queue["created_by"].startswith("Ada")
    drawn = items_of(registry, queue["queue"])
    assert {(row["probability"], row["drawn"]) for row in drawn} == {(0.25, 1)}
    assert len({row["run_seq"] for row in drawn}) == 10
    assert "10 drawn of 40" in cli("review", "start", "greet", "--sample", "10").err


def test_what_failed_is_chosen_and_counts_in_no_rate(registry: RegistryDatabase, cli: Cli) -> None:
    log(registry, 20, failing=5)
    assert cli("review", "start", "greet", "--failed").code == 0
    queue = items_of(registry, 1)
    assert len(queue) == 5
    assert {(row["probability"], row["drawn"]) for row in queue} == {(None, 0)}
    review_all(Path.cwd())
    summary = summarize_reviews(registry, "greet")
    assert (summary.labels, summary.chosen, summary.drawn, list(summary.versions)) == (5, 5, 0, [])
    names = [row["name"] for row in registry.read("SELECT name FROM outcomes WHERE source = 'person'")]
    assert names == ["review.chosen"] * 5
    done = cli("review", "start", "greet", "--failed")  # they are labelled now
    assert (done.code, "no answers of greet that are failed" in done.err) == (4, True)


def test_either_arm_of_a_canary_is_drawn_as_often() -> None:
    from promptops.review.queue import _share_out

    assert _share_out([1000, 50], 30) == [15, 15]
    assert _share_out([1000, 5], 30) == [25, 5]
    assert _share_out([3, 5], 30) == [3, 5]


def test_a_weighted_rate_undoes_how_items_were_drawn() -> None:
    # 10 of 1,000 that pass and 10 of 10 that do not: 99 % of all pass
    items = [(True, 0.01)] * 10 + [(False, 1.0)] * 10
    rate = weighted_rate(items)
    assert rate.value == pytest.approx(1000 / 1010)
    assert rate.low < 1000 / 1010 < rate.high
    plain = weighted_rate([(True, 0.5)] * 7 + [(False, 0.5)] * 3)
    assert (plain.value, round(plain.low, 3), round(plain.high, 3)) == (pytest.approx(0.7), 0.397, 0.892)
    assert weighted_rate([]).count == 0


def test_weighted_rates_are_right_on_the_average() -> None:
    import random

    draw = random.Random(7)
    population = [(draw.random() < 0.9, 0.5 if at % 10 else 0.05) for at in range(2000)]
    true = sum(passed for passed, _ in population) / len(population)
    found = []
    for _ in range(200):
        drawn = [each for each in population if draw.random() < each[1]]
        found.append(weighted_rate(drawn).value)
    error = sum(found) / len(found) - true
    spread = math.sqrt(sum((each - true) ** 2 for each in found) / len(found) / len(found))
    assert abs(error) < 4 * spread + 0.002


def test_two_reviewers_get_no_item_twice(registry: RegistryDatabase) -> None:
    log(registry, 8)
    queue = start(registry, sample=8)
    seen: list[int] = []
    with RegistryDatabase.open(registry.path) as other:
        for _ in range(4):
            for each, who in ((registry, ADA), (other, GRACE)):
                item = claim_item(each, queue, who)
                assert item
                again = claim_item(each, queue, who)
                assert again
                assert again.id == item.id  # a page that is loaded again
                seen.append(item.id)
                assert add_label(each, item.id, a_label(reviewer=who))
    assert len(set(seen)) == 8
    assert claim_item(registry, queue, ADA) is None
    assert get_queue(registry, queue).left == 0


def test_a_lease_that_has_ended_gives_the_item_to_another(registry: RegistryDatabase) -> None:
    log(registry, 1)
    queue = start(registry)
    first = claim_item(registry, queue, ADA, now=1_000.0)
    assert first
    assert claim_item(registry, queue, GRACE, now=1_001.0) is None
    second = claim_item(registry, queue, GRACE, now=3_000.0)
    assert second
    assert second.id == first.id
    assert add_label(registry, first.id, a_label(passed=False, reviewer=GRACE))
    with pytest.raises(Invalid, match="meanwhile; your label was not saved"):
        add_label(registry, first.id, a_label())


def test_a_label_of_an_item_that_somebody_works_on_is_refused(registry: RegistryDatabase) -> None:
    log(registry, 1)
    item = claim_item(registry, start(registry), GRACE)
    assert item
    with pytest.raises(Invalid, match="is working on this item now"):
        add_label(registry, item.id, a_label())


def test_the_same_label_again_is_one_and_another_replaces_it(registry: RegistryDatabase) -> None:
    log(registry, 1)
    item = claim_item(registry, start(registry), ADA)
    assert item
    assert add_label(registry, item.id, a_label(passed=False, codes=("b", "a"), note="x"))
    assert not add_label(registry, item.id, a_label(passed=False, codes=("a", "b"), note="x"))
    assert add_label(registry, item.id, a_label())
    assert [each.label.passed for each in read_review_labels(registry, "greet")] == [True]
    stored = label_of_item(registry, get_item(registry, item.id))
    assert stored
    assert stored.passed
    values = registry.read("SELECT value FROM outcomes WHERE name = 'review.pass' ORDER BY id")
    assert [row[0] for row in values] == [0.0, 1.0]  # the latest counts, as of all outcomes


def test_what_is_put_off_goes_to_others_first(registry: RegistryDatabase) -> None:
    log(registry, 1)
    queue = start(registry)
    item = claim_item(registry, queue, ADA)
    assert item
    defer_item(registry, item.id, ADA)
    assert claim_item(registry, queue, ADA) is None
    assert get_queue(registry, queue).deferred == 1
    assert claim_item(registry, queue, ADA, deferred=True)
    assert claim_item(registry, queue, GRACE) is None  # Ada has it again


def test_ten_old_items_come_again_to_whom_they_were_shown(registry: RegistryDatabase) -> None:
    log(registry, 30)
    start(registry, sample=15)
    review_all(Path.cwd())
    queue = start(registry, sample=5)
    assert review_all(Path.cwd()) == 15  # five new ones, ten old ones
    summary = summarize_reviews(registry, "greet")
    (drift,) = summary.drift
    assert (drift.reviewer, drift.repeated, drift.same) == (ADA, 10, 10)
    assert drift.alpha is None  # everything passed both times
    both = "SELECT count(DISTINCT run_seq) FROM review_items WHERE repeat_of IS NULL"
    assert (summary.labels, get_queue(registry, queue).items) == (registry.read_one(both), 5)
    outcomes = registry.read_one("SELECT count(*) FROM outcomes WHERE name = 'review.pass'")
    assert outcomes == 20  # a second look is no second vote
    start(registry, sample=5)
    assert review_all(Path.cwd(), reviewer=GRACE) == 5


def test_drift_of_a_reviewer_is_krippendorffs_alpha(registry: RegistryDatabase, cli: Cli) -> None:
    log(registry, 12)
    for second in (False, True):
        queue, number = start(registry, sample=10), 0
        while item := claim_item(registry, queue, ADA):
            before = label_of_item(registry, item)
            assert before is None
            passed = number % 2 == 0
            if item.repeat:
                old = registry.read_one(
                    "SELECT passed FROM review_labels l JOIN review_items i ON i.repeat_of = l.label "
                    "WHERE i.item = ?",
                    (item.id,),
                )
                passed = bool(old) if number % 5 else not old
            add_label(registry, item.id, a_label(passed=passed))
            number += 1
        assert number == (20 if second else 10)
    (drift,) = summarize_reviews(registry, "greet").drift
    assert 0 < drift.same <= drift.repeated == 10
    assert drift.alpha is not None
    assert "said the same of" in cli("review", "status", "greet").out
    status = json.loads(cli("review", "status", "greet", "--json").out)
    assert status["drift"][0]["repeated"] == 10
    assert [each["queue"] for each in json.loads(cli("review", "status", "--json").out)] == [2, 1]


def test_questions_are_versioned_by_their_digest(
    registry: RegistryDatabase, greeting: Repo, cli: Cli
) -> None:
    log(registry, 2)
    settings = find_settings(greeting.path, os.environ)
    assert load_rubric("greet", settings).questions == ("Would you send this answer as it is?",)
    start(registry)
    review_all(greeting.path)
    greeting.write("prompts/greet.rubric.yaml", "questions: [Is it polite?]\ncodes: {rude: it offends}\n")
    rubric = load_rubric("greet", settings)
    assert (rubric.questions, rubric.codes) == (("Is it polite?",), (("rude", "it offends"),))
    done = cli("review", "status", "greet")
    assert "2 of 2 labels were made by other questions than the rubric asks now" in done.err
    assert "rubric" not in cli("list", "--json").out
    assert cli("lint").code == 0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("questions: []", "questions"),
        ("codes: {}", "questions"),
        ("questions: [a]\nask: b", "ask"),
        ("questions: [1]", "questions"),
        ("questions: [a]\ncodes: {'a, b': c}", "cannot be the name of a code"),
        ("- a", "a mapping, not a list"),
        ("questions: [a", "bracket"),
    ],
)
def test_a_rubric_that_is_none_is_refused(greeting: Repo, text: str, words: str, cli: Cli) -> None:
    greeting.write("prompts/greet.rubric.yaml", text)
    done = cli("review", "start", "greet")
    assert done.code == 4
    assert "greet.rubric.yaml" in done.err
    assert words in done.err


def test_codes_are_counted_by_version_and_merged(registry: RegistryDatabase, cli: Cli) -> None:
    log(registry, 2, version="v1")
    log(registry, 2, version="v2")
    queue = start(registry, sample=4)
    for codes in (("rude", "long"), ("Rude",), (), ("rude",)):
        item = claim_item(registry, queue, ADA)
        assert item
        add_label(registry, item.id, a_label(passed=False, codes=codes, note="hm"))
    counts = {each.code: each.labels for each in count_codes(registry, "greet")}
    assert counts == {"rude": 2, "Rude": 1, "long": 1, "": 1}
    done = cli("review", "codes", "greet", "--merge", "Rude=rude", "--json")
    codes = json.loads(done.out)
    assert [(each["code"], each["labels"]) for each in codes] == [("rude", 3), ("long", 1), ("", 1)]
    assert sum(codes[0]["versions"].values()) == 3
    assert "Rude is called rude now: 1 label" in done.err
    assert "(no code)" in cli("review", "codes", "greet").out


def test_failures_of_a_code_become_cases(registry: RegistryDatabase, cli: Cli, greeting: Repo) -> None:
    log(registry, 3)
    queue = start(registry)
    for codes, answer in ((("rude",), "Good day"), (("long",), ""), (("rude",), "")):
        item = claim_item(registry, queue, ADA)
        assert item
        add_label(registry, item.id, a_label(passed=False, codes=codes, answer=answer))
    done = cli("review", "cases", "greet", "--code", "rude")
    assert done.code == 0, done.err
    cases = [
        json.loads(line) for line in (greeting.path / "prompts/greet.cases.jsonl").read_text().splitlines()
    ]
    assert [(case.get("expected"), case["tags"]) for case in cases] == [
        ("Good day", ["rude"]),
        (None, ["rude"]),
    ]
    again = cli("review", "cases", "greet", "--code", "rude")
    assert again.err.count("this case is there already") == 2
    assert cli("review", "cases", "greet", "--code", "other").code == 4


def test_nobody_says_review_outcomes_by_hand(registry: RegistryDatabase, cli: Cli) -> None:
    (run,) = log(registry, 1)
    with pytest.raises(Invalid, match="said by reviewers"):
        make_outcome(run, "review.pass", 1)
    assert cli("feedback", run, "--metric", "review.pass", "--value", "1").code == 4


def test_labels_are_bounded_and_redacted(registry: RegistryDatabase, greeting: Repo) -> None:
    greeting.write("promptops.yaml", "log: {redact: [email]}\n")
    log(registry, 1)
    item = claim_item(registry, start(registry), ADA)
    assert item
    settings = find_settings(greeting.path, os.environ)
    for bad in ({"note": "x" * 10_001}, {"codes": ("y" * 61,)}, {"codes": tuple(map(str, range(21)))}):
        with pytest.raises(Invalid):
            label_item(registry, item.id, a_label(**bad), settings.log)  # type: ignore[arg-type]
    said = a_label(passed=False, note="ask ada@example.org \x00 \ud83d", answer="Dear ada@example.org")
    label_item(registry, item.id, said, settings.log)
    (label,) = read_review_labels(registry, "greet")
    assert "ada@" not in label.label.note + label.label.answer


def test_erasing_texts_erases_what_reviewers_wrote(registry: RegistryDatabase) -> None:
    from promptops.registry import erase_old_texts

    log(registry, 1)
    item = claim_item(registry, start(registry), ADA)
    assert item
    add_label(
        registry, item.id, a_label(passed=False, note="she said so", answer="Dear Ada", codes=("rude",))
    )
    erase_old_texts(registry, "2999-01-01T00:00:00.000Z", inputs=False)
    (label,) = read_review_labels(registry, "greet")
    assert (label.label.note, label.label.answer, label.label.codes) == ("", "", ("rude",))


def test_pruned_runs_leave_no_items(registry: RegistryDatabase) -> None:
    log(registry, 2)
    queue = start(registry)
    item = claim_item(registry, queue, ADA)
    assert item
    assert prune_runs(registry, before="9999").runs == 2
    with pytest.raises(NotFound, match="its run was pruned"):
        add_label(registry, item.id, a_label())
    assert claim_item(registry, queue, ADA) is None


def test_what_cannot_be_reviewed_is_refused(registry: RegistryDatabase, cli: Cli, greeting: Repo) -> None:
    assert cli("review", "start", "greet").code == 4
    log(registry, 1)
    for wrong in (["greet@HEAD"], ["greet", "--sample", "0"], ["other"], ["greet:production"]):
        assert cli("review", "start", *wrong).code == 4, wrong
    greeting.write("promptops.yaml", "log: {outputs: hash}\n")
    done = cli("review", "start", "greet")
    assert (done.code, "answers that are not kept" in done.err) == (4, True)
    assert "promptops review start" in cli("review", "status").err
    assert "promptops review start" in cli("review", "codes", "greet").err


@pytest.mark.slow
def test_two_reviewers_on_200_items_who_are_killed(registry: RegistryDatabase, greeting: Repo) -> None:
    """No item is labelled twice, and no label that was acknowledged is lost."""
    log(registry, 200)
    queue = start(registry, sample=200)
    acknowledged: list[int] = []
    left = 200
    while left:
        pipes = []
        for who in (ADA, GRACE):
            reading, writing = os.pipe()
            child = os.fork()
            if not child:
                _review_until_killed(greeting.path, queue, who, writing)
            os.close(writing)
            pipes.append((child, reading))
        for number, (child, reading) in enumerate(pipes):
            lines = b""
            while lines.count(b"\n") < 15 + number and (part := os.read(reading, 64)):
                lines += part
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            while part := os.read(reading, 4096):
                lines += part
            os.close(reading)
            acknowledged += [int(line) for line in lines.split(b"\n")[: lines.count(b"\n")]]
        with registry.write() as connection:  # leases of the dead end
            connection.execute("UPDATE review_items SET leased_until = '2000-01-01T00:00:00.000Z'")
        left = get_queue(registry, queue).left
    assert len(acknowledged) == len(set(acknowledged))
    rows = registry.read("SELECT item, count(*) AS labels FROM review_labels GROUP BY item")
    assert {row["item"] for row in rows} >= set(acknowledged)
    assert {row["labels"] for row in rows} == {1}
    assert len(rows) == 200


def _review_until_killed(folder: Path, queue: int, who: str, writing: int) -> None:
    settings = find_settings(folder, os.environ)
    with RegistryDatabase.open(settings.registry) as registry:
        while item := claim_item(registry, queue, who):
            label_item(registry, item.id, a_label(reviewer=who), settings.log)
            os.write(writing, b"%d\n" % item.id)
    os._exit(0)


def test_labels_show_in_the_log(registry: RegistryDatabase) -> None:
    (run,) = log(registry, 1)
    item = claim_item(registry, start(registry), ADA)
    assert item
    add_label(registry, item.id, a_label(passed=False, note="rude"))
    (found,) = list_runs(registry, RunFilter(prompt="greet"), limit=5)
    assert found["run_id"] == run
    said = found["outcomes"][-1]
    assert (said["source"], said["name"], said["value"], said["text"]) == (
        "person",
        "review.pass",
        0.0,
        "rude",
    )


def test_a_check_is_drafted_of_a_code(registry: RegistryDatabase, cli: Cli, greeting: Repo) -> None:
    log(registry, 2)
    queue = start(registry)
    for note in ("it says {{ hey }} {% if %} {# x", "no name"):
        item = claim_item(registry, queue, ADA)
        assert item
        add_label(registry, item.id, a_label(passed=False, codes=("Too curt!",), note=note))
    greeting.write(
        "prompts/greet.rubric.yaml", "questions: [a]\ncodes: {Too curt!: no name or no greeting}\n"
    )
    digest = json.loads(cli("show", "greet", "--json").out)["digest"]
    before = (greeting.path / "prompts/greet.yaml").read_text()
    shown = cli("review", "check", "greet", "--code", "Too curt!")
    assert shown.code == 0, shown.err
    assert "+++ b/prompts/judges/greet-too-curt.yaml" in shown.out
    assert "+  - {judge: judges/greet-too-curt, name: no-too-curt, threshold: 1}" in shown.out
    assert "no name or no greeting" in shown.out
    assert (greeting.path / "prompts/greet.yaml").read_text() == before
    assert cli("review", "check", "greet", "--code", "Too curt!", "--write").out == shown.out
    assert json.loads(cli("show", "greet", "--json").out)["digest"] == digest
    assert cli("lint", "greet", "judges/greet-too-curt").code == 0
    again = cli("review", "check", "greet", "--code", "Too curt!", "--write")
    assert (again.code, "already" in again.err) == (4, True)
    assert cli("review", "check", "greet", "--code", "other").code == 4
