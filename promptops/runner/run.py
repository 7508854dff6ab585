"""What a run is made of before, while and after it is made."""

import hmac
import json
import os
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import TYPE_CHECKING, Any

from promptops.checks import CompiledCheck
from promptops.checks.json import schema_mismatch
from promptops.config.clock import utc_now
from promptops.dataclass import dataclass
from promptops.errors import Invalid
from promptops.prompt import Check
from promptops.prompt.canonical_json import sha256_hex
from promptops.prompt.mock_parameters import MOCK, find_mock_parameter
from promptops.prompt.render import RenderedPrompt, messages_hash
from promptops.prompt.tool_calls import CALLS_SCHEMA, answer_text
from promptops.prompt.untrusted import NO_NONCE
from promptops.providers.errors import sanitize_line
from promptops.providers.types import TRUNCATED, ModelError
from promptops.registry import (
    CheckResult,
    FinishedRun,
    GuardDecision,
    RunKind,
    StartedRun,
    parse_output_json,
    run_to_json,
)
from promptops.runner.caller_tools import NO_TOOLS, CallerTools
from promptops.versions.resolve import Version

if TYPE_CHECKING:  # only channels have one, and only some prompts
    from promptops.guards import Guarding
    from promptops.versions.release_state import ShadowState

BLOCKED = frozenset({"input_blocked", "output_blocked"})
"""The types of error of runs that a guard has blocked."""
_MAX_NAME = 200  # of a model that a caller names
_ERROR_TYPE = re.compile(r"[A-Za-z_][\w.-]{0,80}", re.ASCII)
_NONCE_KEY = os.urandom(32)
_SORTED_JSON = json.JSONEncoder(sort_keys=True)


@dataclass(frozen=True, slots=True)
class RunIdentity:
    """Who a run is that is made more than once: its id, and the code of its tags around untrusted inputs."""

    run_id: str
    nonce: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunContext:
    """How a run came about; everything that is neither the version nor its inputs."""

    kind: RunKind = "run"
    overrides: Mapping[str, Any] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    case_id: str | None = None
    trial: int = 0
    expected: Any = None
    checks: Sequence[Check] = ()  # beside the prompt's own
    unit_hash: str | None = None
    batch_id: str | None = None
    batch_line: int | None = None
    eval_id: str | None = None
    arm: str | None = None
    rollout: str | None = None
    weight_bp: int | None = None
    unit_key_id: str | None = None
    excluded: str | None = None
    fallback: str | None = None
    shadow_of: str | None = None
    redacted: Mapping[str, int] | None = None  # replaced in the inputs before, where they are of the log
    log: Mapping[str, Any] = field(default_factory=dict)  # rules on redaction of whose text is in the inputs
    tenant: str | None = None
    api_key: str | None = None
    caller_tools: CallerTools = NO_TOOLS  # of the call alone
    shadow: "ShadowState | None" = None  # of the channel: it answers a sample of its runs too
    identity: RunIdentity | None = None  # None: a run like no other


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One model call as it is logged. Applications read its properties; the rows below them may change."""

    started: StartedRun
    finished: FinishedRun
    error: ModelError | None = None

    @property
    def id(self) -> str:
        return self.started.run_id

    @property
    def text(self) -> str:
        """The text of the answer; empty where there is none, or where it is held."""
        return self.finished.output or ""

    @property
    def held(self) -> bool:
        """Whether a person has to release the answer first, which therefore is not here."""
        return self.finished.held is not None

    @property
    def blocked(self) -> bool:
        """Whether a guard has blocked the inputs, so that no model was called, or the answer."""
        return self.finished.error_type in BLOCKED

    @property
    def message(self) -> str:
        """What the caller of a blocked call is to be told; else empty."""
        return (self.finished.error_message or "") if self.blocked else ""

    @property
    def guards(self) -> tuple[GuardDecision, ...]:
        """What each guard did, in the order in which they looked."""
        return tuple(self.finished.guards)

    @property
    def tool_calls(self) -> list[dict[str, Any]]:
        """The tools that the model asks for, as OpenAI writes them."""
        return [dict(call) for call in self.finished.tool_calls]

    @property
    def output_json(self) -> Any:
        """The text parsed, where it is a JSON object or array; else None."""
        return parse_output_json(self.finished.output)

    @property
    def answer(self) -> str:
        """The text of the answer, and its tool calls as JSON behind it."""
        return answer_text(self.text, self.tool_calls)

    @property
    def truncated(self) -> bool:
        """Whether the answer was cut off at the most tokens that it may have."""
        return self.finished.finish_reason == TRUNCATED

    @property
    def full_text(self) -> str:
        """All that the model wrote, where ``text`` is the JSON that was found in it; else the same.

        An answer from the cache has it in the run that it came from.
        """
        return str(self._last_attempt.get("full_text", self.text))

    @property
    def reasoning(self) -> str | None:
        """What the model thought aloud, where it did and the provider sent it; not for cached answers."""
        return self._last_attempt.get("reasoning")

    @property
    def _last_attempt(self) -> Mapping[str, Any]:
        return self.finished.attempts[-1] if self.finished.attempts else {}

    @property
    def passed(self) -> bool:
        """Whether there is an answer without an error, and every check passed."""
        return self.finished.error_type is None and all(check.passed for check in self.checks)

    @property
    def checks(self) -> tuple[CheckResult, ...]:
        """The result of each check: its name, whether it passed, its value and message."""
        return tuple(self.finished.checks)

    @property
    def finish_reason(self) -> str | None:
        """Why the model stopped, in the provider's word, such as stop, length or tool_calls."""
        return self.finished.finish_reason

    @property
    def prompt(self) -> str:
        return self.started.prompt

    @property
    def digest(self) -> str:
        """``sha256:`` and the digest of the version that answered."""
        return f"sha256:{self.started.digest}"

    @property
    def version(self) -> str | None:
        """The released number, such as v12; None for a version that is not released."""
        return self.started.version

    @property
    def channel(self) -> str | None:
        return self.started.channel

    @property
    def arm(self) -> str | None:
        """Stable or canary while there is a canary; else None."""
        return self.started.arm

    @property
    def model(self) -> str:
        """The model that answered, in the provider's words; where it did not say, the one that was asked."""
        return self.finished.response_model or self.started.request_model

    @property
    def input_tokens(self) -> int | None:
        """None where the provider did not say, as for the other counts of tokens."""
        return self.finished.input_tokens

    @property
    def output_tokens(self) -> int | None:
        return self.finished.output_tokens

    @property
    def cached_tokens(self) -> int | None:
        """The input tokens that the provider had in its cache."""
        return self.finished.cached_tokens

    @property
    def reasoning_tokens(self) -> int | None:
        return self.finished.reasoning_tokens

    @property
    def cost_usd(self) -> float | None:
        """Of all attempts that were answered; None where the price is unknown, never 0."""
        return self.finished.cost_usd

    @property
    def latency_ms(self) -> float | None:
        """With retries and fallbacks."""
        return self.finished.latency_ms

    @property
    def first_token_ms(self) -> float | None:
        """Until the first text of a stream came."""
        return self.finished.first_token_ms

    def as_json(self) -> dict[str, Any]:
        """The object that scripts rely on; the same that ``runs show --json`` gives."""
        return run_to_json(self.started, self.finished)


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedRun:
    """A run that can be sent: its inputs accepted, its messages rendered, its row made."""

    version: Version
    origin: RunContext
    rendered: RenderedPrompt
    checks: tuple[CompiledCheck, ...]
    started: StartedRun
    guarding: "Guarding | None" = None  # the guards of the prompt, where it has some
    clock: float = field(default_factory=time.perf_counter)

    @property
    def is_reviewed(self) -> bool:
        """Whether a person has to release its answer: of calls that serve somebody."""
        served = self.started.channel is not None and self.started.kind in ("run", "batch")
        return served and self.version.prompt.review == "required"

    def as_json(self) -> dict[str, Any]:
        """What a caller with a model client of its own needs, and the id to finish the run by."""
        prompt = self.version.prompt
        return {
            "run_id": self.started.run_id,
            "digest": f"sha256:{prompt.digest}",
            "arm": self.started.arm,
            "model": prompt.model,
            "parameters": dict(prompt.parameters),
            "tools": [dict(tool) for tool in prompt.tools],
            "messages": list(self.rendered.messages),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedResult:
    """What a caller says came of a call that it made itself: an output, or why there is none."""

    output: str | None = None
    tool_calls: Sequence[Mapping[str, Any]] | None = None  # as OpenAI writes them; None for not known
    input_tokens: int | None = None
    output_tokens: int | None = None
    error: str | None = None
    error_type: str = "call_failed"
    response_model: str | None = None

    def __post_init__(self) -> None:
        """What somebody else has caught is one line without keys, as our own errors are.

        Raises Invalid for tool calls in another form.
        """
        if self.tool_calls is not None:
            calls = [*self.tool_calls] if isinstance(self.tool_calls, Sequence) else self.tool_calls
            if problem := schema_mismatch(calls, CALLS_SCHEMA, "tool_calls"):
                raise Invalid(problem, hint="each is {id, type: function, function: {name, arguments}}")
            object.__setattr__(self, "tool_calls", tuple(calls))
        if self.error is not None:
            object.__setattr__(self, "error", sanitize_line(self.error))
        if not _ERROR_TYPE.fullmatch(self.error_type):
            object.__setattr__(self, "error_type", "call_failed")
        if self.response_model is not None:
            object.__setattr__(self, "response_model", sanitize_line(self.response_model)[:_MAX_NAME])

    def model_error(self, run_id: str) -> ModelError | None:
        if self.error is None:
            return None
        error = ModelError("interrupted" if self.error_type == "interrupted" else "call_failed", self.error)
        error.run_id = run_id
        return error


def request_nonce(run_id: str) -> str:
    """The code of the tags around untrusted inputs: of this request alone, and known to nobody before."""
    return hmac.digest(_NONCE_KEY, run_id.encode(), "sha256").hex()[: len(NO_NONCE)]


def started_run(version: Version, rendered: RenderedPrompt, origin: RunContext, run_id: str) -> StartedRun:
    prompt = version.prompt
    return StartedRun(
        run_id=run_id,
        nonce=rendered.nonce or None,
        started_at=utc_now(),
        reference=version.reference,
        prompt=prompt.name,
        digest=prompt.digest,
        request_model=prompt.model,
        messages_hash=messages_hash(rendered.messages),
        kind=origin.kind,
        source=version.source,
        commit_sha=version.commit_sha,
        dirty=version.dirty,
        version=version.version,
        channel=version.channel,
        rollout=origin.rollout,
        weight_bp=origin.weight_bp,
        unit_hash=origin.unit_hash,
        unit_key_id=origin.unit_key_id,
        excluded=origin.excluded or (MOCK if find_mock_parameter(prompt) else None),
        fallback=origin.fallback,
        shadow_of=origin.shadow_of,
        case_id=origin.case_id,
        trial=origin.trial,
        batch_id=origin.batch_id,
        batch_line=origin.batch_line,
        eval_id=origin.eval_id,
        tenant=origin.tenant,
        api_key=origin.api_key,
        arm=origin.arm,
        parameters={**prompt.parameters, **origin.caller_tools.parameters},
        overrides={**origin.overrides, "caller_tools": names}
        if (names := origin.caller_tools.names)
        else origin.overrides,
        inputs=rendered.inputs,
        inputs_hash=_hash(rendered.inputs),
        metadata=origin.metadata,
        redacted_inputs=origin.redacted,
        log=_merge_rules(prompt.log, origin.log),
    )


def _merge_rules(one: Mapping[str, Any], other: Mapping[str, Any]) -> Mapping[str, Any]:
    """What is redacted by either; ``keep`` is that of the first that says it."""
    if not other:
        return one
    return {**other, **one, "redact": [*one.get("redact", ()), *other.get("redact", ())]}


def _hash(value: Any) -> str:
    return sha256_hex(_SORTED_JSON.encode(value).encode())
