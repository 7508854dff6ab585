"""A canary like stable that was falsely rolled back is tried again, on the same users."""

import random
from collections.abc import Sequence

from promptops.release.assignment import bucket, salt_of
from promptops.stats.eprocess import Hypothesis
from promptops.stats.two_arm import TwoArmTest

_USERS = 600
_FAILING = 0.1  # calls, of all users together
_KEPT = 0.95  # users whose outcome is always the same; those of the others are drawn for each call
_FIRST_ALPHA, _ALPHA = 0.1, 0.05  # so that there are enough first false rollbacks to be followed


def rolled_back_again(seed: int, new_salt: bool) -> int | None:
    """1 where a second rollback follows a first, 0 where none does; None without a first."""
    draw = random.Random(seed)
    always = [draw.random() < _FAILING if draw.random() < _KEPT else None for _ in range(_USERS)]
    if not _rolled_back(draw, seed, always, 1, _FIRST_ALPHA):
        return None
    return int(_rolled_back(draw, seed, always, 2 if new_salt else 1, _ALPHA))


def _rolled_back(
    draw: random.Random, seed: int, always: Sequence[bool | None], attempt: int, alpha: float
) -> bool:
    salt = salt_of("support/triage", "production", "90be" * 16, attempt)
    test = TwoArmTest(Hypothesis.WORSE, 0.0)
    users = list(range(_USERS))
    draw.shuffle(users)
    test.update_all(
        (bucket(salt, f"{seed}/{user}") < 5000, 0.5, float(_fails(draw, always[user]))) for user in users
    )
    return test.rejects(alpha)


def _fails(draw: random.Random, always: bool | None) -> bool:
    return draw.random() < _FAILING if always is None else always
