"""Queues of answers to review, and their items as they are handed out to reviewers.

An item is lent to one reviewer for a while; whoever comes next gets another. A reviewer who closes the page
loses nothing but the time until the lease ends.
"""

# ruff: noqa: S608 - statements are put together from constants; values are bound

import json
import random
from collections.abc import Mapping, Sequence
from typing import Any

from promptops.config.clock import utc_moment, utc_now, utc_text
from promptops.dataclass import dataclass
from promptops.errors import NotFound
from promptops.registry.database import RegistryDatabase
from promptops.registry.queries.rows import storable

LEASE_S = 900.0
REPEATS = 10  # old items that come again to each reviewer of a queue
_OPEN = "i.label IS NULL AND (i.reviewer IS NULL OR i.reviewer = :reviewer)"
_FREE = "(i.leased_by IS NULL OR i.leased_by = :reviewer OR i.leased_until < :now)"


@dataclass(frozen=True, slots=True)
class DrawnItem:
    """A run to look at. ``probability``: of being drawn from the population; None: it says nothing of one."""

    seq: int
    probability: float | None
    drawn: bool  # at random, not for a reason


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewQueue:
    """``selection``: how its items were found, as its maker asked. Times are UTC text."""

    id: int
    prompt: str
    channel: str | None
    selection: Mapping[str, Any]
    rubric: str
    created_at: str
    created_by: str
    items: int  # without those that come again
    labelled: int
    deferred: int

    @property
    def left(self) -> int:
        return self.items - self.labelled


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewItem:
    """``label`` is the number of its latest label, if there is one."""

    id: int
    queue: int
    seq: int
    repeat: bool
    label: int | None


def add_rubric(registry: RegistryDatabase, prompt: str, digest: str, content: Mapping[str, Any]) -> None:
    """Keep by which questions labels are made, as long as there are labels."""
    values = (digest, prompt, json.dumps(content, ensure_ascii=False), utc_now())
    with registry.write() as connection:
        connection.execute(
            "INSERT INTO review_rubrics (digest, prompt, content, first_used_at) VALUES (?, ?, ?, ?) "
            "ON CONFLICT DO NOTHING",
            values,
        )


def get_rubric(registry: RegistryDatabase, digest: str) -> dict[str, Any] | None:
    text = registry.read_one("SELECT content FROM review_rubrics WHERE digest = ?", (digest,))
    return None if text is None else dict(json.loads(text))


def add_queue(
    registry: RegistryDatabase,
    *,
    prompt: str,
    channel: str | None,
    selection: Mapping[str, Any],
    rubric: str,
    created_by: str,
    items: Sequence[DrawnItem],
) -> int:
    """Make a queue of these items, in this order; gives its number."""
    values = (prompt, channel, json.dumps(selection), rubric, utc_now(), storable(created_by))
    with registry.write() as connection:
        added = connection.execute(
            "INSERT INTO review_queues (prompt, channel, selection, rubric, created_at, created_by) "
            "VALUES (?, ?, ?, ?, ?, ?) RETURNING queue",
            values,
        )
        queue = int(added.fetchall()[0][0])
        connection.executemany(
            "INSERT INTO review_items (queue, position, run_seq, probability, drawn) VALUES (?, ?, ?, ?, ?)",
            [(queue, at, item.seq, item.probability, int(item.drawn)) for at, item in enumerate(items, 1)],
        )
    return queue


_SELECT_QUEUES = """
SELECT q.*, count(i.item) AS items, count(i.label) AS labelled,
  count(*) FILTER (WHERE i.label IS NULL AND i.deferred_by IS NOT NULL) AS deferred
FROM review_queues q LEFT JOIN review_items i ON i.queue = q.queue AND i.repeat_of IS NULL
"""


def list_queues(
    registry: RegistryDatabase, prompt: str | None = None, *, limit: int = 100
) -> list[ReviewQueue]:
    """The latest first."""
    where, values = ("WHERE q.prompt = ?", (prompt,)) if prompt else ("", ())
    sql = f"{_SELECT_QUEUES} {where} GROUP BY q.queue ORDER BY q.queue DESC LIMIT ?"
    return [_queue(row) for row in registry.read(sql, (*values, limit))]


def get_queue(registry: RegistryDatabase, queue: int) -> ReviewQueue:
    rows = registry.read(f"{_SELECT_QUEUES} WHERE q.queue = ? GROUP BY q.queue", (queue,))
    if not rows:
        raise NotFound(f"there is no review queue {queue}", hint="promptops review start NAME makes one")
    return _queue(rows[0])


def _queue(row: Any) -> ReviewQueue:
    return ReviewQueue(
        id=row["queue"],
        prompt=row["prompt"],
        channel=row["channel"],
        selection=json.loads(row["selection"]),
        rubric=row["rubric"],
        created_at=row["created_at"],
        created_by=row["created_by"],
        items=row["items"],
        labelled=row["labelled"],
        deferred=row["deferred"],
    )


def claim_item(
    registry: RegistryDatabase,
    queue: int,
    reviewer: str,
    *,
    deferred: bool = False,
    now: float | None = None,
) -> ReviewItem | None:
    """Lend the next item to a reviewer, or the one that they have; None when none is left for them.

    ``deferred``: also what they have put off before. ``now``: seconds since 1970.
    """
    moment = utc_moment() if now is None else now
    put_off = "true" if deferred else "coalesce(i.deferred_by, '') <> :reviewer"
    values = {"queue": queue, "reviewer": storable(reviewer), "now": utc_text(moment)}
    sql = (
        f"SELECT i.* FROM review_items i WHERE i.queue = :queue AND {_OPEN} AND {_FREE} AND {put_off} "
        "ORDER BY CASE WHEN i.leased_by = :reviewer THEN 0 ELSE 1 END, i.position LIMIT 1"
    )
    with registry.write() as connection:
        _add_repeats(connection, queue, values["reviewer"])
        row = connection.execute(sql, values).fetchone()
        if row is None:
            return None
        connection.execute(
            "UPDATE review_items SET leased_by = ?, leased_until = ? WHERE item = ?",
            (values["reviewer"], utc_text(moment + LEASE_S), row["item"]),
        )
    return _item(row)


_SELECT_REPEATS = """
SELECT l.label, i.run_seq FROM review_labels l JOIN review_items i ON i.item = l.item
WHERE l.reviewer = ? AND i.queue < ? AND i.label = l.label AND i.repeat_of IS NULL
AND i.queue IN (SELECT queue FROM review_queues WHERE prompt = (
  SELECT prompt FROM review_queues WHERE queue = ?))
AND l.label NOT IN (SELECT repeat_of FROM review_items WHERE repeat_of IS NOT NULL)
ORDER BY random() LIMIT ?
"""


def _add_repeats(connection: Any, queue: int, reviewer: str) -> None:
    """At a reviewer's first item of a queue: what they have labelled before, spread over it."""
    begun = "SELECT 1 FROM review_items WHERE queue = ? AND (leased_by = ? OR reviewer = ?) LIMIT 1"
    if connection.execute(begun, (queue, reviewer, reviewer)).fetchone():
        return
    old = connection.execute(_SELECT_REPEATS, (reviewer, queue, queue, REPEATS)).fetchall()
    last = connection.execute("SELECT max(position) FROM review_items WHERE queue = ?", (queue,)).fetchone()
    connection.executemany(
        "INSERT INTO review_items (queue, position, run_seq, drawn, repeat_of, reviewer) "
        "VALUES (?, ?, ?, 0, ?, ?)",
        [
            (queue, random.uniform(0.5, last[0] or 1), row["run_seq"], row["label"], reviewer)  # noqa: S311 - an order, no secret
            for row in old
        ],
    )


def get_item(registry: RegistryDatabase, item: int) -> ReviewItem:
    rows = registry.read("SELECT * FROM review_items WHERE item = ?", (item,))
    if not rows:
        raise NotFound("this item is gone: its run was pruned", hint="go on with the next one")
    return _item(rows[0])


def _item(row: Any) -> ReviewItem:
    return ReviewItem(
        id=row["item"],
        queue=row["queue"],
        seq=row["run_seq"],
        repeat=row["repeat_of"] is not None,
        label=row["label"],
    )


def count_left(registry: RegistryDatabase, queue: int, reviewer: str) -> tuple[int, int]:
    """How many items wait for a reviewer, and how many of them they have put off."""
    values = {"queue": queue, "reviewer": reviewer}
    sql = (
        f"SELECT count(*), count(*) FILTER (WHERE i.deferred_by = :reviewer) FROM review_items i "
        f"WHERE i.queue = :queue AND {_OPEN}"
    )
    left, put_off = registry.read(sql, values)[0]
    return int(left), int(put_off)
