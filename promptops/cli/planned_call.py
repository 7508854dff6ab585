"""The one call that ``run`` makes: which version it meets, and what is logged of how that came."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from promptops.cli.options.common import read_inputs
from promptops.cli.options.overrides import apply_overrides, local_model_override
from promptops.config.settings import Settings
from promptops.dataclass import dataclass
from promptops.prompt import Prompt
from promptops.runner import PreparedRun, Run, RunContext, Runner
from promptops.versions.references import Reference, parse_reference
from promptops.versions.resolve import resolve_version, with_provenance

if TYPE_CHECKING:  # only channels are served, and few runs go on from others
    from promptops.runner.conversation import EarlierTurn
    from promptops.runner.routing import RoutingDecision


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """What the command line says of a call."""

    inputs: Sequence[str] | None
    inputs_file: str | None
    model: str | None
    overrides: Mapping[str, Any]
    metadata: Mapping[str, Any]
    unit: str | None
    earlier: "EarlierTurn | None" = None  # the run that it goes on from
    text: str | None = None  # the message that follows it
    reads_stdin: bool = True  # for the one text that is missing
    converses: bool = False  # whether it is a turn of a conversation, perhaps the first one


@dataclass(frozen=True, slots=True)
class PlannedCall:
    """``prepare_routed_run`` makes it ready to be sent, by promptops itself or (with False) by the caller."""

    ready: Callable[[Runner, bool], PreparedRun]
    ended: Callable[[Run], object] = id  # nothing is to be done
    answered: Callable[[Run], object] = id  # called when the answer is out


@contextmanager
def plan_call(
    reference: str, settings: Settings, given: RunOptions, *, log: bool = True
) -> Iterator[PlannedCall]:
    """The call that a reference asks for; what it needs is open as long as the context is."""
    parsed = parse_reference(reference, settings)
    if parsed.channel is None:
        yield _version_call(reference, settings, given, log=log)
        return
    with _channel_call(parsed, settings, given, log=log) as call:
        yield call


def _version_call(reference: str, settings: Settings, given: RunOptions, *, log: bool) -> PlannedCall:
    version = with_provenance(resolve_version(reference, settings), settings)
    version, overrides = apply_overrides(
        version, given.model or local_model_override(version), given.overrides
    )
    values = read_inputs(version.prompt, given.inputs, given.inputs_file, stdin=given.reads_stdin)
    origin = RunContext(overrides=overrides, metadata=given.metadata)
    if log and given.unit is not None:
        origin = with_unit_hash(origin, given.unit, settings)
    return PlannedCall(lambda runner, called: runner.ready(version, values, origin, called=called))


def with_unit_hash(origin: RunContext, unit: str, settings: Settings) -> RunContext:
    from promptops.registry import RegistryDatabase, unit_key

    with RegistryDatabase.open(settings.registry) as registry:
        key = unit_key(registry)
    return replace(origin, unit_hash=key.hash(unit), unit_key_id=key.id)


@contextmanager
def _channel_call(
    reference: Reference, settings: Settings, given: RunOptions, *, log: bool
) -> Iterator[PlannedCall]:
    from promptops.runner.routing import GitSource, Router, prepare_routed_run

    with Router(GitSource(settings), settings.registry, log=log) as serving:
        placed = serving.place(reference, given.unit, given.metadata)
        apply_overrides(placed.version, given.model or local_model_override(placed.version), given.overrides)
        values = read_inputs(_input_declaring_prompt(placed), given.inputs, given.inputs_file)
        yield PlannedCall(
            lambda runner, called: prepare_routed_run(
                runner, placed, values, called=called, metadata=given.metadata
            ),
            serving.ended,
            lambda run: drain_shadow(run, settings),
        )


def drain_shadow(run: Run, settings: Settings) -> None:
    if run.finished.shadow is None:
        return
    from promptops.evaluation.shadow.live.spawn import start_drain

    start_drain(settings)


def _input_declaring_prompt(placed: "RoutingDecision") -> Prompt:
    """The prompt by whose inputs values are read: stable's are what callers know, a canary may add some."""
    prompt = placed.version.prompt
    if placed.stable is None:
        return prompt
    added: dict[str, Any] = {name: replace(one, required=False) for name, one in prompt.inputs.items()}
    return replace(placed.stable.prompt, inputs=added | dict(placed.stable.prompt.inputs))
