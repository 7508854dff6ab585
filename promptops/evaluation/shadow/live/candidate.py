"""The version that shadows a channel now, and how one of its runs is made."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from promptops.dataclass import dataclass
from promptops.errors import Invalid
from promptops.prompt.render import render_prompt
from promptops.registry import LiveShadowKey
from promptops.runner import RunContext
from promptops.runner.batch import BatchItem, BatchOptions
from promptops.runner.retry import Limits
from promptops.runner.routing import ReleaseSource
from promptops.versions.release_state import ShadowState
from promptops.versions.resolve import Version

CONCURRENCY = 4
SHADOW_LIMITS = Limits(retries=2, timeout=60.0)


@dataclass(frozen=True, slots=True)
class ShadowCandidate:
    """Raises Invalid where it is made of a version that can't be had."""

    shadowing: LiveShadowKey
    shadow: ShadowState
    version: Version

    def input_problem(self, inputs: Mapping[str, Any]) -> str:
        """Why the version does not take these inputs; "" where it does."""
        try:
            render_prompt(self.version.prompt, inputs)
        except Invalid as error:
            return error.message
        return ""

    def item(
        self, run_id: str, inputs: Mapping[str, Any], metadata: Mapping[str, Any], tenant: str | None = None
    ) -> BatchItem:
        """The run is of whoever made the call, and costs their key nothing."""
        kept = {key: metadata[key] for key in ("tags", "tenant") if metadata.get(key)}
        origin = RunContext(kind="shadow", arm="candidate", shadow_of=run_id, metadata=kept, tenant=tenant)
        return BatchItem(version=self.version, inputs=inputs, origin=origin)


def find_shadow_candidate(source: ReleaseSource, shadowing: LiveShadowKey) -> ShadowCandidate | None:
    """None where that version does not shadow that channel any more."""
    releases = source.releases(shadowing.prompt)
    state = releases.channels.get(shadowing.channel) if releases else None
    if state is None or state.shadow is None or state.shadow.released.digest != shadowing.digest:
        return None
    version = source.version(shadowing.prompt, state.shadow.released)
    return ShadowCandidate(shadowing, state.shadow, replace(version, channel=shadowing.channel))


def shadow_batch_options(
    shadow: ShadowState, concurrency: int = CONCURRENCY, limits: Limits = SHADOW_LIMITS
) -> BatchOptions:
    """One refusal is enough: users' calls may go to the same provider."""
    return BatchOptions(
        concurrency=concurrency, limits=limits, max_cost=shadow.max_usd, cache="off", wait_on_rate_limit=False
    )
