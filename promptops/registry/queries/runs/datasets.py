"""What data sets are made of: the versions that ran, better answers of people, runs with the same inputs."""

# ruff: noqa: S608 - statements are put together from constants; values are bound

import json
from collections.abc import Iterator, Sequence
from typing import Any

from promptops.dataclass import dataclass
from promptops.registry.database import RegistryDatabase
from promptops.registry.filters import RunFilter
from promptops.registry.queries.runs.conditions import filter_conditions
from promptops.registry.queries.runs.queries import RunRecord, runs_by_seq


@dataclass(frozen=True, slots=True)
class UsedVersion:
    """A version that ran, and the commit of its latest run that has one."""

    prompt: str
    digest: str
    commit_sha: str | None


def used_versions(registry: RegistryDatabase, chosen: RunFilter) -> list[UsedVersion]:
    where, values = filter_conditions(chosen)
    rows = registry.read(
        "SELECT v.prompt, v.digest, latest.commit_sha FROM (SELECT r.prompt, r.digest, min(r.seq) AS first, "
        "max(r.seq) FILTER (WHERE r.commit_sha IS NOT NULL) AS latest "
        f"FROM runs r WHERE {where} GROUP BY r.prompt, r.digest) AS v "
        "LEFT JOIN runs latest ON latest.seq = v.latest ORDER BY v.prompt, v.first",
        values,
    )
    return [UsedVersion(row["prompt"], row["digest"], row["commit_sha"]) for row in rows]


_BETTER = """
SELECT run_seq, text FROM (
  SELECT o.run_seq AS run_seq, o.text AS text, o.recorded_at AS at, o.id AS id FROM outcomes o
  WHERE o.run_seq IN ({marks}) AND o.source = 'person' AND o.name = 'edited' AND o.value = 1
  AND o.text <> ''
  UNION ALL
  SELECT i.run_seq, l.answer, l.labelled_at, l.label
  FROM review_items i JOIN review_labels l ON l.label = i.label
  WHERE i.run_seq IN ({marks}) AND l.answer <> ''
) AS better ORDER BY at, id
"""


def better_answers(registry: RegistryDatabase, seqs: Sequence[int]) -> dict[int, str]:
    """What a person wrote in place of each run's answer, in feedback or in review: the latest, by ``seq``."""
    rows = registry.read(_BETTER.format(marks=", ".join("?" * len(seqs))), [*seqs, *seqs])
    return {row["run_seq"]: row["text"] for row in rows}


_IDS_AT_ONCE = 500


def inputs_of_runs(
    registry: RegistryDatabase, prompt: str, run_ids: Sequence[str]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Of each run of a prompt that is known by its id, and whose inputs were kept: id and inputs."""
    for start in range(0, len(run_ids), _IDS_AT_ONCE):
        ids = run_ids[start : start + _IDS_AT_ONCE]
        rows = registry.read(
            "SELECT r.run_id, t.inputs FROM runs r JOIN run_texts t ON t.seq = r.seq WHERE r.prompt = ? "
            f"AND t.inputs IS NOT NULL AND r.run_id IN ({', '.join('?' * len(ids))}) ORDER BY r.seq",
            [prompt, *ids],
        )
        yield from ((row["run_id"], json.loads(row["inputs"])) for row in rows)


_SAME_INPUTS = "min(r.seq) OVER (PARTITION BY r.prompt, r.digest, coalesce(r.inputs_hash, r.run_id))"


def iterate_runs_by_inputs(
    registry: RegistryDatabase, chosen: RunFilter, *, chunk: int = 100
) -> Iterator[RunRecord]:
    """All chosen runs, those of one version with the same inputs together: they have the same ``group``.

    The order waits in a temporary table, so that memory stays flat and nobody is kept from writing.
    """
    where, values = filter_conditions(chosen)
    with registry.temp_connection() as connection:
        connection.execute("DROP TABLE IF EXISTS temp.by_inputs")
        connection.execute(
            "CREATE TEMP TABLE by_inputs (place INTEGER PRIMARY KEY, seq BIGINT, first BIGINT)"
        )
        connection.execute(
            "INSERT INTO by_inputs SELECT row_number() OVER (ORDER BY first, seq), seq, first FROM "
            f"(SELECT r.seq AS seq, {_SAME_INPUTS} AS first FROM runs r WHERE {where}) AS found",
            values,
        )
    last = 0
    sql = "SELECT place, seq, first FROM temp.by_inputs WHERE place > ? ORDER BY place LIMIT ?"
    while found := registry.read(sql, (last, chunk)):
        last = found[-1]["place"]
        groups = {row["seq"]: row["first"] for row in found}
        for run in runs_by_seq(registry, list(groups)):
            yield {**run, "group": groups[run["seq"]]}
