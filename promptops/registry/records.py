"""What is written to the registry about one run. Times are ISO-8601 UTC text with milliseconds and ``Z``."""

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any, Literal, Protocol

from promptops.dataclass import dataclass

PARENT = "parent"
"""In a run's metadata: the run that it goes on from, whose messages and answer its inputs hold."""

RunKind = Literal["run", "batch", "eval", "shadow", "judge", "probe"]
RunState = Literal["started", "finished", "failed", "interrupted"]
GuardDeed = Literal["passed", "blocked", "redacted", "flagged", "retried", "replaced", "allowed"]
"""``allowed``: the check could not say, and the guard lets pass what it cannot judge."""


class LogRow(Protocol):
    """What was read of a run, by the names of the columns."""

    def __getitem__(self, key: str, /) -> Any: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """What one check said of one output; ``value`` is the number behind it where there is one.

    ``error``: the check could not say, which is not a pass. ``asked`` are the further calls that it took, and
    ``failed`` those of them that gave no verdict: a figure of its own, never a score. ``weight`` is the
    check's share in a weighted score; it belongs to the prompt's checks and is not logged.
    """

    name: str
    passed: bool
    value: float | None = None
    message: str = ""
    error: bool = False
    asked: int = 0
    failed: int = 0
    weight: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardDecision:
    """What one guard did with an input or an answer, and what that took."""

    guard: str
    on: Literal["input", "output"]
    did: GuardDeed
    why: str = ""
    error: bool = False  # its check could not say
    ms: float = 0.0
    usd: float | None = 0.0  # of the calls that it made; None where their price is unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class StartedRun:
    """Everything known before the model is called."""

    run_id: str
    started_at: str
    reference: str  # as the person wrote it
    prompt: str
    digest: str  # 64 hex digits
    request_model: str
    messages_hash: str  # sha256 of the rendered messages
    kind: RunKind = "run"
    source: str = ""  # where the version was read: "working tree", "index", or a commit
    commit_sha: str | None = None
    dirty: bool = False
    version: str | None = None  # v13, once released
    channel: str | None = None
    rollout: str | None = None
    arm: str | None = None
    weight_bp: int | None = None
    unit_hash: str | None = None
    unit_key_id: str | None = None  # which key the unit was hashed with
    excluded: str | None = None  # why this run is not evidence of a rollout: forced, breaker, …
    fallback: str | None = None  # why the canary could not be sent and stable answered in its place
    case_id: str | None = None
    trial: int = 0
    shadow_of: str | None = None
    batch_id: str | None = None
    batch_line: int | None = None
    eval_id: str | None = None
    tenant: str | None = None  # whose key a call of the gateway had
    api_key: str | None = None  # the id of that key
    parameters: Mapping[str, Any] = field(default_factory=dict)
    overrides: Mapping[str, Any] = field(default_factory=dict)  # what --model and --set changed
    inputs: Mapping[str, Any] | None = None  # None when the settings say not to keep them
    inputs_hash: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    nonce: str | None = None  # of the tags around its untrusted inputs
    redacted_inputs: Mapping[str, int] | None = None  # how many values of each kind were replaced
    log: Mapping[str, Any] = field(default_factory=dict)  # the rules of its prompt on that; not a column


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedRun:
    """How the run ended. Costs are None when the price is unknown, never 0."""

    finished_at: str
    state: RunState
    response_model: str | None = None
    output: str | None = None
    output_hash: str | None = None
    tool_calls: Sequence[Mapping[str, Any]] = ()
    finish_reason: str | None = None
    response_id: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    cost_usd: float | None = None
    cost_list_usd: float | None = None
    spent_usd: float | None = None
    latency_ms: float | None = None
    first_token_ms: float | None = None
    attempts: Sequence[Mapping[str, Any]] = ()  # one per model call: {model, started_at, latency_ms, error?}
    cache_key: str | None = None
    cache_source: str | None = None  # run_id whose reply was reused
    error_type: str | None = None
    error_message: str | None = None
    retryable: bool | None = None
    checks: Sequence[CheckResult] = ()
    redacted_outputs: Mapping[str, int] | None = None
    held: str | None = None  # waiting (for a person to release the answer), released or rejected
    guards: Sequence[GuardDecision] = ()  # in the order in which they looked
    shadow: Mapping[str, str] | None = None  # {prompt, channel, digest} of who answers these inputs too
