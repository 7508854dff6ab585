"""Calls of ``greet:production`` that are logged without a model, on the arms that the channel has now."""

import random
import time
from collections.abc import Callable
from typing import Any

from promptops.config.clock import utc_text
from promptops.registry import RegistryDatabase
from support.front_door import Repo
from support.greet_traffic import channel_state
from support.logged_runs import a_failure, a_run, an_end, check

Answer = Callable[[random.Random, bool], dict[str, Any]]  # a draw; whether it is the canary's


def log_calls(
    repo: Repo, count: int, answer: Answer, *, seed: int = 1, start: float | None = None, apart: float = 0.001
) -> None:
    """Before a canary they end now; beside one they begin now, or at ``start``, so many seconds apart.

    ``answer``: fields of the end, and ``tag``, ``passed`` and ``error``.
    """
    draw, state = random.Random(seed), channel_state()
    rollout, now = state.rollout, time.time()
    first = start if start is not None else now if rollout else now - apart * count
    log = []
    for number in range(count):
        canary = rollout is not None and draw.random() * 10_000 < rollout.weight_bp
        said, at = answer(draw, canary), utc_text(first + number * apart)
        tag, passed, error = (said.pop(name, None) for name in ("tag", "passed", "error"))
        run = a_run(
            started_at=at,
            prompt="greet",
            channel="production",
            digest=(rollout.canary if canary else state.stable).digest,
            metadata={"tags": [tag]} if tag else {},
            unit_hash=f"{seed}.{first}.{number}".rjust(64, "0"),
            unit_key_id="k" * 12,
            **(
                {"rollout": rollout.id, "arm": ("stable", "canary")[canary], "weight_bp": rollout.weight_bp}
                if rollout
                else {}
            ),
        )
        checks = () if passed is None else (check("max_words", passed=passed),)
        log.append((run, (a_failure if error else an_end)(finished_at=at, checks=checks, **said)))
    with RegistryDatabase.open(repo.registry) as registry:
        registry.record(log)
