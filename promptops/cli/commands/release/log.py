"""``promptops release log``: what was released when, by whom and why."""

from typing import Annotated, Any

import typer

from promptops.cli.options.common import JsonOption
from promptops.cli.options.flags import limit_option
from promptops.cli.options.release import project_release_context
from promptops.console import note, print_json, print_table
from promptops.release.context import open_optional_registry, require_prompt
from promptops.release.ledger.transition_log import TransitionRecord
from promptops.release.status import timeline_event
from promptops.versions.references import parse_reference

_TO_THE_MINUTE = len("2026-11-02T09:14")
NameArgument = Annotated[
    str | None, typer.Argument(metavar="NAME[:CHANNEL]", help="Without one: all.", show_default=False)
]
LimitOption = Annotated[int, limit_option("At most so many.")]


def release_log(name: NameArgument = None, limit: LimitOption = 50, as_json: JsonOption = False) -> None:
    """List what was released when, by whom and why, newest first."""
    with project_release_context(registry=open_optional_registry) as context:
        reference = parse_reference(name, context.settings) if name else None
        if reference:
            require_prompt(context, reference.name)
        prompt, channel = (reference.name, reference.channel) if reference else (None, None)
        records = context.ledger.log(prompt, channel)[:limit]
    if as_json:
        print_json([_content(record) for record in records])
    elif not records:
        note("nothing is released yet")
    else:
        where = "CHANNEL" if prompt else "WHERE"
        rows = [_row(record, prompt, channel) for record in records]
        print_table(("AT (UTC)", where, "WHAT", "BY", "WHY"), rows)


def _row(record: TransitionRecord, prompt: str | None, channel: str | None) -> tuple[Any, ...]:
    """``prompt``, ``channel``: that were asked for, and need not be told again."""
    event = timeline_event(record)
    by = event.actor.partition(" <")[0] or None
    where = record.channel if prompt else f"{record.prompt}:{record.channel}"
    at = record.at[:_TO_THE_MINUTE].replace("T", " ")
    return at, None if channel else where, event.text, by, event.reason or None


def _content(record: TransitionRecord) -> dict[str, Any]:
    done, rollout = record.transition, record.transition.rollout
    return {
        "at": record.at,
        "prompt": record.prompt,
        "channel": record.channel,
        "generation": record.generation,
        "move": str(done.move),
        "subject": record.subject,
        "rollout": rollout.id if rollout else None,
        "verdict": str(done.verdict) or None,
        "forced": done.forced,
        "skipped": list(done.skipped),
        "authors": list(done.authors),
        "actor": done.actor or None,
        "reason": done.reason or None,
        "evidence": record.evidence,
    }
