"""Calls of a canary of ``greet``, logged without a model, and ticks that say what they did."""

import json
import time
from pathlib import Path
from typing import Any

from promptops.config.clock import utc_text
from promptops.config.settings import current_settings
from promptops.registry import FinishedRun, RegistryDatabase
from promptops.release.context import Target, open_release_context
from promptops.release.reconcile import TickResult
from promptops.release.reconcile import tick_channel as tick_
from support.front_door import Cli, Repo
from support.logged_runs import a_failure, a_run, an_end

TARGET = Target(prompt="greet", channel="production")
DAY = 86_400.0


def traffic(
    repo: Repo,
    count: int,
    *,
    failing: bool = False,
    at: float | None = None,
    registry: Path | None = None,
    prompt: str = "greet",
    alone: bool = False,
) -> None:
    """Calls while a canary is active; its share is its own, and those fail where ``failing``.

    ``alone``: all calls are the canary's, whatever its weight.
    """
    now = time.time() if at is None else at
    state = channel_state(prompt)
    numbers = [0] * count if alone else range(count)
    log = [logged(state, n, at=now + n / 1000, failing=failing, prompt=prompt) for n in numbers]
    with RegistryDatabase.open(registry or repo.registry) as opened:
        opened.record(log)


def channel_state(prompt: str = "greet") -> Any:
    with open_release_context(current_settings(), now=time.time(), local=True) as context:
        return context.channel(Target(prompt=prompt, channel="production"))


def logged(
    state: Any, number: int, *, at: float, failing: bool = False, prompt: str = "greet"
) -> tuple[Any, FinishedRun]:
    canary = number * state.rollout.weight_bp % 10_000 < state.rollout.weight_bp
    served = state.rollout.canary if canary else state.stable
    run = a_run(
        started_at=utc_text(at),
        prompt=prompt,
        reference=f"{prompt}:production",
        channel="production",
        rollout=state.rollout.id,
        arm="canary" if canary else "stable",
        weight_bp=state.rollout.weight_bp,
        digest=served.digest,
        version=served.version,
        unit_hash=f"{at:.6f}".rjust(64, "0"),  # calls of two batches may be of one millisecond
        unit_key_id="k" * 12,
    )
    return run, (a_failure if failing and canary else an_end)(finished_at=utc_text(at + 0.1))


def ticked(cli: Cli, *more: str) -> Any:
    """What a tick says of ``greet``, with its code; a tick prints one line for each canary."""
    done = cli("tick", "greet", "--json", *more)
    found = json.loads(done.out)
    assert found["code"] == done.code, done.err
    return found


def tick_at(now: float) -> TickResult:
    with open_release_context(current_settings(), now=now, local=True) as context:
        return tick_(context, TARGET)
