"""What reviewers say of items. A label is on disk when ``add_label`` returns.

Labels of items that were drawn at random are outcomes ``review.pass`` of their runs, those of items that
were chosen for a reason ``review.chosen``: a rate over what was chosen because it failed says nothing of a
version.
"""

# ruff: noqa: S608 - statements are put together from constants; values are bound

from collections.abc import Sequence
from typing import Any

from promptops.config.clock import utc_now
from promptops.dataclass import dataclass
from promptops.errors import Invalid, NotFound
from promptops.registry.database import RegistryDatabase
from promptops.registry.queries.review.queues import ReviewItem
from promptops.registry.queries.rows import INSERT_OUTCOME, storable
from promptops.registry.queries.runs.outcomes import REVIEW_CHOSEN, REVIEW_PASS


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewLabel:
    """``answer``: a better one; ``rubric``: the digest of the questions that it answers."""

    passed: bool
    reviewer: str
    rubric: str
    note: str = ""
    codes: tuple[str, ...] = ()
    answer: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelRecord:
    """A label and its run. ``repeats``: what the same reviewer said of the answer the first time."""

    id: int
    item: int
    queue: int
    seq: int
    run_id: str
    digest: str
    version: str | None
    label: ReviewLabel
    probability: float | None
    drawn: bool
    repeats: bool | None


def add_label(registry: RegistryDatabase, item: int, label: ReviewLabel) -> bool:
    """Log a label; False where it says what the item's latest label says.

    Raises Invalid where somebody else has the item, or has labelled it; NotFound where its run is gone.
    """
    moment = utc_now()
    who = storable(label.reviewer)
    with registry.write() as connection:
        row = _item_row(connection, item)
        if row["label"] is not None:
            known = _label(connection, row["label"])
            if known.reviewer != who:
                raise _is_taken(f"{known.reviewer} has labelled this item meanwhile")
            if known == _stored(label):
                return False
        elif row["leased_by"] not in (None, who) and row["leased_until"] >= moment:
            raise _is_taken(f"{row['leased_by']} is working on this item now")
        elif row["reviewer"] not in (None, who):
            raise _is_taken("this item is another reviewer's")
        _insert(connection, row, _stored(label), moment)
    return True


def _is_taken(message: str) -> Invalid:
    return Invalid(f"{message}; your label was not saved", hint="go on with the next item")


def _item_row(connection: Any, item: int) -> Any:
    row = connection.execute("SELECT * FROM review_items WHERE item = ?", (item,)).fetchone()
    if row is None:
        raise NotFound("this item is gone: its run was pruned", hint="go on with the next one")
    return row


def _stored(label: ReviewLabel) -> ReviewLabel:
    return ReviewLabel(
        passed=label.passed,
        reviewer=storable(label.reviewer),
        rubric=label.rubric,
        note=storable(label.note),
        codes=tuple(sorted(map(storable, {*label.codes}))),
        answer=storable(label.answer),
    )


def _label(connection: Any, number: int) -> ReviewLabel:
    row = connection.execute("SELECT * FROM review_labels WHERE label = ?", (number,)).fetchone()
    codes = connection.execute("SELECT code FROM review_codes WHERE label = ? ORDER BY code", (number,))
    return _label_of(row, [each[0] for each in codes])


def _label_of(row: Any, codes: Sequence[str]) -> ReviewLabel:
    return ReviewLabel(
        passed=bool(row["passed"]),
        reviewer=row["reviewer"],
        rubric=row["rubric"],
        note=row["note"],
        codes=tuple(sorted(codes)),
        answer=row["answer"],
    )


def _insert(connection: Any, item: Any, label: ReviewLabel, now: str) -> None:
    values = (item["item"], int(label.passed), label.note, label.answer, label.reviewer, label.rubric, now)
    added = connection.execute(
        "INSERT INTO review_labels (item, passed, note, answer, reviewer, rubric, labelled_at) "
        "VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING label",
        values,
    ).fetchall()[0][0]
    connection.executemany(
        "INSERT INTO review_codes (label, code) VALUES (?, ?)", [(added, code) for code in label.codes]
    )
    connection.execute(
        "UPDATE review_items SET label = ?, leased_by = NULL, leased_until = NULL WHERE item = ?",
        (added, item["item"]),
    )
    if item["repeat_of"] is None:
        connection.execute(
            "UPDATE held_runs SET decision = ?, answer = ?, decided_by = ?, decided_at = ? WHERE run_seq = ?",
            (
                "released" if label.passed else "rejected",
                label.answer if label.passed else "",
                label.reviewer,
                now,
                item["run_seq"],
            ),
        )
        name = REVIEW_PASS if item["drawn"] else REVIEW_CHOSEN
        outcome = (item["run_seq"], "person", name, None, float(label.passed), label.note, now, now)
        connection.execute(INSERT_OUTCOME, outcome)


def defer_item(registry: RegistryDatabase, item: int, reviewer: str) -> None:
    """Put an item off: others are asked about it, and this reviewer at the end."""
    with registry.write() as connection:
        row = _item_row(connection, item)
        if row["leased_by"] not in (None, storable(reviewer)) or row["label"] is not None:
            raise _is_taken("somebody else has this item")
        connection.execute(
            "UPDATE review_items SET deferred_by = ?, leased_by = NULL, leased_until = NULL WHERE item = ?",
            (storable(reviewer), item),
        )


_SELECT_LABELS = """
SELECT l.*, i.queue, i.run_seq, i.probability, i.drawn, r.run_id, r.digest, r.version,
  (SELECT o.passed FROM review_labels o WHERE o.label = i.repeat_of) AS before,
  (SELECT group_concat(c.code, char(10)) FROM review_codes c WHERE c.label = l.label) AS codes
FROM review_queues q JOIN review_items i ON i.queue = q.queue
JOIN review_labels l ON l.label = i.label JOIN runs r ON r.seq = i.run_seq
"""


def read_review_labels(
    registry: RegistryDatabase, prompt: str, *, code: str | None = None
) -> list[LabelRecord]:
    """The latest label of each item of a prompt, in the order in which they were given."""
    by_code = "AND EXISTS (SELECT 1 FROM review_codes c WHERE c.label = l.label AND c.code = :code)"
    sql = f"{_SELECT_LABELS} WHERE q.prompt = :prompt {by_code if code is not None else ''} ORDER BY l.label"
    rows = registry.read(sql, {"prompt": prompt, "code": code})
    return [_record(row) for row in rows]


def label_of_item(registry: RegistryDatabase, item: ReviewItem) -> ReviewLabel | None:
    if item.label is None:
        return None
    with registry.snapshot() as connection:
        return _label(connection, item.label)


def _record(row: Any) -> LabelRecord:
    return LabelRecord(
        id=row["label"],
        item=row["item"],
        queue=row["queue"],
        seq=row["run_seq"],
        run_id=row["run_id"],
        digest=row["digest"],
        version=row["version"],
        label=_label_of(row, row["codes"].split("\n") if row["codes"] else ()),
        probability=row["probability"],
        drawn=bool(row["drawn"]),
        repeats=None if row["before"] is None else bool(row["before"]),
    )


def frequent_codes(registry: RegistryDatabase, prompt: str, most: int) -> list[str]:
    """The codes that labels of a prompt have, most frequent first."""
    sql = (
        "SELECT c.code FROM review_codes c JOIN review_labels l ON l.label = c.label "
        "JOIN review_items i ON i.item = l.item JOIN review_queues q ON q.queue = i.queue "
        "WHERE q.prompt = ? GROUP BY c.code ORDER BY count(*) DESC, c.code LIMIT ?"
    )
    return [row[0] for row in registry.read(sql, (prompt, most))]


def merge_codes(registry: RegistryDatabase, prompt: str, old: str, new: str) -> int:
    """Call a code of a prompt by another's name; gives how many labels had it."""
    labels = (
        "SELECT l.label FROM review_labels l JOIN review_items i ON i.item = l.item "
        "JOIN review_queues q ON q.queue = i.queue WHERE q.prompt = ?"
    )
    with registry.write() as connection:
        connection.execute(
            f"INSERT INTO review_codes (label, code) SELECT label, ? FROM review_codes "
            f"WHERE code = ? AND label IN ({labels}) ON CONFLICT DO NOTHING",
            (storable(new), old, prompt),
        )
        return connection.execute(
            f"DELETE FROM review_codes WHERE code = ? AND label IN ({labels})", (old, prompt)
        ).rowcount
