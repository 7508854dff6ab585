"""``promptops shadow show``: one shadow run, with what broke and what was fixed."""

from typing import Annotated

import typer

from promptops.commands.options import JsonOption
from promptops.commands.shadow_lives import live_on
from promptops.commands.shadow_telling import Format, FormatOption, OutOption, tell
from promptops.registry.shadows import shadow_row, shadow_rows
from promptops.registry.store import Registry
from promptops.settings import here
from promptops.shadow.live import live_comparison
from promptops.shadow.reading import comparison_of

IdArgument = Annotated[
    str,
    typer.Argument(
        metavar="SHADOW",
        help="The id of a shadow run or its start; NAME: its latest; NAME:CHANNEL: what shadows it.",
    ),
]


def shadow_show(
    which: IdArgument, form: FormatOption = Format.text, as_json: JsonOption = False, out: OutOption = None
) -> None:
    """Show what a shadow run has found, from the runs that it logged."""
    settings = here()
    with Registry.open_existing(settings.registry) as registry:
        if ":" in which:
            tell(
                [live_comparison(registry, live_on(settings, which))], "json" if as_json else form.value, out
            )
            return
        latest = shadow_rows(registry, which, limit=1)
        found = comparison_of(registry, latest[0] if latest else shadow_row(registry, which))
    tell([found], "json" if as_json else form.value, out)
