"""What the shadow of a channel has shown so far: its answers beside those that users were given."""

from collections.abc import Iterator
from typing import Any

from promptops.dataclass import dataclass
from promptops.evaluation.engine import DEFAULT_MARGIN
from promptops.evaluation.shadow.aggregator import ShadowAggregator, ShadowRunInfo
from promptops.evaluation.shadow.pair import build_pair
from promptops.evaluation.shadow.result import ExclusionCounts, ShadowComparison, SideInfo
from promptops.registry import (
    INCOMPATIBLE,
    LiveShadowKey,
    RegistryDatabase,
    ShadowCounts,
    live_pairs,
    live_shadow_spent_usd,
    read_shadow_counts,
    skipped_job_examples,
)
from promptops.versions.release_state import ReleasedVersion, ReleaseState, ShadowState


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveShadow:
    """A channel that has a shadow."""

    shadowing: LiveShadowKey
    shadow: ShadowState
    stable: ReleasedVersion

    @property
    def channel(self) -> str:
        return f"{self.shadowing.prompt}:{self.shadowing.channel}"


def live_shadows(state: ReleaseState) -> Iterator[LiveShadow]:
    for name, channel in state.channels.items():
        if channel.shadow and channel.stable:
            shadowing = LiveShadowKey(state.prompt, name, channel.shadow.released.digest)
            yield LiveShadow(shadowing=shadowing, shadow=channel.shadow, stable=channel.stable)


def live_comparison(registry: RegistryDatabase, live: LiveShadow) -> ShadowComparison:
    """By the users' calls that the stable version answered; each side by its own checks."""
    counts = read_shadow_counts(registry, live.shadowing)
    aggregator, models = ShadowAggregator("checks", DEFAULT_MARGIN), ("", "")
    for number, (control, candidate) in enumerate(
        live_pairs(registry, live.shadowing, live.stable.digest), 1
    ):
        if number == 1:
            aggregator.primary = "checks" if candidate["checks"] or control["checks"] else "errors"
            models = control["request_model"], candidate["request_model"]
        aggregator.add(build_pair(number, control, candidate))
    incompatible = counts.left_out.get(INCOMPATIBLE, 0)
    reasons = tuple(skipped_job_examples(registry, live.shadowing, INCOMPATIBLE)) if incompatible else ()
    info = ShadowRunInfo(
        shadow_id=live.channel,
        prompt=live.shadowing.prompt,
        control=_side_info(live, live.stable, models[0]),
        candidate=_side_info(live, live.shadow.released, models[1]),
        planned=aggregator.pairs + counts.waiting,
        seed=0,
        left=ExclusionCounts(
            considered=aggregator.pairs + incompatible, incompatible=incompatible, reasons=reasons
        ),
        mode="live",
    )
    return aggregator.result(info, stopped="live", spent_usd=live_shadow_spent_usd(registry, live.shadowing))


def live_status(registry: RegistryDatabase, live: LiveShadow) -> dict[str, Any]:
    """The short of it."""
    counts: ShadowCounts = read_shadow_counts(registry, live.shadowing)
    comparison = live_comparison(registry, live)
    return {
        "prompt": live.shadowing.prompt,
        "channel": live.shadowing.channel,
        "mode": "live",
        "candidate": live.shadow.released.version,
        "control": live.stable.version,
        "sample_bp": live.shadow.sample_bp,
        "max_usd": live.shadow.max_usd,
        "spent_usd": comparison.spent_usd,
        "pairs": comparison.pairs,
        "waiting": counts.waiting,
        "left_out": dict(counts.left_out),
        "broke": comparison.broke_total,
        "fixed": comparison.fixed_total,
        "verdict": comparison.verdict,
        "sentence": comparison.sentence,
    }


def _side_info(live: LiveShadow, released: ReleasedVersion, model: str) -> SideInfo:
    label = f"{live.shadowing.prompt}@{released.version}"
    return SideInfo(label=label, digest=released.digest, model=model)
