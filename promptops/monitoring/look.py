"""One look at a target: what came since the last look is added to what is known. A look costs no evidence."""

from collections.abc import Collection, Iterable, Iterator
from itertools import islice

from promptops.config.clock import utc_text
from promptops.dataclass import dataclass
from promptops.monitoring.metrics import MAIN, slice_metric
from promptops.monitoring.names import NameChange, new_names
from promptops.monitoring.state import TargetState
from promptops.monitoring.values import (
    answer_hash,
    input_values,
    is_stable,
    logged_inputs,
    probe_values,
    quality_values,
)
from promptops.registry import (
    LogRow,
    RegistryDatabase,
    first_open_run,
    last_outcome_id,
    last_seq,
    monitored_runs,
    outcomes_between,
    scan_traffic,
    tags_of,
)

_UNDER_WAY_S = 3600.0  # a run that has not ended by then was cut off, and is waited for no longer
_AT_ONCE = 2_000  # runs whose texts are in memory
_OUTCOMES_A_NIGHT = 400


@dataclass(frozen=True, slots=True)
class ServedVersion:
    """What a channel serves: the version, and since when (UTC text; empty where no release says)."""

    digest: str
    since: str = ""
    version: str = ""  # probes have it; their digest is another, as they are asked at temperature 0

    @property
    def epoch(self) -> str:
        return f"{self.digest[:12]} {self.since}".rstrip()


def read_on(
    registry: RegistryDatabase,
    prompt: str,
    channel: str,
    state: TargetState,
    served: ServedVersion,
    now: float,
    slices: Collection[str] = (),
) -> list[NameChange]:
    """Add all that has ended since, and what was said of it; gives new names of models."""
    today = utc_text(now)[:10]
    last = last_seq(registry)
    still_open = first_open_run(registry, prompt, channel, state.through, utc_text(now - _UNDER_WAY_S))
    through = last if still_open is None else still_open - 1
    changes: list[NameChange] = []
    wanted = _drawn(registry, prompt, channel, state, through, today)
    while some := list(islice(wanted, _AT_ONCE)):
        nights = dict(some)
        tags = tags_of(registry, list(nights)) if slices else {}
        for run in monitored_runs(registry, list(nights)):
            among = [tag for tag in tags.get(run["seq"], ()) if tag in slices]
            changes += _add_run(state, run, nights[run["seq"]], served, among)
    state.through = max(state.through, through)
    _add_outcomes(registry, prompt, channel, state, served, today)
    return changes


def _drawn(
    registry: RegistryDatabase, prompt: str, channel: str, state: TargetState, through: int, today: str
) -> Iterator[tuple[int, str]]:
    """The runs to look at, each with its night."""
    for seq, day, is_probe in scan_traffic(registry, prompt, channel, state.through, through):
        if is_probe:
            if day <= today:
                state.probe_night = day if state.probe_night > today else max(day, state.probe_night)
                yield seq, state.probe_night
        elif state.draw.wants(seq, day, today):
            yield seq, state.draw.night


def _add_run(
    state: TargetState, run: LogRow, night: str, served: ServedVersion, tags: Iterable[str]
) -> list[NameChange]:
    seq = run["seq"]
    if run["kind"] == "probe":
        return _add_probe(state, run, night) if run["version"] == (served.version or None) else []
    of_version = run["digest"] == served.digest and run["started_at"] >= served.since
    if not is_stable(run) or not state.draw.take(night, run["unit_hash"]):
        return []
    inputs = logged_inputs(run)
    if inputs is not None:
        if not state.profile.fixed:
            state.profile.learn(night, inputs)
        state.add(night, seq, input_values(inputs, state.profile))
    if not of_version:
        return []
    values = quality_values(run)
    state.add(night, seq, values)
    for tag in tags:
        state.add(
            night, seq, {slice_metric(name, tag): value for name, value in values.items() if name in MAIN}
        )
    return new_names(state, run, probe=False)


def _add_probe(state: TargetState, run: LogRow, night: str) -> list[NameChange]:
    learning = state.probes.learn(night, run["case_id"] or "", answer_hash(run))
    state.add(night, run["seq"], probe_values(run, None if learning else state.probes.answers))
    return new_names(state, run, probe=True)


def _add_outcomes(
    registry: RegistryDatabase,
    prompt: str,
    channel: str,
    state: TargetState,
    served: ServedVersion,
    today: str,
) -> None:
    """Thumbs and scores count on the day on which they came; each unit once a night, and one judge alone."""
    last = last_outcome_id(registry)
    for said in outcomes_between(registry, prompt, channel, min(state.outcomes_through, last), last):
        day = min(max(said.recorded_at[:10], state.outcome_night), today)
        if day != state.outcome_night:
            state.outcome_night = day
            state.outcome_units.clear()
        if said.digest != served.digest or said.name.endswith(".failed"):
            continue
        if said.source == "judge":
            state.judge = state.judge or said.name
            if said.name != state.judge:
                continue
        key = f"{said.source} {said.unit_hash[:12] if said.unit_hash else said.seq}"
        if key in state.outcome_units or len(state.outcome_units) >= _OUTCOMES_A_NIGHT:
            continue
        state.outcome_units.add(key)
        value = max(said.value, 0.0) if said.source == "judge" else float(said.value > 0)
        state.add(day, said.seq, {"judge" if said.source == "judge" else "thumbs_up": value})
    state.outcomes_through = last
