"""How runs look in tables."""

from calendar import timegm
from time import strptime, time
from typing import Any

from promptops.providers.types import TRUNCATED

_STEPS = ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s"))
_DIGEST_SHOWN = len("sha256:") + 7


def format_age(started_at: str) -> str:
    """How long ago, in the largest unit that fits: 45s, 12m, 3h, 8d."""
    seconds = max(0, int(time()) - timegm(strptime(started_at[:19], "%Y-%m-%dT%H:%M:%S")))
    return next((f"{seconds // size}{unit}" for size, unit in _STEPS if seconds >= size), "0s")


def run_version(run: dict[str, Any]) -> str:
    """The version that ran, as it can be pasted back. Edits that no commit has go by their digest."""
    if run["version"]:
        return f"{run['prompt']}@{run['version']}"
    if run["commit_sha"] and not run["dirty"] and not run["overrides"]:
        return f"{run['prompt']}@{run['commit_sha'][:7]}"
    return f"{run['prompt']}@{run['digest'][:_DIGEST_SHOWN]}"


def run_result(run: dict[str, Any]) -> str:
    """How a run ended, with a mark where its answer was cut off at ``max_tokens``."""
    return f"{_result(run)} (cut off)" if run["finish_reason"] == TRUNCATED else _result(run)


def _result(run: dict[str, Any]) -> str:
    if run["error"]:
        return str(run["error"]["type"])
    if run["state"] != "finished":
        return str(run["state"])
    failed = sum(not check["pass"] for check in run["checks"])
    return f"{failed} failed" if failed else "ok"


def guard_deed(on: str, did: str) -> str:
    """What a guard did, as ``blocked the input``."""
    return f"{did} the {on}" if did in ("blocked", "redacted", "flagged", "allowed") else f"{did} it"


def eval_cell(rate: float | None, cases: int | None, finished_at: str | None) -> str | None:
    """The latest eval: how many of its cases passed, and how long ago that was."""
    if rate is None or finished_at is None:
        return None
    return f"{rate:.0%} of {cases:,}, {format_age(finished_at)}"
