"""``promptops monitor inputs``: the logged inputs that are farthest from the cases."""

from typing import Annotated, Any

import typer

from promptops.cli.case_distances import stale_sentence
from promptops.cli.options.common import JsonOption
from promptops.cli.options.flags import limit_option
from promptops.cli.options.review import reviewer_name
from promptops.cli.options.run_filters import SinceFilter
from promptops.config.settings import current_settings
from promptops.console import note, print_json, print_table
from promptops.errors import NotFound
from promptops.escapes import shorten
from promptops.evaluation.open_golden_set import open_golden_set
from promptops.monitoring.case_distance import CaseDistances, FarInput, measure_distances
from promptops.registry import open_with_waiting_runs, parse_time, short_ids
from promptops.reports.numbers import pluralize
from promptops.review.queue import queue_runs
from promptops.versions.references import parse_reference
from promptops.versions.resolve import resolve_version

_TEXT = 80  # columns of an input that are shown
TargetArgument = Annotated[
    str, typer.Argument(metavar="NAME[:CHANNEL]", help="Its cases are those of the working tree.")
]
LimitOption = Annotated[int, limit_option("How many at most.")]
AddOption = Annotated[bool, typer.Option("--add", help="Make a review queue of them.")]


def monitor_inputs(
    target: TargetArgument,
    since: SinceFilter = "30d",
    limit: LimitOption = 10,
    add: AddOption = False,
    as_json: JsonOption = False,
) -> None:
    """List the logged inputs that are farthest from every case, by the rows of four letters they share.

    It looks at the latest 500 different inputs, and finds new words and spelling, not new meaning. With
    --add people review their answers, and `review cases` makes cases of what failed.
    """
    settings = current_settings()
    reference = parse_reference(target, settings)
    version = resolve_version(reference.name, settings)
    with open_with_waiting_runs(settings) as registry:
        with open_golden_set(version, settings) as cases:
            when = parse_time(since or "30d")
            found = measure_distances(registry, reference.name, reference.channel, when, cases)
        if not found.inputs:
            raise NotFound(
                f"no inputs of {target} are kept since {when[:10]}", hint="--since 90d looks further back"
            )
        farthest = found.inputs[:limit]
        ids = short_ids(registry, [each.run_id for each in farthest])
        queue = None
        if add:
            by = reviewer_name(settings)
            seqs = [each.seq for each in farthest]
            queue = queue_runs(registry, settings, reference, by, runs=seqs, reason="far")
    if as_json:
        print_json(_as_json(found, farthest, queue.id if queue else None))
    else:
        rows = [
            (ids[each.run_id], f"{each.distance:.2f}", each.nearest, shorten(each.text, _TEXT))
            for each in farthest
        ]
        print_table(("RUN", "DISTANCE", "NEAREST", "INPUT"), rows, numeric=(1,))
    if found.is_stale:
        note(stale_sentence(reference.name, found))
    if queue:
        note(f"queue {queue.id} has {pluralize(queue.items, 'answer')}: promptops ui, then Review")


def _as_json(found: CaseDistances, farthest: tuple[FarInput, ...], queue: int | None) -> dict[str, Any]:
    return {
        "cases": found.cases,
        "inputs": len(found.inputs),
        "far": found.far,
        "usual_distance": found.usual,
        "stale": found.is_stale,
        "farthest": [
            {"run_id": each.run_id, "distance": each.distance, "nearest": each.nearest, "text": each.text}
            for each in farthest
        ],
        "queue": queue,
    }
