"""What shadow runs have one between exactly the two versions that a diff compares."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from promptops.cli.reports.diff.data import DiffReport
from promptops.config.registry_location import may_exist
from promptops.config.settings import Settings
from promptops.console import note
from promptops.errors import PromptopsError
from promptops.reports.numbers import pluralize
from promptops.versions.changed_prompts import PromptChange

if TYPE_CHECKING:
    from promptops.evaluation.shadow.result import ShadowComparison
    from promptops.registry import RegistryDatabase


def attach_shadow_runs(reports: Sequence[DiffReport], settings: Settings) -> list[DiffReport]:
    """The latest shadow run of each pair beside it. Where nothing is logged nothing is opened or made."""
    if not reports or settings.registry_problem or not may_exist(settings.registry):
        return list(reports)
    from promptops.registry import RegistryDatabase

    try:
        with RegistryDatabase.open_existing(settings.registry) as registry:
            return [replace(one, shadow=_latest(registry, one.review.pair)) for one in reports]
    except PromptopsError as error:
        note(f"shadow runs are left out: {error.message}")
        return list(reports)


def _latest(registry: "RegistryDatabase", pair: PromptChange) -> "ShadowComparison | None":
    from promptops.registry import list_shadow_runs_comparing

    old, new = pair.old.prompt, pair.new.prompt
    if old is None or new is None:
        return None
    rows = list_shadow_runs_comparing(registry, new.name, new.digest, old.digest)
    if not rows:
        return None
    from promptops.evaluation.shadow.stored import stored_comparison

    comparisons = (stored_comparison(registry, row) for row in rows)
    return next((one for one in comparisons if one.pairs), None)


def shadow_run_sentence(one: "ShadowComparison") -> str:
    return (
        f"{one.verdict}, {pluralize(one.pairs, 'pair')}, broke {one.broke_total:,}, "
        f"fixed {one.fixed_total:,}: promptops shadow show {one.shadow_id}"
    )
