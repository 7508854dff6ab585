"""Labels as reviewers give them, without a browser."""

import os
from pathlib import Path

from promptops.config.settings import find_settings
from promptops.registry import RegistryDatabase, ReviewLabel, claim_item, list_queues
from promptops.review.labels import label_item

ADA = "Ada <ada@example.org>"


def a_label(*, passed: bool = True, reviewer: str = ADA, **fields: object) -> ReviewLabel:
    return ReviewLabel(passed=passed, reviewer=reviewer, rubric="", **fields)  # type: ignore[arg-type]


def review_all(folder: Path, *, reviewer: str = ADA) -> int:
    """Pass every item of the latest queue; says how many there were."""
    settings, count = find_settings(folder, os.environ), 0
    with RegistryDatabase.open(settings.registry) as registry:
        queue = list_queues(registry)[0].id
        while item := claim_item(registry, queue, reviewer):
            label_item(registry, item.id, a_label(reviewer=reviewer), settings.log)
            count += 1
    return count
