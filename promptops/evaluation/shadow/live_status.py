"""What the shadow of a channel has shown so far: its answers beside those that users were given."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from promptops.evaluation.engine import MARGIN
from promptops.evaluation.shadow.pair import pair_from
from promptops.evaluation.shadow.result import Comparison, Left, Party
from promptops.evaluation.shadow.running_comparison import Comparing, Frame
from promptops.registry.shadow.jobs import (
    INCOMPATIBLE,
    ShadowCounts,
    Shadowing,
    counts,
    examples,
    live_pairs,
    spent_usd,
)
from promptops.registry.store import Registry
from promptops.versions.release_state import Released, ReleaseState, Shadow


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """A channel that has a shadow."""

    shadowing: Shadowing
    shadow: Shadow
    stable: Released

    @property
    def channel(self) -> str:
        return f"{self.shadowing.prompt}:{self.shadowing.channel}"


def live_in(state: ReleaseState) -> Iterator[Live]:
    for name, channel in state.channels.items():
        if channel.shadow and channel.stable:
            shadowing = Shadowing(state.prompt, name, channel.shadow.released.digest)
            yield Live(shadowing=shadowing, shadow=channel.shadow, stable=channel.stable)


def live_comparison(registry: Registry, live: Live) -> Comparison:
    """By the users' calls that the stable version answered; each side by its own checks."""
    known = counts(registry, live.shadowing)
    comparing, models = Comparing("checks", MARGIN), ("", "")
    for number, (control, candidate) in enumerate(
        live_pairs(registry, live.shadowing, live.stable.digest), 1
    ):
        if number == 1:
            comparing.primary = "checks" if candidate["checks"] or control["checks"] else "errors"
            models = control["request_model"], candidate["request_model"]
        comparing.add(pair_from(number, control, candidate))
    incompatible = known.left_out.get(INCOMPATIBLE, 0)
    reasons = tuple(examples(registry, live.shadowing, INCOMPATIBLE)) if incompatible else ()
    frame = Frame(
        shadow_id=live.channel,
        prompt=live.shadowing.prompt,
        control=_party(live, live.stable, models[0]),
        candidate=_party(live, live.shadow.released, models[1]),
        planned=comparing.pairs + known.waiting,
        seed=0,
        left=Left(considered=comparing.pairs + incompatible, incompatible=incompatible, reasons=reasons),
        mode="live",
    )
    return comparing.result(frame, stopped="live", spent_usd=spent_usd(registry, live.shadowing))


def live_status(registry: Registry, live: Live) -> dict[str, Any]:
    """The short of it."""
    known: ShadowCounts = counts(registry, live.shadowing)
    found = live_comparison(registry, live)
    return {
        "prompt": live.shadowing.prompt,
        "channel": live.shadowing.channel,
        "mode": "live",
        "candidate": live.shadow.released.version,
        "control": live.stable.version,
        "sample_bp": live.shadow.sample_bp,
        "max_usd": live.shadow.max_usd,
        "spent_usd": found.spent_usd,
        "pairs": found.pairs,
        "waiting": known.waiting,
        "left_out": dict(known.left_out),
        "broke": found.broke_total,
        "fixed": found.fixed_total,
        "verdict": found.verdict,
        "sentence": found.sentence,
    }


def _party(live: Live, released: Released, model: str) -> Party:
    label = f"{live.shadowing.prompt}@{released.version}"
    return Party(label=label, digest=released.digest, model=model)
