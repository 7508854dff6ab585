"""The version that shadows a channel now, and how one of its runs is made."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from promptops.errors import Invalid
from promptops.prompt.render import render
from promptops.registry.shadow.jobs import Shadowing
from promptops.runner import Origin
from promptops.runner.batch import Item, Options
from promptops.runner.retry import Limits
from promptops.runner.routing import Source
from promptops.versions.release_state import Shadow
from promptops.versions.resolve import Version

CONCURRENCY = 4
LIMITS = Limits(retries=2, timeout=60.0)


@dataclass(frozen=True, slots=True)
class Candidate:
    """Raises Invalid where it is made of a version that can't be had."""

    shadowing: Shadowing
    shadow: Shadow
    version: Version

    def misfit(self, inputs: Mapping[str, Any]) -> str:
        """Why the version does not take these inputs; "" where it does."""
        try:
            render(self.version.prompt, inputs)
        except Invalid as error:
            return error.message
        return ""

    def item(self, run_id: str, inputs: Mapping[str, Any], metadata: Mapping[str, Any]) -> Item:
        tags = {"tags": metadata["tags"]} if metadata.get("tags") else {}
        origin = Origin(kind="shadow", arm="candidate", shadow_of=run_id, metadata=tags)
        return Item(version=self.version, inputs=inputs, origin=origin)


def candidate_of(source: Source, shadowing: Shadowing) -> Candidate | None:
    """None where that version does not shadow that channel any more."""
    releases = source.releases(shadowing.prompt)
    state = releases.channels.get(shadowing.channel) if releases else None
    if state is None or state.shadow is None or state.shadow.released.digest != shadowing.digest:
        return None
    version = source.version(shadowing.prompt, state.shadow.released)
    return Candidate(shadowing, state.shadow, replace(version, channel=shadowing.channel))


def options_of(shadow: Shadow, concurrency: int = CONCURRENCY, limits: Limits = LIMITS) -> Options:
    """One refusal is enough: users' calls may go to the same provider."""
    return Options(
        concurrency=concurrency, limits=limits, max_cost=shadow.max_usd, cache="off", patient=False
    )
