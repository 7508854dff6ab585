"""``promptops release show``: what was live at a moment."""

import time
from dataclasses import asdict
from typing import Annotated

import typer

from promptops.cli.options.common import JsonOption
from promptops.cli.options.release import TargetArgument, project_release_context
from promptops.config.clock import format_timestamp
from promptops.console import print_json, print_text
from promptops.errors import NotFound
from promptops.registry import parse_time
from promptops.release.context import Target, open_optional_registry, resolve_target
from promptops.release.timestamps import parse_timestamp
from promptops.versions.release_state import ChannelState, ReleasedVersion

AtOption = Annotated[
    str | None,
    typer.Option("--at", metavar="TIME", help="90m, 12h, 7d ago, or a date or time (UTC); else now."),
]


def release_show(name: TargetArgument, at: AtOption = None, as_json: JsonOption = False) -> None:
    """Show what a channel served at a moment, to whom, and since when."""
    moment = parse_timestamp(parse_time(at, "--at")) if at else time.time()
    with project_release_context(registry=open_optional_registry) as context:
        target = resolve_target(context, name)
        state = context.ledger.at(target.prompt, target.channel, moment)
    if state is None or state.stable is None:
        raise NotFound(
            f"{target} served nothing at {format_timestamp(moment)}",
            hint=f"promptops release log {target} lists its moves",
        )
    if as_json:
        print_json(
            {
                "prompt": target.prompt,
                "channel": target.channel,
                "at": format_timestamp(moment),
                **asdict(state),
            }
        )
    else:
        _print_state(target, state, state.stable, moment)


def _print_state(target: Target, state: ChannelState, stable: ReleasedVersion, moment: float) -> None:
    since = f" since {stable.since}" if stable.since else ""
    print_text(f"{target} at {format_timestamp(moment)}: {_released_label(target, stable)}{since}")
    if rollout := state.rollout:
        share = f"{rollout.weight_bp / 100:g}% of units"
        print_text(
            f"  canary {_released_label(target, rollout.canary)} met {share} ({rollout.phase}, {rollout.id})"
        )
    if state.previous:
        print_text(f"  before: {_released_label(target, state.previous)}")


def _released_label(target: Target, released: ReleasedVersion) -> str:
    commit = f", commit {released.commit[:12]}" if released.commit else ""
    return f"{target.prompt}@{released.version} (sha256:{released.digest[:12]}{commit})"
