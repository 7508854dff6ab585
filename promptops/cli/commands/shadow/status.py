"""``promptops shadow status``: how far each prompt's latest shadow run is, and what it says."""

import textwrap
from typing import Annotated, Any

import typer

from promptops.cli.live_shadows import find_live_shadows, print_live_shadow
from promptops.cli.options.common import JsonOption
from promptops.config.settings import current_settings
from promptops.console import note, print_json, print_text
from promptops.evaluation.shadow.live_status import live_status
from promptops.evaluation.shadow.stored import stored_summary
from promptops.registry import RegistryDatabase, StoredShadowRun, list_shadow_runs

NameArgument = Annotated[str | None, typer.Argument(metavar="NAME", help="Of this prompt; may hold *.")]
_LATEST = 200
_WIDTH = 80


def shadow_status(name: NameArgument = None, as_json: JsonOption = False) -> None:
    """Say what the shadows of channels have shown, and how far each prompt's latest shadow run is."""
    settings = current_settings()
    with RegistryDatabase.open_existing(settings.registry) as registry:
        latest: dict[str, StoredShadowRun] = {}
        for row in list_shadow_runs(registry, name, limit=_LATEST):
            latest.setdefault(row.prompt, row)
        runs = [_entry(registry, row) for row in latest.values()]
        shadows = [live_status(registry, each) for each in find_live_shadows(settings, name)]
    if as_json:
        print_json([*shadows, *runs])
        return
    for each in shadows:
        print_live_shadow(each)
    if not runs and not shadows:
        note("no shadow runs yet; `promptops shadow run NAME@REV` makes one")
    for each in runs:
        print_text(f"{each['prompt']}: {each['pairs']:,} of {each['planned']:,} pairs, {each['ended']}")
        for line in textwrap.wrap(each["sentence"], _WIDTH, initial_indent="  ", subsequent_indent="  "):
            print_text(line)
        if not each["finished"]:
            print_text("  the same command goes on from here")


def _entry(registry: RegistryDatabase, row: StoredShadowRun) -> dict[str, Any]:
    summary = stored_summary(registry, row)
    ended = "under way or killed" if summary["stopped"] is None else f"stopped by {summary['stopped']}"
    ended = "all answered" if summary["stopped"] == "all" else ended
    return {
        "prompt": row.prompt,
        "shadow_id": row.shadow_id,
        "finished": row.finished_at is not None,
        **summary,
        "ended": ended,
    }
