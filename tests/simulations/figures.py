"""Many rollouts, and a line that shows what was measured beside what is to be reached.

``PROMPTOPS_REPETITIONS`` is how many play where nothing else is said: 400, or as many as one likes by hand.
"""

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
    """The rollout's outcome for the seeds 1, 2, ..., in this order; on all free processors."""
    seeds = range(1, repetitions + 1)
    if "PYTEST_XDIST_WORKER" in os.environ:
        return [rollout(seed, *arguments) for seed in seeds]
    with multiprocessing.get_context("spawn").Pool(min(2, os.cpu_count() or 1)) as pool:
        return pool.map(Play(rollout, arguments), seeds, chunksize=max(1, repetitions // 16))


def rate(found: Sequence[int | None]) -> float:
    """The share of rollouts that came to a decision."""
    return sum(each is not None for each in found) / len(found)


def held(
    show: Show, what: str, found: Sequence[int | None], nominal: float = 0.05, beside: str = ""
) -> float:
    """Show an error rate with its standard error, and hold it to the bound."""
    measured, count = rate(found), len(found)
    error = math.sqrt(measured * (1 - measured) / count)
    show(what, f"{measured:.1%} ± {error:.1%} of {count:,}", f"<= {100 * nominal:g} % {beside}".rstrip())
    assert measured <= allowed(nominal, count)
    return measured


def quantile(found: Sequence[int | None], share: float) -> float:
    """Infinite where so many rollouts never came to a decision."""
    ordered = sorted(math.inf if each is None else each for each in found)
    return ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)]


def allowed(nominal: float, repetitions: int = REPETITIONS) -> float:
    """An error rate plus two standard errors of its measurement."""
    return nominal + 2 * math.sqrt(nominal * (1 - nominal) / repetitions)
