"""``promptops shadow list``: the latest shadow runs."""

from typing import Annotated, Any

import typer

from promptops.cli.options.common import JsonOption
from promptops.cli.options.run_filters import LimitOption
from promptops.cli.reports.run_tables import format_age
from promptops.config.settings import current_settings
from promptops.console import note, print_json, print_table
from promptops.evaluation.shadow.stored import stored_summary
from promptops.registry import RegistryDatabase, StoredShadowRun, list_shadow_runs, short_shadow_ids

NameArgument = Annotated[str | None, typer.Argument(metavar="NAME", help="Of this prompt; may hold *.")]


def shadow_list(name: NameArgument = None, limit: LimitOption = 20, as_json: JsonOption = False) -> None:
    """List shadow runs with their verdicts, newest first."""
    with RegistryDatabase.open_existing(current_settings().registry) as registry:
        entries = [_entry(registry, row) for row in list_shadow_runs(registry, name, limit=limit)]
        ids = short_shadow_ids(registry, [each["shadow_id"] for each in entries])
    if as_json:
        print_json(entries)
    elif not entries:
        note("no shadow runs yet; `promptops shadow run NAME@REV` makes one")
    else:
        rows = [
            (ids[each["shadow_id"]], format_age(each["started_at"]), each["candidate"], each["verdict"],
             each["pairs"], each["stopped"] or "under way", f"${each['spent_usd']:.4f}")
            for each in entries
        ]  # fmt: skip
        print_table(
            ("SHADOW", "AGE", "CANDIDATE", "VERDICT", "PAIRS", "ENDED BY", "SPENT"), rows, numeric=(1, 4, 6)
        )


def _entry(registry: RegistryDatabase, row: StoredShadowRun) -> dict[str, Any]:
    about = {"shadow_id": row.shadow_id, "prompt": row.prompt, "started_at": row.started_at}
    return {**about, "finished_at": row.finished_at, **stored_summary(registry, row)}
