"""Channels with a shadow, as the verbs find and tell them."""

import textwrap
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

from promptops.config.settings import Settings
from promptops.console import print_text
from promptops.errors import NotFound
from promptops.evaluation.shadow.live_status import LiveShadow, live_shadows
from promptops.git.repo import GitRepo
from promptops.reports.numbers import pluralize
from promptops.versions.trusted_releases import trusted_releases

_WIDTH = 80


def find_live_shadows(settings: Settings, name: str | None = None) -> list[LiveShadow]:
    """Those of the prompts that ``name`` stands for; it may hold wildcards."""
    if settings.git_dir is None:
        return []
    with GitRepo(settings) as repo:
        trusted = trusted_releases(repo)
        states = trusted.releases() if trusted else {}
    chosen = [state for state in states.values() if fnmatchcase(state.prompt, name or "*")]
    return [each for state in chosen for each in live_shadows(state)]


def live_shadow_on(settings: Settings, channel: str) -> LiveShadow:
    """The shadow of NAME:CHANNEL."""
    for each in find_live_shadows(settings):
        if each.channel == channel:
            return each
    raise NotFound(
        f"{channel} has no shadow",
        hint=f"promptops shadow on {channel} --version REV --sample 0.1 --max-usd 1",
    )


def print_live_shadow(status: Mapping[str, Any]) -> None:
    share, most = status["sample_bp"] / 100, status["max_usd"]
    channel = f"{status['prompt']}:{status['channel']}"
    print_text(f"{channel}: {status['candidate']} in the shadow of {share:g} % of calls")
    counts = [pluralize(status["pairs"], "pair")]
    counts += [f"{status['waiting']:,} waiting"] if status["waiting"] else []
    counts += [f"{jobs:,} {why}" for why, jobs in status["left_out"].items()]
    budget = f" of ${most:g}" if most is not None else ""
    print_text(f"  {', '.join(counts)}; ${status['spent_usd']:.4f}{budget} spent")
    for line in textwrap.wrap(status["sentence"], _WIDTH, initial_indent="  ", subsequent_indent="  "):
        print_text(line)
    if status["waiting"]:
        print_text("  promptops shadow drain --wait answers what waits, and says what keeps it from it")
