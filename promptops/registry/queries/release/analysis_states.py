"""What is kept of the analysis of a rollout between two looks: states, each a JSON object with a name."""

# ruff: noqa: S608 - statements are put together from constants; values are bound

import json
from collections.abc import Sequence
from typing import Any

from promptops.config.clock import utc_now
from promptops.registry.database import RegistryDatabase

_AT_ONCE = 500  # rollouts that one statement asks for


def load_analysis_text(registry: RegistryDatabase, rollout: str, name: str) -> str | None:
    """A stored state as it is stored."""
    sql, values = "SELECT state FROM eprocesses WHERE rollout = ? AND name = ?", (rollout, name)
    text: str | None = registry.read_one(sql, values)
    return text


def load_analysis_state(registry: RegistryDatabase, rollout: str, name: str) -> dict[str, Any] | None:
    """A stored state; None where there is none, or none that can be read."""
    return decode_analysis_state(load_analysis_text(registry, rollout, name))


def load_analysis_states(
    registry: RegistryDatabase, rollouts: Sequence[str], name: str
) -> dict[str, dict[str, Any]]:
    """The states of this name of many rollouts; none of those that have none that can be read."""
    found: dict[str, dict[str, Any]] = {}
    for first in range(0, len(rollouts), _AT_ONCE):
        some = rollouts[first : first + _AT_ONCE]
        marks = ", ".join("?" * len(some))
        sql = f"SELECT rollout, state FROM eprocesses WHERE name = ? AND rollout IN ({marks})"
        for rollout, text in registry.read(sql, (name, *some)):
            if state := decode_analysis_state(text):
                found[rollout] = state
    return found


def decode_analysis_state(text: str | None) -> dict[str, Any] | None:
    try:
        found = json.loads(text) if text is not None else None
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


_SAVE_STATE = (
    "INSERT INTO eprocesses (rollout, name, state, watermark, updated_at) VALUES (?, ?, ?, ?, ?) "
    "ON CONFLICT (rollout, name) DO UPDATE SET state = excluded.state, watermark = excluded.watermark, "
    "updated_at = excluded.updated_at"
)


def save_analysis_state(
    registry: RegistryDatabase, rollout: str, name: str, state: dict[str, Any], watermark: int
) -> None:
    row = (rollout, name, json.dumps(state, separators=(",", ":")), watermark, utc_now())
    with registry.write() as connection:
        connection.execute(_SAVE_STATE, row)
