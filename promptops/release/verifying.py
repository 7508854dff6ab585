"""Every verdict that was committed, computed again from what the registry has observed."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from promptops.release.desk import Desk
from promptops.release.records import Record
from promptops.release.verify import Mismatch, verify


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """One transition that rests on evidence. ``elsewhere``: another registry has seen its calls."""

    record: Record
    mismatches: tuple[Mismatch, ...] = ()
    elsewhere: str = ""


def verify_all(desk: Desk, prompt: str | None = None, channel: str | None = None) -> Iterator[Verified]:
    """Newest first. Transitions without evidence, such as a rollback by hand, are left out."""
    here = desk.registry.read_one("SELECT value FROM meta WHERE key = 'registry_id'")
    for record in desk.ledger.log(prompt, channel):
        found = _evidence(desk, record)
        if found is None or record.transition.rollout is None:
            continue
        if found.get("registry") != here:
            yield Verified(record=record, elsewhere=str(found.get("registry")))
            continue
        plan = desk.ledger.plan(record.transition.rollout.plan)
        yield Verified(record=record, mismatches=tuple(verify(desk.registry, found, plan)))


def _evidence(desk: Desk, record: Record) -> Mapping[str, Any] | None:
    rollout = record.transition.rollout
    if record.evidence is None or rollout is None:
        return None
    return dict(desk.ledger.evidence(rollout.id)).get(record.generation)
