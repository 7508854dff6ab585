"""The call behind a turn of a conversation: its first one, or one that goes on from an earlier run."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from promptops.cli.options.common import read_inputs
from promptops.cli.options.overrides import apply_overrides, local_model_override
from promptops.cli.planned_call import PlannedCall, RunOptions, drain_shadow, with_unit_hash
from promptops.config.settings import Settings
from promptops.console import note
from promptops.errors import Invalid
from promptops.runner import RunContext
from promptops.runner.conversation import EarlierTurn, NextTurn, first_turn, next_turn
from promptops.runner.routing import (
    FOLLOW_UP,
    GitSource,
    KeptArm,
    Router,
    RoutingDecision,
    prepare_routed_run,
)
from promptops.versions.references import Reference, parse_reference
from promptops.versions.resolve import Version, resolve_version, with_provenance


@contextmanager
def plan_continued_call(
    reference: str, settings: Settings, given: RunOptions, *, log: bool
) -> Iterator[PlannedCall]:
    """As ``plan_call``."""
    parsed = parse_reference(reference, settings)
    if parsed.channel is None:
        yield _version_call(reference, settings, given, log=log)
        return
    with Router(GitSource(settings), settings.registry, log=log) as router:
        yield _channel_call(router, parsed, settings, given)


def _version_call(reference: str, settings: Settings, given: RunOptions, *, log: bool) -> PlannedCall:
    version = with_provenance(resolve_version(reference, settings), settings)
    before = dict(given.earlier.overrides) if given.earlier else {}
    model = given.model or before.pop("model", None) or local_model_override(version)
    version, overrides = apply_overrides(version, model, {**before, **given.overrides})
    turn = _turn(version, given)
    origin = RunContext(overrides={**overrides, **turn.overrides}, metadata=_metadata(given))
    if log and given.unit is not None:
        origin = with_unit_hash(origin, given.unit, settings)
    if given.earlier:
        unit, key = _unit(origin, given.earlier, given)
        origin = replace(origin, tenant=given.earlier.started.tenant, unit_hash=unit, unit_key_id=key)
    return PlannedCall(lambda runner, called: runner.ready(turn.version, turn.inputs, origin, called=called))


def _channel_call(router: Router, reference: Reference, settings: Settings, given: RunOptions) -> PlannedCall:
    metadata, more = _metadata(given), dict[str, Any]()
    placed = router.place(reference, given.unit, metadata, _kept_arm(given.earlier))
    apply_overrides(placed.version, given.model or local_model_override(placed.version), given.overrides)
    turn = _turn(placed.version, given)
    placed = replace(placed, version=turn.version, stable=None)  # stable's own inputs may be others
    if turn.added:  # no version that was released, nor one that a shadow could answer with
        placed = replace(placed, excluded=FOLLOW_UP, shadow=None)
    if given.earlier:
        unit, key = _unit(placed, given.earlier, given)
        placed = replace(placed, unit_hash=unit, unit_key_id=key)
        more["tenant"] = given.earlier.started.tenant
    return PlannedCall(
        lambda runner, called: prepare_routed_run(
            runner,
            placed,
            turn.inputs,
            called=called,
            metadata=metadata,
            overrides=turn.overrides,
            **more,
        ),
        router.ended,
        lambda run: drain_shadow(run, settings),
    )


def _turn(version: Version, given: RunOptions) -> NextTurn:
    values = read_inputs(version.prompt, given.inputs, given.inputs_file, stdin=False)
    if given.earlier is None:
        return first_turn(version, given.text, values)
    turn = next_turn(version, given.earlier, given.text, values)
    if turn.change:
        note(turn.change)
    return turn


def _metadata(given: RunOptions) -> Mapping[str, Any]:
    return given.earlier.metadata(given.metadata) if given.earlier else given.metadata


def _kept_arm(earlier: EarlierTurn | None) -> KeptArm | None:
    if earlier is None or earlier.started.rollout is None:
        return None
    return KeptArm(earlier.started.rollout, earlier.started.arm == "canary")


def _unit(
    now: RunContext | RoutingDecision, earlier: EarlierTurn, given: RunOptions
) -> tuple[str | None, str | None]:
    """Whose the turn is: of whom the conversation is, so that what is held of a person is found."""
    before = earlier.started
    if before.unit_hash is None:
        return now.unit_hash, now.unit_key_id
    same_key = now.unit_key_id == before.unit_key_id
    if given.unit is not None and same_key and now.unit_hash != before.unit_hash:
        raise Invalid(
            f"run {before.run_id} is of another unit than --unit {given.unit}",
            hint="leave --unit out, or begin another conversation",
        )
    return before.unit_hash, before.unit_key_id
