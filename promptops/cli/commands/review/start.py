"""``promptops review start``: a queue of answers for people to look at."""

import sys
from typing import Annotated

import typer

from promptops.cli.options.common import JsonOption
from promptops.cli.options.flags import limit_option, sample_option
from promptops.cli.options.pages import PageOptions
from promptops.cli.options.review import reviewer_name
from promptops.cli.options.run_filters import SinceFilter
from promptops.config.settings import current_settings
from promptops.console import note, print_json, print_text
from promptops.registry import ReviewQueue, ReviewReason, open_with_waiting_runs
from promptops.reports.numbers import pluralize
from promptops.review.queue import MAX_ITEMS, QueueRequest, start_queue
from promptops.review.view import queue_as_json

TargetArgument = Annotated[str, typer.Argument(metavar="NAME[:CHANNEL]", help="All channels unless given.")]
SampleOption = Annotated[
    int | None,
    sample_option(
        "How many answers are drawn at random; 30 unless other options choose some.",
        metavar="N",
        min_value=0,
        max_value=MAX_ITEMS,
    ),
]
FailedOption = Annotated[bool, typer.Option("--failed", help="Answers that failed a check.")]
HeldOption = Annotated[
    bool, typer.Option("--held", help="Answers that nobody gets before a person has passed them.")
]
UnsureOption = Annotated[
    bool, typer.Option("--unsure", help="Answers to which the votes of a judge were not the same.")
]
DisagreeOption = Annotated[
    str | None,
    typer.Option(
        "--disagree", metavar="JUDGE", help="Answers on which this judge and users, or checks, differ."
    ),
]
OpenOption = Annotated[
    bool | None,
    typer.Option(
        "--open/--no-open",
        help="Open it on pages of this machine, until Ctrl-C: the default in a terminal.",
        show_default=False,
    ),
]
LimitOption = Annotated[int, limit_option("At most so many answers for each of these reasons.")]


def review_start(
    target: TargetArgument,
    sample: SampleOption = None,
    since: SinceFilter = "1d",
    failed: FailedOption = False,
    held: HeldOption = False,
    unsure: UnsureOption = False,
    disagree: DisagreeOption = None,
    limit: LimitOption = 30,
    open_it: OpenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a queue of answers to review, and open it; people work on it on the pages of `promptops ui`.

    They see neither version nor arm nor what a judge said. Only answers that were drawn at random count in
    rates and for a step `reviewed: N`; each keeps the probability with which it was drawn.
    """
    settings = current_settings()
    wanted: dict[ReviewReason, bool] = {
        "held": held,
        "failed": failed,
        "unsure": unsure,
        "disagree": disagree is not None,
    }
    reasons = tuple(reason for reason, given in wanted.items() if given)
    request = QueueRequest(
        target=target,
        by=reviewer_name(settings),
        sample=(0 if reasons else 30) if sample is None else sample,
        since=since or "1d",
        reasons=reasons,
        judge=disagree,
        most=limit,
    )
    with open_with_waiting_runs(settings) as registry:
        queue = start_queue(registry, settings, request)
    if as_json:
        print_json(queue_as_json(queue))
    else:
        print_text(str(queue.id))
        note(f"a queue of {pluralize(queue.items, 'answer')}: {_describe(queue)}")
        if open_it is None:
            open_it = sys.stdin.isatty() and sys.stdout.isatty()
        if not open_it:
            note(f"next: promptops ui, then Review, queue {queue.id}")
    if open_it:
        from promptops.cli.served_pages import serve_pages

        serve_pages(settings, "127.0.0.1", 0, PageOptions(), page=f"review/{queue.id}")


def _describe(queue: ReviewQueue) -> str:
    drawn, chosen = queue.selection["sample"], queue.selection["chosen"]
    parts = [f"{drawn:,} drawn of {queue.selection['population']:,}"] if drawn else []
    parts += [f"{chosen:,} chosen ({', '.join(queue.selection['reasons'])})"] if chosen else []
    return "; ".join(parts)
