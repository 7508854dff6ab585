"""Evals that have come to their end: what history, lists and releases read of them."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from promptops.dataclass import dataclass
from promptops.registry.connection import Row
from promptops.registry.database import RegistryDatabase
from promptops.registry.records import LogRow


@dataclass(frozen=True, slots=True, kw_only=True)
class EvalRecord:
    """One version in one eval. The sides of a comparison share the id up to the dash."""

    eval_id: str
    prompt: str
    digest: str
    against: str | None
    cases_hash: str
    trials: int
    counts: Mapping[str, Any]
    verdicts: Mapping[str, Any]
    started_at: str
    finished_at: str | None  # None where it did not come to its end


def save_evals(registry: RegistryDatabase, records: list[EvalRecord]) -> None:
    """An eval that was cut off and went on is the same one, and is what it came to in the end."""
    with registry.write() as connection:
        for one in records:
            values = {**asdict(one), "counts": json.dumps(one.counts), "verdicts": json.dumps(one.verdicts)}
            marks = ", ".join("?" * len(values))
            changed = ", ".join(f"{name} = excluded.{name}" for name in values)
            connection.execute(
                f"INSERT INTO evals ({', '.join(values)}) VALUES ({marks}) "  # noqa: S608 - names of fields
                f"ON CONFLICT (eval_id) DO UPDATE SET {changed}",
                tuple(values.values()),
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class LatestEval:
    eval_id: str
    rate: float | None
    passed: int
    cases: int
    trials: int
    against: str | None
    verdict: str | None
    finished_at: str


def latest_evals(registry: RegistryDatabase, prompt: str | None = None) -> dict[tuple[str, str], LatestEval]:
    """By prompt and digest, the latest eval that came to its end."""
    where, values = ("AND prompt = ?", (prompt,)) if prompt is not None else ("", ())
    rows = registry.read(
        f"SELECT * FROM evals WHERE finished_at IS NOT NULL {where} ORDER BY finished_at, eval_id",  # noqa: S608 - a constant
        values,
    )
    return {(row["prompt"], row["digest"]): _latest(row) for row in rows}


def _latest(row: LogRow) -> LatestEval:
    counts, verdicts = json.loads(row["counts"]), json.loads(row["verdicts"])
    return LatestEval(
        eval_id=row["eval_id"],
        rate=counts["rate"],
        passed=counts["passed"],
        cases=counts["cases"],
        trials=row["trials"],
        against=row["against"],
        verdict=verdicts.get("verdict"),
        finished_at=row["finished_at"],
    )


def evals_against(registry: RegistryDatabase, prompt: str, digest: str, against: str) -> list[EvalRecord]:
    """Evals of one version that compared it with another and came to their end, the latest last."""
    rows = registry.read(
        "SELECT * FROM evals WHERE prompt = ? AND digest = ? AND against = ? AND finished_at IS NOT NULL "
        "ORDER BY finished_at, eval_id",
        (prompt, digest, against),
    )
    return [_record(row) for row in rows]


def list_evals(registry: RegistryDatabase, prompt: str | None = None, *, limit: int) -> list[EvalRecord]:
    """The latest evals, of one prompt or of all; of each the side that was evaluated, the latest first."""
    where, values = ("AND prompt = ?", (prompt,)) if prompt is not None else ("", ())
    rows = registry.read(
        f"SELECT * FROM evals WHERE eval_id NOT LIKE '%-%' {where} "  # noqa: S608 - a constant
        "ORDER BY started_at DESC, eval_id DESC LIMIT ?",
        (*values, limit),
    )
    return [_record(row) for row in rows]


def find_eval(registry: RegistryDatabase, eval_id: str) -> EvalRecord | None:
    """The side that was evaluated, with its verdict; None for one that is not kept."""
    rows = registry.read("SELECT * FROM evals WHERE eval_id = ?", (eval_id,))
    return _record(rows[0]) if rows else None


def _record(row: Row) -> EvalRecord:
    values = {name: row[name] for name in row.keys()}  # noqa: SIM118 - iterating a row gives its values
    parsed = {name: json.loads(values[name]) for name in ("counts", "verdicts")}
    return EvalRecord(**values | parsed)
