"""What a run is made of before, while and after it is made."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from promptops.checks import CompiledCheck
from promptops.prompt import Check
from promptops.prompt.canonical_json import sha256_hex
from promptops.prompt.render import RenderedPrompt, messages_hash
from promptops.providers.types import ModelError
from promptops.registry.records import FinishedRun, RunKind, StartedRun
from promptops.registry.rows import run_to_json
from promptops.registry.ulid import new_run_id
from promptops.runner.retry import now
from promptops.versions.resolve import Version

if TYPE_CHECKING:  # only channels have one
    from promptops.versions.release_state import ShadowState


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
    shadow: "ShadowState | None" = None  # of the channel: it answers a sample of its runs too


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    started: StartedRun
    finished: FinishedRun
    error: ModelError | None = None

    def as_json(self) -> dict[str, Any]:
        """The object that scripts rely on; the same that ``runs show --json`` gives."""
        return run_to_json(self.started, self.finished)

    @property
    def answer(self) -> str:
        """The text of the answer, or its tool calls as JSON when it has no text."""
        calls = [dict(call) for call in self.finished.tool_calls]
        return self.finished.output or (json.dumps(calls, ensure_ascii=False, indent=2) if calls else "")

    @property
    def passed(self) -> bool:
        checks = self.finished.checks
        return self.finished.error_type is None and all(check.passed for check in checks)


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedRun:
    """A run that can be sent: its inputs accepted, its messages rendered, its row made."""

    version: Version
    origin: RunContext
    rendered: RenderedPrompt
    checks: tuple[CompiledCheck, ...]
    started: StartedRun
    clock: float = field(default_factory=time.perf_counter)

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
    input_tokens: int | None = None
    output_tokens: int | None = None
    error: str | None = None
    error_type: str = "call_failed"
    response_model: str | None = None


def started_run(version: Version, rendered: RenderedPrompt, origin: RunContext) -> StartedRun:
    prompt = version.prompt
    return StartedRun(
        run_id=new_run_id(),
        started_at=now(),
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
        excluded=origin.excluded,
        fallback=origin.fallback,
        shadow_of=origin.shadow_of,
        case_id=origin.case_id,
        trial=origin.trial,
        batch_id=origin.batch_id,
        batch_line=origin.batch_line,
        eval_id=origin.eval_id,
        arm=origin.arm,
        parameters=prompt.parameters,
        overrides=origin.overrides,
        inputs=rendered.inputs,
        inputs_hash=_hash(rendered.inputs),
        metadata=origin.metadata,
    )


def _hash(value: Any) -> str:
    return sha256_hex(json.dumps(value, sort_keys=True, ensure_ascii=True).encode())
