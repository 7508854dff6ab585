"""The pairs that a shadow gate reads: in the order of the inputs, each once both sides have ended."""

import heapq
import random

import pytest

from promptops.config.clock import utc_now
from promptops.registry import RegistryDatabase, begin_shadow_run, record_counted_pairs, shadow_losses
from promptops.stats.eprocess import Hypothesis, paired_test
from support.logged_runs import DIGEST, OTHER_DIGEST

CONTROL, CANDIDATE = DIGEST, OTHER_DIGEST
INSERT = (
    "INSERT INTO runs (run_id, writer_id, writer_counter, kind, state, started_at, prompt, digest, "
    "reference, source, dirty, request_model, messages_hash, trial, batch_id, batch_line, arm, error_type, "
    "checks_failed) "
    "VALUES (?, 'w', ?, 'shadow', ?, ?, ?, '', '', '', 0, 'm', '', 0, ?, ?, ?, ?, ?)"
)
Row = tuple[int, str, bool]  # line, arm, failed


def begin(registry: RegistryDatabase, prompt: str = "p", pairs: int = 0) -> str:
    about = {"shadow": 1, "control": {"digest": CONTROL}, "recorded": False, "aa": False}
    return begin_shadow_run(registry, "key", prompt, CANDIDATE, prompt, about, pairs)


def log(
    registry: RegistryDatabase,
    shadow_id: str,
    rows: list[Row],
    prompt: str = "p",
    *,
    state: str = "finished",
    error: str | None = None,
) -> None:
    now = utc_now()
    with registry.write() as connection:
        first = connection.execute("SELECT count(*) FROM runs").fetchone()[0]
        connection.executemany(
            INSERT,
            [
                (f"{first + at}", first + at, state, now, prompt, shadow_id, line, arm, error, int(failed))
                for at, (line, arm, failed) in enumerate(rows)
            ],
        )


def losses(registry: RegistryDatabase, prompt: str = "p") -> list[float]:
    return [after - before for _, before, _, after in shadow_losses(registry, prompt, CANDIDATE, CONTROL)]


def completed(draw: random.Random, in_flight: int, pairs: int) -> list[tuple[Row, Row]]:
    """Both rows of each pair as its second side ends: a failure takes ten times as long."""
    under_way: list[tuple[float, tuple[Row, Row]]] = []
    order: list[tuple[Row, Row]] = []
    now = 0.0
    for line in range(1, pairs + 1):
        if len(under_way) == in_flight:
            now, ended = heapq.heappop(under_way)
            order.append(ended)
        failed = draw.random() < 0.01, draw.random() < 0.04
        seconds = sum(draw.expovariate(0.1 if each else 1.0) for each in failed)
        heapq.heappush(
            under_way, (now + seconds, ((line, "control", failed[0]), (line, "candidate", failed[1])))
        )
    return order + [ended for _, ended in sorted(under_way)]


def says_not_worse(values: list[float], margin: float) -> bool:
    """Whether it is ever said, looked at after every pair."""
    test = paired_test(Hypothesis.NOT_WORSE, margin)
    for value in values:
        test.update(value)
        if test.rejects(0.05):
            return True
    return False


@pytest.mark.thorough
def test_slow_failures_do_not_make_a_version_look_better(registry: RegistryDatabase) -> None:
    """At the margin: by the order in which pairs end 40 % of such runs say "not worse"."""
    draw = random.Random(64)
    repetitions, false = 60, 0
    for number in range(repetitions):
        prompt = f"p{number}"
        shadow_id = begin(registry, prompt)
        log(registry, shadow_id, [row for pair in completed(draw, 64, 600) for row in pair], prompt)
        record_counted_pairs(registry, shadow_id, 600)
        false += says_not_worse(losses(registry, prompt), 0.03)
    assert false <= 6  # 5 % of them, and two standard errors


def test_what_is_read_on_the_way_is_the_start_of_what_is_read_in_the_end(registry: RegistryDatabase) -> None:
    draw = random.Random(5)
    shadow_id = begin(registry)
    ended: set[int] = set()
    counted, looks = 0, []
    record_counted_pairs(registry, shadow_id, 0)
    for pair in completed(draw, 16, 120):
        for row in pair:  # the first side is on disk while the second is asked
            log(registry, shadow_id, [row])
            looks.append(losses(registry))
        ended.add(pair[0][0])
        while counted + 1 in ended:
            counted += 1
        record_counted_pairs(registry, shadow_id, counted)
    whole = losses(registry)
    assert len(whole) == 120
    assert any(looks)
    assert all(look == whole[: len(look)] for look in looks)


def test_a_side_that_has_only_started_agrees_with_nothing(registry: RegistryDatabase) -> None:
    shadow_id = begin(registry)
    log(registry, shadow_id, [(1, "control", False), (1, "candidate", True), (2, "control", False)])
    log(registry, shadow_id, [(2, "candidate", False)], state="started")
    log(registry, shadow_id, [(3, "control", False), (3, "candidate", False)])
    assert losses(registry) == [1.0]  # of a run that notes nothing, up to the first pair that is not complete
    record_counted_pairs(registry, shadow_id, 1)
    assert losses(registry) == [1.0]


def test_of_an_earlier_release_an_input_without_any_row_may_be_under_way(registry: RegistryDatabase) -> None:
    """Rows were written when a side had ended: what follows a gap may be there for being fast."""
    shadow_id = begin(registry)
    log(registry, shadow_id, [(1, "control", False), (1, "candidate", True)])
    log(registry, shadow_id, [(3, "control", False), (3, "candidate", False)])
    assert losses(registry) == [1.0]
    log(registry, shadow_id, [(2, "control", True), (2, "candidate", False)])
    assert losses(registry) == [1.0, -1.0, 0.0]


def test_pairs_that_were_pruned_meanwhile_are_left_out(registry: RegistryDatabase) -> None:
    shadow_id = begin(registry)
    log(registry, shadow_id, [(1, "candidate", False), (2, "control", True), (2, "candidate", False)])
    record_counted_pairs(registry, shadow_id, 2)
    assert losses(registry) == [-1.0]


def test_a_side_that_was_asked_again_counts_once(registry: RegistryDatabase) -> None:
    shadow_id = begin(registry)
    log(registry, shadow_id, [(1, "control", False)])
    log(registry, shadow_id, [(1, "candidate", False)], error="timeout")
    record_counted_pairs(registry, shadow_id, 1)
    assert [error for *_, error, _ in shadow_losses(registry, "p", CANDIDATE, CONTROL)] == ["timeout"]
    log(registry, shadow_id, [(1, "candidate", True)], state="started")
    assert losses(registry) == [1.0]  # the answer of before, until the next has ended
    log(registry, shadow_id, [(1, "candidate", False)])
    assert losses(registry) == [0.0]
