"""One input answered by two versions. Made of logged runs alone, however those came to be."""

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any, Literal

from promptops.dataclass import dataclass
from promptops.prompt.tool_calls import comparable_answer, comparable_calls
from promptops.providers.types import RETRYABLE_ERRORS, TRUNCATED
from promptops.registry import PREFERENCE, SIMILARITY

Arm = Literal["control", "candidate"]
ARMS: tuple[Arm, Arm] = ("control", "candidate")
UNANSWERED_ERRORS = RETRYABLE_ERRORS | {"authentication", "not_found", "interrupted"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowAnswer:
    """One version's answer. ``error``: a type; ``failed``: "name: why" of each check.

    ``output`` holds the text and the tool calls, ``calls`` the latter alone.
    """

    run_id: str
    output: str | None
    calls: str = ""
    error: str | None = None
    message: str = ""
    failed: tuple[str, ...] = ()
    checks: Mapping[str, bool] = field(default_factory=dict)
    latency_ms: float | None = None
    cost_usd: float | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    truncated: bool = False  # cut off at the most tokens it may have

    @property
    def answered(self) -> bool:
        """Whether the provider gave an answer, be it a wrong one: else nothing is known of the version."""
        return self.error not in UNANSWERED_ERRORS

    @property
    def passed(self) -> bool:
        return self.error is None and all(self.checks.values())

    @property
    def problems(self) -> tuple[str, ...]:
        return (*((f"{self.error}: {self.message}",) if self.error else ()), *self.failed)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowPair:
    """``source``: the run whose inputs they are; ``preference``: 1 where a judge prefers the candidate.

    ``similarity``: the cosine of both answers' vectors, where a model was asked for them.
    """

    number: int
    source: str | None
    inputs: Mapping[str, Any]
    tags: tuple[str, ...]
    control: ShadowAnswer
    candidate: ShadowAnswer
    first: Arm = "control"  # which was asked first
    preference: float | None = None
    similarity: float | None = None

    @property
    def answered(self) -> bool:
        return self.control.answered and self.candidate.answered


def answer_from_run(run: Mapping[str, Any]) -> ShadowAnswer:
    """From a run as ``runs show --json`` has it."""
    error = run["error"] or {}
    return ShadowAnswer(
        run_id=run["run_id"],
        output=comparable_answer(run["output"], run["tool_calls"]),
        calls=comparable_calls(run["tool_calls"]),
        error=error.get("type"),
        message=error.get("message") or "",
        failed=tuple(
            f"{each['name']}: {each['message']}" if each["message"] else each["name"]
            for each in run["checks"]
            if not each["pass"]
        ),
        checks={each["name"]: each["pass"] for each in run["checks"]},
        latency_ms=run["latency_ms"],
        cost_usd=run["cost_list_usd"] if run["cost_list_usd"] is not None else run["cost_usd"],
        input_tokens=run["input_tokens"],
        output_tokens=run["output_tokens"],
        truncated=run["finish_reason"] == TRUNCATED,
    )


def pair_from_runs(number: int, runs: Sequence[Mapping[str, Any]]) -> ShadowPair | None:
    """The pair that logged runs make, the last of each side; None where one side has not ended."""
    by_arm = {run["arm"]: run for run in runs if run["state"] != "started"}
    control, candidate = by_arm.get("control"), by_arm.get("candidate")
    return None if control is None or candidate is None else build_pair(number, control, candidate)


def build_pair(number: int, control: Mapping[str, Any], candidate: Mapping[str, Any]) -> ShadowPair:
    """The pair of two logged runs; the control may as well be the run that a user was answered with."""
    return ShadowPair(
        number=number,
        source=candidate["shadow_of"],
        inputs=candidate["inputs"] or {},
        tags=tags_in(candidate["metadata"]),
        control=answer_from_run(control),
        candidate=answer_from_run(candidate),
        first="candidate" if candidate["trial"] < control["trial"] else "control",
        preference=pair_score(candidate, PREFERENCE),
        similarity=pair_score(candidate, SIMILARITY),
    )


def pair_score(candidate: Mapping[str, Any], name: str) -> float | None:
    """What was found of a pair, which is logged beside its candidate's run; the last counts."""
    values = [float(each["value"]) for each in candidate.get("outcomes", ()) if each["name"] == name]
    return values[-1] if values else None


def tags_in(metadata: Mapping[str, Any]) -> tuple[str, ...]:
    tags = metadata.get("tags") or ()
    return (tags,) if isinstance(tags, str) else tuple(map(str, tags))
