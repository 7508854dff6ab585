"""What a logged run says of each metric; what it says nothing of is left out."""

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from promptops.checks.refusal import declines
from promptops.monitoring.profile import InputProfile, texts
from promptops.providers.types import REFUSAL
from promptops.registry import LogRow

Values = dict[str, float]
_CASES = (str.isupper, str.islower)
_CHARS = 2_000  # of a text whose letters are counted
_MARKUP = ("{", "[", "<")


def is_stable(run: LogRow) -> bool:
    """Whether a run is of the channel's stable side, and not there for a reason of its own."""
    return (run["arm"] or "stable") == "stable" and run["excluded"] is None and run["fallback"] is None


def quality_values(run: LogRow) -> Values:
    failed = run["error_type"] is not None or run["state"] == "interrupted"
    found: Values = {"errors": float(failed)}
    if failed:
        return found
    if run["checks_failed"] is not None:
        found["failed_checks"] = float(run["checks_failed"] > 0)
    if (refused := _refusal(run)) is not None:
        found["refusals"] = refused
    found["cache_hits"] = float(run["cache_source"] is not None)
    if run["cache_source"] is None:
        cost = run["cost_usd"] if run["cost_list_usd"] is None else run["cost_list_usd"]
        numbers = {"latency_ms": run["latency_ms"], "output_tokens": run["output_tokens"], "cost_usd": cost}
        found |= {name: float(value) for name, value in numbers.items() if value is not None and value >= 0}
    return found


def probe_values(run: LogRow, known: Mapping[str, list[str]] | None) -> Values:
    """``known``: hashes of answers by case; None while they are learnt."""
    failed = run["error_type"] is not None or run["state"] == "interrupted"
    found: Values = {"probe_errors": float(failed)}
    if failed:
        return found
    if run["checks_failed"] is not None:
        found["probe_failed_checks"] = float(run["checks_failed"] > 0)
    if (refused := _refusal(run)) is not None:
        found["probe_refusals"] = refused
    if run["output"] is not None:
        found["probe_chars"] = float(len(run["output"]))
    if run["latency_ms"] is not None:
        found["probe_latency_ms"] = float(run["latency_ms"])
    answers, answer = (known or {}).get(run["case_id"] or ""), answer_hash(run)
    if answers and answer:
        found["probe_changed"] = float(answer not in answers)
    return found


def answer_hash(run: LogRow) -> str:
    """Of an answer, also of one that is kept as a hash; empty where it is not."""
    if run["output"] is not None:
        return sha256(run["output"].encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return str(run["output_hash"] or "")[:8]


def last_attempt(run: LogRow) -> Mapping[str, Any]:
    """What is logged of the call that answered."""
    try:
        attempts = json.loads(run["attempts"]) if run["attempts"] else []
    except ValueError:
        return {}
    last = attempts[-1] if isinstance(attempts, list) and attempts else {}
    return last if isinstance(last, dict) else {}


def _refusal(run: LogRow) -> float | None:
    if run["finish_reason"] == REFUSAL:
        return 1.0
    return None if run["output"] is None else float(declines(run["output"]))


def logged_inputs(run: LogRow) -> dict[str, Any] | None:
    """None where they were not kept."""
    try:
        found = json.loads(run["inputs"]) if run["inputs"] else None
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def input_values(inputs: Mapping[str, Any], profile: InputProfile) -> Values:
    words = texts(inputs)
    found: Values = {"input_chars": float(sum(map(len, words)))}
    if words:
        found["empty_inputs"] = float(any(not each.strip() for each in words))
        found["structured_inputs"] = float(max(words, key=len).lstrip().startswith(_MARKUP))
    upper, lower = (sum(sum(map(case, each[:_CHARS])) for each in words) for case in _CASES)
    if upper or lower:
        found["capitals"] = upper / (upper + lower)
    if profile.fixed:
        found |= _against(inputs, profile)
    return found


def _against(inputs: Mapping[str, Any], profile: InputProfile) -> Values:
    known = {
        "novelty": profile.novelty(inputs),
        "new_values": profile.has_new_value(inputs),
        "other_language": profile.is_other_language(inputs),
    }
    return {name: float(value) for name, value in known.items() if value is not None}
