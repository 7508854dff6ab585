"""One request in; one completion or one ModelError out."""

from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Any, Literal, Protocol

from promptops.dataclass import dataclass
from promptops.errors import ExitCode, PromptopsError
from promptops.redaction import redact

ErrorType = Literal[
    "authentication",
    "not_found",
    "bad_request",
    "content_filter",
    "context_exceeded",
    "rate_limit",
    "timeout",
    "connection",
    "server",
    "malformed_reply",
    "cut_off",
    "interrupted",
    "call_failed",  # as a caller with a model client of its own reports it
]
RETRYABLE_ERRORS: frozenset[str] = frozenset(
    {"rate_limit", "timeout", "connection", "server", "malformed_reply", "cut_off"}
)
CALLER_ERRORS: frozenset[str] = frozenset({"authentication", "not_found", "bad_request", "context_exceeded"})

REFUSAL = "refusal"
"""The finish reason of an answer that the provider marked as a refusal."""

TRUNCATED = "length"
"""The finish reason of an answer that was cut off at the most tokens it may have."""

OnText = Callable[[str], None]
"""Called with each piece of text as it arrives."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletionRequest:
    """What is asked of a model. ``model`` is in litellm's notation (``openai/gpt-5.4-mini-2026-03-17``)."""

    model: str
    messages: tuple[Mapping[str, Any], ...]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    tools: tuple[Mapping[str, Any], ...] = ()
    output_schema: Mapping[str, Any] | None = None
    timeout: float = 120.0  # seconds, for the whole call
    stream: bool = False
    bodies: dict[str, bytes] = field(default_factory=dict, init=False, repr=False, compare=False)
    """What adapters have made of it, by their names: it is sent, and it is the key of a cached reply."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """What a model answered. Token counts are None where the provider did not say.

    ``cost_usd`` is what a provider says that it billed, ``service_tier`` the tier that it says has answered.
    """

    text: str
    response_model: str
    finish_reason: str | None = None
    tool_calls: tuple[Mapping[str, Any], ...] = ()
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    cache_write_1h_tokens: int | None = None  # of those
    reasoning_tokens: int | None = None
    input_audio_tokens: int | None = None
    input_image_tokens: int | None = None
    output_audio_tokens: int | None = None
    output_image_tokens: int | None = None
    cost_usd: float | None = None
    service_tier: str | None = None
    system_fingerprint: str | None = None  # of what has answered, where the provider tells it
    response_id: str | None = None
    first_token_ms: float | None = None
    reasoning: str | None = None  # what the model thought aloud: no part of its answer

    @property
    def is_refusal(self) -> bool:
        """Whether the model declined: that is an answer, which no repair changes."""
        return self.finish_reason == REFUSAL

    @property
    def is_metered(self) -> bool:
        """Whether the provider said what it counts."""
        counted = (self.input_tokens, self.output_tokens, self.cost_usd)
        return any(count is not None for count in counted)

    @property
    def is_truncated(self) -> bool:
        return self.finish_reason == TRUNCATED


class ModelError(PromptopsError):
    """A call that gave no valid completion; ``type`` says why, ``partial`` holds the text that had come.

    ``completion`` is a generation that came and did not end well: it is paid for. ``run_id`` is the logged
    run's, where an application is told of the failure by this error alone.
    """

    def __init__(
        self,
        type: ErrorType,  # noqa: A002 - the field's name in every log row and JSON line
        message: str,
        *,
        status: int | None = None,
        retry_after: float | None = None,
        partial: str = "",
        hint: str = "",
    ) -> None:
        super().__init__(redact(message), hint=redact(hint))
        self.type: ErrorType = type
        self.status = status
        self.retry_after = retry_after  # seconds
        self.partial = partial
        self.completion: Completion | None = None
        self.run_id: str | None = None

    @property
    def retryable(self) -> bool:
        return self.type in RETRYABLE_ERRORS

    @property
    def exit_code(self) -> int:  # type: ignore[override]  # fixed by the type of the failure, not by the class
        return ExitCode.INVALID if self.type in CALLER_ERRORS else ExitCode.UNAVAILABLE


class ModelClient(Protocol):
    """A way to reach models. One adapter may serve many calls at once."""

    name: str

    async def complete(self, request: CompletionRequest, on_text: OnText | None = None) -> Completion:
        """Make the call once: no retries. Raises ModelError."""
        ...

    def identity(self, request: CompletionRequest) -> tuple[str, str, bytes]:
        """Adapter, base URL and the exact request body: with the trial, the key of a cached reply."""
        ...

    async def aclose(self) -> None: ...
