"""Many rollouts on all processors, and a line that shows what was measured beside what is to be reached."""

import math
import multiprocessing
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from simulations.worlds import Rollout

REPETITIONS = int(os.environ.get("PROMPTOPS_REPETITIONS", "400"))
Show = Callable[[str, str, str], None]


@dataclass(frozen=True)
class Play:
    rollout: Rollout
    arguments: tuple[Any, ...]

    def __call__(self, seed: int) -> int | None:
        return self.rollout(seed, *self.arguments)


def play(rollout: Rollout, *arguments: Any, repetitions: int = REPETITIONS) -> list[int | None]:
    """The rollout's outcome for the seeds 1, 2, ..., in this order."""
    seeds = range(1, repetitions + 1)
    with multiprocessing.get_context("spawn").Pool(min(2, os.cpu_count() or 1)) as pool:
        return pool.map(Play(rollout, arguments), seeds, chunksize=max(1, repetitions // 16))


def rate(found: Sequence[int | None]) -> float:
    """The share of rollouts that came to a decision."""
    return sum(each is not None for each in found) / len(found)


def quantile(found: Sequence[int | None], share: float) -> float:
    """Infinite where so many rollouts never came to a decision."""
    ordered = sorted(math.inf if each is None else each for each in found)
    return ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)]


def allowed(nominal: float, repetitions: int = REPETITIONS) -> float:
    """An error rate plus two standard errors of its measurement."""
    return nominal + 2 * math.sqrt(nominal * (1 - nominal) / repetitions)
