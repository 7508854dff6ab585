"""Shadow runs with many pairs in flight whose failures are slow, through the registry that a tick reads."""

import heapq
import random
from collections.abc import Callable

from promptops.config.clock import utc_text
from promptops.registry import (
    FinishedRun,
    RegistryDatabase,
    StartedRun,
    begin_shadow_run,
    record_counted_pairs,
    shadow_losses,
)
from promptops.stats.sequential_pairs import SequentialPairedTest
from support.logged_runs import DIGEST, OTHER_DIGEST, a_run, an_end, check

START = 1_780_000_000.0  # seconds since the epoch
PROMPT = "support/triage"
PAIRS, _LOOKS = 600, 6
_THROUGH_REGISTRY = 8  # every so many
_FAILING, _SLOW = 0.05, 10.0  # a failed answer takes ten times as long
Losses = list[tuple[bool, bool]]  # of control and candidate


def not_worse_at_the_margin(seed: int, margin: float, in_flight: int, as_it_ends: bool) -> int | None:
    """1 where a candidate that fails more often by the margin is ever shown to be not worse, else None.

    ``as_it_ends``: of the pairs in the order in which they end, as nothing should read them.
    """
    draw = random.Random(seed).random
    losses = [(draw() < _FAILING, draw() < _FAILING + margin) for _ in range(PAIRS)]
    ended = _ends(draw, losses, in_flight)
    if as_it_ends:
        return _shown([float(losses[at][1]) - losses[at][0] for at in ended], margin)
    whole = [float(after) - before for before, after in losses]
    if seed % _THROUGH_REGISTRY == 0:  # what is read is a beginning of the whole: looks see nothing else
        seen = _looks(losses, ended)
        assert all(each == whole[: len(each)] for each in seen)
        assert len(seen[-1]) == PAIRS
    return _shown(whole, margin)


def _looks(losses: Losses, ended: list[int]) -> list[list[float]]:
    """What is read of the run each time that a part of its pairs has ended."""
    seen, done = [], set[int]()
    with RegistryDatabase.in_memory() as registry:
        about = {"shadow": 1, "control": {"digest": DIGEST}, "recorded": False, "aa": False, "counted": 0}
        shadow = begin_shadow_run(registry, "k", PROMPT, OTHER_DIGEST, f"{PROMPT}@HEAD", about, PAIRS)
        for look in range(_LOOKS):
            some = ended[look * PAIRS // _LOOKS : (look + 1) * PAIRS // _LOOKS]
            registry.record([_row(shadow, at, arm, failed=losses[at][arm]) for at in some for arm in (0, 1)])
            done.update(some)
            record_counted_pairs(registry, shadow, next(n for n in range(PAIRS + 1) if n not in done))
            found = shadow_losses(registry, PROMPT, OTHER_DIGEST, DIGEST)
            seen.append([after - before for _, before, _, after in found])
    return seen


def _ends(draw: Callable[[], float], losses: Losses, in_flight: int) -> list[int]:
    """The numbers of the pairs in the order in which they end."""
    under_way: list[tuple[float, int]] = []
    order, now = [], 0.0
    for number, sides in enumerate(losses):
        if len(under_way) == in_flight:
            now, first = heapq.heappop(under_way)
            order.append(first)
        took = sum((_SLOW if failed else 1.0) * (0.5 + draw()) for failed in sides)
        heapq.heappush(under_way, (now + took, number))
    return order + [number for _, number in sorted(under_way)]


def _row(shadow: str, number: int, arm: int, *, failed: bool) -> tuple[StartedRun, FinishedRun]:
    run = a_run(
        started_at=utc_text(START + number),
        kind="shadow",
        digest=(DIGEST, OTHER_DIGEST)[arm],
        batch_id=shadow,
        batch_line=number + 1,
        arm=("control", "candidate")[arm],
    )
    return run, an_end(finished_at=utc_text(START + number), checks=(check(passed=not failed),))


def _shown(losses: list[float], margin: float) -> int | None:
    test = SequentialPairedTest(margin)
    for loss in losses:
        test.not_worse.update(loss)
    return 1 if test.within_margin else None
