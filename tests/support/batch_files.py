"""Files of inputs for tests of batches, and what came of them."""

import json
import sqlite3
from pathlib import Path
from typing import Any

from promptops.config.registry_location import local_file
from support.front_door import Repo
from support.logged_rows import open_log


def write_lines(repo: Repo, count: int, name: str = "in.jsonl") -> Path:
    lines = [json.dumps({"inputs": {"name": f"person {number}"}}) for number in range(1, count + 1)]
    return repo.write(name, "\n".join(lines) + "\n")


def calls_under_way(repo: Repo) -> list[Path]:
    """The files in which batches note the calls that they have begun."""
    local = local_file(repo.registry)
    return list(local.with_name(f"{local.name}-batches").iterdir())


def ended_calls(repo: Repo) -> int:
    """How many calls are on disk with what came of them."""
    return len(rows(repo, "SELECT 1 FROM runs WHERE state = 'finished'"))


def results(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.split("\n") if line]


def outputs(text: str) -> list[str]:
    return [result["output"] for result in results(text)]


def greetings(count: int) -> list[str]:
    return [f"Greet person {number}." for number in range(1, count + 1)]


def rows(repo: Repo, sql: str = "SELECT * FROM runs ORDER BY seq") -> list[dict[str, Any]]:
    with open_log(repo.path) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute(sql).fetchall()]
