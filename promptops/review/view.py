"""What is reported of reviews, as JSON that scripts rely on."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from promptops.registry import ReviewQueue
from promptops.review.summary import CodeCount, ReviewSummary


def queue_as_json(queue: ReviewQueue) -> dict[str, Any]:
    return {
        "queue": queue.id,
        "prompt": queue.prompt,
        "channel": queue.channel,
        "items": queue.items,
        "labelled": queue.labelled,
        "left": queue.left,
        "deferred": queue.deferred,
        "selection": dict(queue.selection),
        "rubric": f"sha256:{queue.rubric}",
        "created_at": queue.created_at,
        "created_by": queue.created_by,
    }


def summary_as_json(summary: ReviewSummary) -> dict[str, Any]:
    return {
        "prompt": summary.prompt,
        "labels": summary.labels,
        "drawn": summary.drawn,
        "chosen": summary.chosen,
        "versions": [asdict(each) for each in summary.versions],
        "drift": [asdict(each) for each in summary.drift],
        "reviewers": dict(summary.reviewers),
        "rubrics": {f"sha256:{digest}": count for digest, count in summary.rubrics.items()},
        "queues": [queue_as_json(each) for each in summary.queues],
    }


def codes_as_json(codes: Sequence[CodeCount]) -> list[dict[str, Any]]:
    return [asdict(each) for each in codes]
