"""When what was released: the marks of plots over time."""

from promptops.config.settings import Settings
from promptops.release.context import ReleaseContext, open_optional_registry, open_release_context
from promptops.release.status import timeline_event
from promptops.release.transitions import Move

_SHOWN = frozenset({Move.RELEASE, Move.START, Move.ADVANCE, Move.PROMOTE, Move.ROLLBACK, Move.ABORT})
"""The moves that change what callers are served."""


def read_releases(settings: Settings, prompt: str) -> list[tuple[str, str]]:
    """Moment and what was done, oldest first. Raises what reading the state branch does."""
    with open_release_context(settings, registry=open_optional_registry) as context:
        return list_releases(context, prompt)


def list_releases(context: ReleaseContext, prompt: str | None = None) -> list[tuple[str, str]]:
    records = reversed(context.ledger.log(prompt))
    return [
        (record.at, f"{record.channel}: {timeline_event(record).text}")
        for record in records
        if record.transition.move in _SHOWN
    ]
