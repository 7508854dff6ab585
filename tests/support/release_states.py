"""Release states for tests, written as the ledger keeps them."""

import json
from collections.abc import Mapping
from typing import Any

from promptops.versions.resolve import resolve_version
from support.git_repositories import GitFolder

STATE = "refs/heads/promptops-state"
PLAN = "sha256:" + "1f" * 32


def released(folder: GitFolder, name: str, rev: str, version: str) -> dict[str, Any]:
    """A version as a channel names it."""
    found = resolve_version(f"{name}@{rev}", folder.settings())
    return {"version": version, "digest": f"sha256:{found.prompt.digest}", "commit": found.commit_sha}


def rollout(canary: Mapping[str, Any], name: str, **more: Any) -> dict[str, Any]:
    """A canary that half of all units meet."""
    return {
        "id": "r-1",
        "canary": canary,
        "plan": PLAN,
        "phase": "progressing",
        "weight_bp": 5000,
        "salt": f"{name}/production/{canary['digest']}",
        "unit": "session",
    } | more


def write_state(
    folder: GitFolder,
    name: str,
    stable: Mapping[str, Any],
    canary: Mapping[str, Any] | None = None,
    *,
    files: Mapping[str, str] | None = None,
    ref: str = STATE,
    **more: Any,
) -> str:
    """Commit what ``NAME:production`` serves; ``more`` is said of the rollout."""
    channel: dict[str, Any] = {"stable": stable}
    if canary:
        channel["rollout"] = rollout(canary, name, **more)
    state = {"prompt": name, "generation": 1, "channels": {"production": channel}}
    return folder.branch_from_files(ref, {f"releases/{name}.yaml": json.dumps(state), **(files or {})})
