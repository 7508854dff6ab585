"""The one call that ``run`` makes: which version it meets, and what is logged of how that came."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from promptops.cli.options.common import read_inputs
from promptops.cli.options.overrides import local_weights, overridden
from promptops.config.settings import Settings
from promptops.prompt import Prompt
from promptops.runner import Origin, Prepared, Run, Runner
from promptops.versions.references import Reference, parse_reference
from promptops.versions.resolve import provenance, resolve

if TYPE_CHECKING:  # only channels are served
    from promptops.runner.routing import Placement


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What the command line says of a call."""

    inputs: Sequence[str] | None
    inputs_file: str | None
    model: str | None
    overrides: Mapping[str, Any]
    metadata: Mapping[str, Any]
    unit: str | None


@dataclass(frozen=True, slots=True)
class Call:
    """``ready`` makes it ready to be sent, by promptops itself or (with False) by the caller."""

    ready: Callable[[Runner, bool], Prepared]
    ended: Callable[[Run], object] = id  # nothing is to be done
    answered: Callable[[Run], object] = id  # called when the answer is out


@contextmanager
def the_call(reference: str, settings: Settings, given: Given, *, log: bool = True) -> Iterator[Call]:
    """The call that a reference asks for; what it needs is open as long as the context is."""
    wanted = parse_reference(reference, settings)
    if wanted.channel is None:
        yield _version_call(reference, settings, given, log=log)
        return
    with _channel_call(wanted, settings, given, log=log) as call:
        yield call


def _version_call(reference: str, settings: Settings, given: Given, *, log: bool) -> Call:
    version = provenance(resolve(reference, settings), settings)
    version, overrides = overridden(version, given.model or local_weights(version), given.overrides)
    values = read_inputs(version.prompt, given.inputs, given.inputs_file)
    origin = Origin(overrides=overrides, metadata=given.metadata)
    if log and given.unit is not None:
        origin = _of_unit(origin, given.unit, settings)
    return Call(lambda runner, called: runner.ready(version, values, origin, called=called))


def _of_unit(origin: Origin, unit: str, settings: Settings) -> Origin:
    from promptops.registry.runs.unit_hash import unit_key
    from promptops.registry.store import Registry

    with Registry.open(settings.registry) as registry:
        key = unit_key(registry)
    return replace(origin, unit_hash=key.hash(unit), unit_key_id=key.id)


@contextmanager
def _channel_call(reference: Reference, settings: Settings, given: Given, *, log: bool) -> Iterator[Call]:
    from promptops.runner.routing import GitSource, Serving, ready

    with Serving(GitSource(settings), settings.registry, log=log) as serving:
        placed = serving.place(reference, given.unit, given.metadata)
        overridden(placed.version, given.model or local_weights(placed.version), given.overrides)
        values = read_inputs(_declaring(placed), given.inputs, given.inputs_file)
        yield Call(
            lambda runner, called: ready(runner, placed, values, called=called, metadata=given.metadata),
            serving.ended,
            lambda run: _shadow(run, settings),
        )


def _shadow(run: Run, settings: Settings) -> None:
    if run.finished.shadow is None:
        return
    from promptops.evaluation.shadow.live.spawn import start_drain

    start_drain(settings)


def _declaring(placed: "Placement") -> Prompt:
    """The prompt by whose inputs values are read: stable's are what callers know, a canary may add some."""
    prompt = placed.version.prompt
    if placed.stable is None:
        return prompt
    added: dict[str, Any] = {name: replace(one, required=False) for name, one in prompt.inputs.items()}
    return replace(placed.stable.prompt, inputs=added | dict(placed.stable.prompt.inputs))
