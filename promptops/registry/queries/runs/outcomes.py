"""What is found out about a run after it has ended: by checks, by judges, by the people it answered."""

import sys
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from functools import lru_cache
from hashlib import sha256
from typing import Any, Literal

from promptops.config.clock import utc_now, utc_seconds, utc_text
from promptops.dataclass import dataclass
from promptops.errors import Invalid, NotFound
from promptops.registry.database import RegistryDatabase
from promptops.registry.queries.rows import INSERT_OUTCOME, check_values, storable
from promptops.registry.queries.temp_table import TempTable
from promptops.registry.records import CheckResult

BINARY_OUTCOMES = ("correct", "accepted", "edited", "copied", "regenerated")
STANDARD_OUTCOMES = ("thumbs", *BINARY_OUTCOMES, "dwell_s")
REVIEW_PASS = "review.pass"  # noqa: S105 - the name of an outcome
"""What a reviewer said of an answer that was drawn at random: 1 or 0."""
REVIEW_CHOSEN = "review.chosen"
"""The same of an answer that was looked at for a reason."""
_REVIEW = "review."
_THUMBS = {"up": 1.0, "down": -1.0}
_NEAR_RATIO = 0.8  # of difflib: `thumb`, `accept` and `incorrect` are near, `accuracy` is not
_MAX_NAME_LENGTH = 200
_MAX_VALUE = sys.float_info.max
_END_OF_TIME = 253_402_300_800.0  # when years have five digits, which no text sorts

OutcomeSource = Literal["person", "judge"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOutcome:
    """``occurred_at``: UTC text; None where nobody said, and then the same value is told only once."""

    run_id: str
    name: str
    value: float
    text: str = ""
    occurred_at: str | None = None


@dataclass(frozen=True, slots=True)
class AddedOutcomes:
    new: int
    known: int  # told before


def make_outcome(
    run_id: str, name: Any, value: Any, *, text: str = "", occurred_at: Any = None
) -> RunOutcome:
    """What somebody says of a run, looked at: see ``normalize_outcome_value``. Raises Invalid."""
    when = None if occurred_at is None else _parse_moment(occurred_at)
    if isinstance(name, str) and name.startswith(_REVIEW):
        message = f"`{name}` is said by reviewers of answers that were drawn for them"
        raise Invalid(message, hint="promptops review start NAME")
    return RunOutcome(
        run_id=run_id, name=name, value=normalize_outcome_value(name, value), text=text, occurred_at=when
    )


def normalize_outcome_value(name: Any, value: Any) -> float:
    """``thumbs`` are up or down (1 or -1), the binary names 0 or 1, ``dwell_s`` seconds; others any number.

    A name that is nearly a usual one is taken for a slip: its outcomes would never be counted.
    """
    _check_name(name)
    if name == "thumbs" and isinstance(value, str) and value in _THUMBS:
        return _THUMBS[value]
    if not isinstance(value, bool | int | float) or not abs(value) <= _MAX_VALUE:
        raise Invalid(f"{name}: {value!r:.80} is not a number", hint=_value_hint(name))
    fits = {"thumbs": value in (-1, 0, 1), "dwell_s": value >= 0}.get(name, True)
    if not fits or (name in BINARY_OUTCOMES and value not in (0, 1)):
        raise Invalid(f"{name}: {value!r} cannot be", hint=_value_hint(name))
    return (1.0 if value > 0 else -1.0) if name == "thumbs" else float(value)


def _value_hint(name: str) -> str:
    if name in BINARY_OUTCOMES:
        return f"{name} is 1 (yes) or 0 (no)"
    return {"thumbs": "thumbs are up (1) or down (-1)", "dwell_s": "dwell_s is a number of seconds"}.get(
        name, "a value is a number"
    )


def _check_name(name: Any) -> None:
    if (
        not isinstance(name, str)
        or not name.isprintable()
        or not name.strip()
        or len(name) > _MAX_NAME_LENGTH
    ):
        raise Invalid(
            f"{name!r} is not a name of an outcome", hint=f"usual names: {', '.join(STANDARD_OUTCOMES)}"
        )
    _refuse_near_miss(name)


@lru_cache(maxsize=64)
def _refuse_near_miss(name: str) -> None:
    near = (
        []
        if name in STANDARD_OUTCOMES
        else get_close_matches(name.lower(), STANDARD_OUTCOMES, 1, _NEAR_RATIO)
    )
    if near:
        raise Invalid(
            f"no outcome is called `{name}`", hint=f"did you mean {near[0]}? {_value_hint(near[0])}"
        )


def _parse_moment(text: Any) -> str:
    try:
        seconds = utc_seconds(text)
    except (TypeError, ValueError, OverflowError):
        seconds = -1.0
    if not 0 <= seconds < _END_OF_TIME:
        hint = 'write it as "2026-11-02T09:14:00Z"'
        raise Invalid(f"occurred_at: {text!r:.80} is not a time", hint=hint)
    return utc_text(seconds)


def add_outcome(
    registry: RegistryDatabase,
    run_id: str,
    name: str,
    value: Any,
    *,
    text: str = "",
    source: OutcomeSource = "person",
    occurred_at: str | None = None,
) -> bool:
    """Log one outcome of a run, by its whole id. False where it says what the latest of its name says.

    ``occurred_at``: ISO 8601, now unless given. Raises NotFound and Invalid; see ``normalize_outcome_value``.
    """
    when = None if occurred_at is None else _parse_moment(occurred_at)
    number = normalize_outcome_value(name, value) if source == "person" else float(value)
    new = RunOutcome(run_id=run_id, name=name, value=number, text=text, occurred_at=when)
    return add_run_outcomes(registry, run_id, [new], source) > 0


def add_run_outcomes(
    registry: RegistryDatabase, run_id: str, outcomes: Sequence[RunOutcome], source: OutcomeSource = "person"
) -> int:
    """Log several outcomes of one run together; says how many of them are news."""
    now = utc_now()
    with registry.write() as connection:
        row = connection.execute("SELECT seq FROM runs WHERE run_id = ?", (run_id,)).fetchone()
        if row is None:
            raise _no_run(registry, run_id)
        stored = connection.execute(_SELECT_OUTCOMES, (row[0], source)).fetchall()
        new = [each for each in outcomes if not _repeats(each, stored)]
        connection.executemany(
            INSERT_OUTCOME,
            [_row(each, row[0], source, now) for each in new],
        )
    return len(new)


_SELECT_OUTCOMES = (
    "SELECT name, value, text, occurred_at FROM outcomes WHERE run_seq = ? AND source = ? ORDER BY id DESC"
)


def _repeats(new: RunOutcome, stored: Sequence[Any]) -> bool:
    same = [row for row in stored if row["name"] == new.name]
    if new.occurred_at is None:
        return bool(same) and (same[0]["value"], same[0]["text"]) == (new.value, new.text)
    return any((row["value"], row["occurred_at"]) == (new.value, new.occurred_at) for row in same)


def _row(new: RunOutcome, seq: int, source: OutcomeSource, now: str) -> tuple[Any, ...]:
    name, text = storable(new.name), storable(new.text)
    return seq, source, name, None, new.value, text, new.occurred_at or now, now


def _no_run(registry: RegistryDatabase, run_id: str, where: str = "") -> NotFound:
    hint = "`promptops runs list` shows the latest"
    return NotFound(f"{where}no run {run_id} in {registry.path}", hint=hint)


_STAGED = ("line INTEGER", "run_id", "name", "value", "text", "occurred_at", "same TEXT")
_ONCE = ("run_id", "name", "value", "occurred_at", "same")
_MISSING = (
    "SELECT s.line, s.run_id FROM temp.told s "
    "WHERE NOT EXISTS (SELECT 1 FROM runs r WHERE r.run_id = s.run_id) ORDER BY s.line LIMIT 1"
)
_INSERT = """
INSERT INTO outcomes (run_seq, source, name, value, text, occurred_at, recorded_at)
SELECT r.seq, 'person', s.name, s.value, s.text, coalesce(nullif(s.occurred_at, ''), :now), :now
FROM temp.told s CROSS JOIN runs r ON r.run_id = s.run_id
WHERE NOT EXISTS (
  SELECT 1 FROM outcomes o
  WHERE o.run_seq = r.seq AND o.source = 'person' AND o.name = s.name AND o.value = s.value
  AND (o.occurred_at = s.occurred_at OR (s.occurred_at = '' AND o.text = s.text))
)
ORDER BY s.line
"""


def import_outcomes(
    registry: RegistryDatabase, file: str, outcomes: Iterable[tuple[int, RunOutcome]]
) -> AddedOutcomes:
    """Log the outcomes that people gave of many runs, all of them or none; each comes with its line.

    What was told before is told once: the same run, name, value and time; without a time, the same words.
    """
    lines = 0
    with TempTable(registry, "told", _STAGED, of="outcomes", unique=_ONCE) as stage:
        for lines, (line, each) in enumerate(outcomes, 1):  # noqa: B007 - the last one is their number
            when, text = each.occurred_at or "", storable(each.text)
            same = "" if when else sha256(text.encode()).hexdigest()
            stage.put((line, each.run_id, storable(each.name), each.value, text, when, same))
    with registry.write() as connection:
        if missing := connection.execute(_MISSING).fetchone():
            raise _no_run(registry, missing["run_id"], f"{file}:{missing['line']}: ")
        new = connection.execute(_INSERT, {"now": utc_now()}).rowcount
    return AddedOutcomes(new, lines - new)


_CHECKS_OF_RUN = "SELECT name FROM outcomes WHERE run_seq = ? AND source = 'check'"


def add_check_outcomes(registry: RegistryDatabase, run_id: str, checks: Sequence[CheckResult]) -> None:
    """Log checks that took calls of their own, made once the run was safely on disk; each once."""
    now = utc_now()
    with registry.write() as connection:
        row = connection.execute("SELECT seq FROM runs WHERE run_id = ?", (run_id,)).fetchone()
        if row is None:
            raise NotFound(f"no run {run_id} in {registry.path}", hint="it was pruned meanwhile")
        there = {name for (name,) in connection.execute(_CHECKS_OF_RUN, (row[0],))}
        checks = [check for check in checks if storable(check.name) not in there]
        failed = sum(not check.passed for check in checks)
        connection.executemany(INSERT_OUTCOME, check_values(checks, row[0], now, now))
        connection.execute(
            "UPDATE runs SET checks_failed = coalesce(checks_failed, 0) + ? WHERE seq = ?", (failed, row[0])
        )
