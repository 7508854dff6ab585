"""Changes that need no test: a model or a fingerprint that never came with an answer before."""

from promptops.dataclass import dataclass
from promptops.monitoring.state import TargetState
from promptops.monitoring.values import last_attempt
from promptops.registry import LogRow

_AFTER = {"response_model": 50, "probe_response_model": 1, "fingerprint": 30}
"""Answers with other names before a new one is a change: an alias may stand for several from the start."""
_LONGEST = 200


@dataclass(frozen=True, slots=True)
class NameChange:
    metric: str
    asked: str
    name: str
    before: str  # what came most often
    night: str
    seq: int


def new_names(state: TargetState, run: LogRow, *, probe: bool) -> list[NameChange]:
    """What is new in how the provider calls what has answered this run."""
    if run["cache_source"] is not None or run["error_type"] is not None:
        return []
    attempt = last_attempt(run)
    asked = str(attempt.get("model") or run["request_model"])
    found = []
    after = _AFTER["probe_response_model" if probe else "response_model"]
    names = [(state.models, "response_model", run["response_model"], after)]
    if probe:
        fingerprint = attempt.get("system_fingerprint")
        names.append((state.fingerprints, "fingerprint", fingerprint, _AFTER["fingerprint"]))
    for known, metric, said, least in names:
        if not isinstance(said, str) or not said:
            continue
        name = said[:_LONGEST]
        earlier = known.seen.get(asked, {})
        before = max(earlier, key=lambda each: earlier[each], default="")
        if known.is_new(asked, name, least):
            found.append(NameChange(metric, asked, name, before, run["started_at"][:10], run["seq"]))
    return found
