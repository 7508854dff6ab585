"""Every verdict that was committed, computed again from what the registry has observed."""

from collections.abc import Iterator
from dataclasses import dataclass

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
    """Newest first. Transitions without evidence, such as those before anything was seen, are left out."""
    here = desk.registry.read_one("SELECT value FROM meta WHERE key = 'registry_id'")
    for record in desk.ledger.log(prompt, channel):
        rollout = record.transition.evidenced
        if record.evidence is None or rollout is None:
            continue
        found = dict(desk.ledger.evidence(rollout.id)).get(record.generation)
        if found is None:
            gone = Mismatch("", "the evidence", record.evidence, "nothing: the file is gone")
            yield Verified(record=record, mismatches=(gone,))
        elif found.get("registry") != here:
            yield Verified(record=record, elsewhere=str(found.get("registry")))
        else:
            plan = desk.ledger.plan(rollout.plan)
            yield Verified(record=record, mismatches=tuple(verify(desk.registry, found, plan)))
