"""``promptops shadow list``: the latest shadow runs."""

from typing import Annotated, Any

import typer

from promptops.cli.options.common import JsonOption
from promptops.cli.options.run_filters import LimitOption
from promptops.cli.reports.run_tables import age
from promptops.config.settings import here
from promptops.console import note, print_json, print_table
from promptops.evaluation.shadow.stored import summary_of
from promptops.registry.shadow.runs import ShadowRow, shadow_rows, short_shadow_ids
from promptops.registry.store import Registry

NameArgument = Annotated[str | None, typer.Argument(metavar="NAME", help="Of this prompt; may hold *.")]


def shadow_list(name: NameArgument = None, limit: LimitOption = 20, as_json: JsonOption = False) -> None:
    """List shadow runs with their verdicts, newest first."""
    with Registry.open_existing(here().registry) as registry:
        found = [_entry(registry, row) for row in shadow_rows(registry, name, limit=limit)]
        ids = short_shadow_ids(registry, [each["shadow_id"] for each in found])
    if as_json:
        print_json(found)
    elif not found:
        note("no shadow runs yet; `promptops shadow run NAME@REV` makes one")
    else:
        rows = [
            (ids[each["shadow_id"]], age(each["started_at"]), each["candidate"], each["verdict"],
             each["pairs"], each["stopped"] or "under way", f"${each['spent_usd']:.4f}")
            for each in found
        ]  # fmt: skip
        print_table(
            ("SHADOW", "AGE", "CANDIDATE", "VERDICT", "PAIRS", "ENDED BY", "SPENT"), rows, numeric=(1, 4, 6)
        )


def _entry(registry: Registry, row: ShadowRow) -> dict[str, Any]:
    about = {"shadow_id": row.shadow_id, "prompt": row.prompt, "started_at": row.started_at}
    return {**about, "finished_at": row.finished_at, **summary_of(registry, row)}
