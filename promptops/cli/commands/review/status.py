"""``promptops review status``: what was reviewed, and what it says."""

from collections.abc import Sequence
from typing import Annotated

import typer

from promptops.cli.options.common import JsonOption
from promptops.config.settings import current_settings
from promptops.console import note, print_json, print_table, print_text
from promptops.registry import RegistryDatabase, ReviewQueue, list_queues
from promptops.review.rubric import load_rubric
from promptops.review.summary import ReviewSummary, summarize_reviews
from promptops.review.view import queue_as_json, summary_as_json

NameArgument = Annotated[
    str | None, typer.Argument(metavar="[NAME]", help="The prompt; all queues unless given.")
]


def review_status(name: NameArgument = None, as_json: JsonOption = False) -> None:
    """Say how far queues are; of one prompt also what passed, by version, and how steady reviewers are.

    Rates are of answers that were drawn at random, weighted by how likely each was to be drawn. Drift: of
    answers that came again, whether the same reviewer said the same (Krippendorff's alpha).
    """
    settings = current_settings()
    with RegistryDatabase.open_existing(settings.registry) as registry:
        if name is None:
            queues = list_queues(registry)
            if as_json:
                print_json([queue_as_json(each) for each in queues])
            else:
                _print_queues(queues)
            return
        summary = summarize_reviews(registry, name)
    if as_json:
        print_json(summary_as_json(summary))
        return
    _print_queues(summary.queues)
    if summary.labels:
        _print_summary(summary)
        _note_other_rubrics(summary, load_rubric(name, settings).digest)


def _print_queues(queues: Sequence[ReviewQueue]) -> None:
    if not queues:
        note("nothing was put into a queue yet: promptops review start NAME")
        return
    rows = [
        (each.id, each.prompt, each.channel, each.items, each.labelled, each.left, each.created_at[:16])
        for each in queues
    ]
    print_table(("QUEUE", "PROMPT", "CHANNEL", "ITEMS", "DONE", "LEFT", "SINCE"), rows, numeric=(0, 3, 4, 5))


def _print_summary(summary: ReviewSummary) -> None:
    rows = [
        (
            each.version or each.digest[:12],
            each.passed,
            each.failed,
            f"{each.rate.value:.0%}",
            f"{each.rate.low:.0%} to {each.rate.high:.0%}",
        )
        for each in summary.versions
    ]
    print_text("")
    if rows:
        print_table(("VERSION", "PASSED", "FAILED", "RATE", "95 %"), rows, numeric=(1, 2, 3))
    if summary.chosen:
        note(f"{summary.chosen:,} labels are of answers chosen for a reason, and in no rate")
    for each in summary.drift:
        alpha = f", alpha {each.alpha.value:.2f}" if each.alpha else ""
        print_text(f"{each.reviewer} said the same of {each.same} of {each.repeated} answers again{alpha}")


def _note_other_rubrics(summary: ReviewSummary, now: str) -> None:
    others = sum(count for digest, count in summary.rubrics.items() if digest != now)
    if others:
        note(f"{others:,} of {summary.labels:,} labels were made by other questions than the rubric asks now")
