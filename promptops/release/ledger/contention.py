"""What to do where others move the branch at the same time."""

import random
import time

from promptops.errors import Unavailable
from promptops.git.repo import STATE_BRANCH
from promptops.release.ledger.branch import StateBranch

MAX_ATTEMPTS = 5
_PAUSE_S = 0.2


def back_off(attempt: int) -> None:
    """Wait a moment, longer with each attempt."""
    time.sleep(_PAUSE_S * (attempt + 1) * random.random())  # noqa: S311 - so that two do not meet again


def contention_error(branch: StateBranch) -> Unavailable:
    where = f"of {branch.remote}" if branch.online else "here"
    return Unavailable(f"others keep moving {STATE_BRANCH} {where}", hint="try again in a moment")
