"""Which two versions a shadow run compares, and on which inputs: its arguments read."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from promptops.cli.options.evaluation import build_variants
from promptops.cli.options.run_filters import build_run_filter
from promptops.config.settings import Settings
from promptops.errors import Invalid, NotFound
from promptops.evaluation.shadow.input_sampling import SamplingPlan
from promptops.evaluation.shadow.request import ShadowRequest
from promptops.evaluation.variants import Variant
from promptops.registry import parse_time
from promptops.versions.references import parse_reference
from promptops.versions.resolve import live_channels

DEFAULT_CHANNEL = "production"


@dataclass(frozen=True, slots=True, kw_only=True)
class InputSelection:
    """The options that say which inputs are replayed."""

    last: int | None
    since: str | None
    sample: int | None
    file: Path | None
    words: str
    stratify: Any
    filters: dict[str, Any]

    def check(self) -> None:
        given = [name for name, value in self._log_options() if value]
        if self.file is not None and given:
            raise Invalid(f"--inputs FILE gives the inputs, and {given[0]} chooses from the log")
        if self.last is not None and self.sample is not None:
            raise Invalid("--last takes the latest inputs and --sample any: give one of them")

    def _log_options(self) -> list[tuple[str, Any]]:
        named = [
            ("--last", self.last),
            ("--since", self.since),
            ("--sample", self.sample),
            ("--words", self.words),
        ]
        filters = [(f"--{name.replace('_', '-')}", value) for name, value in self.filters.items()]
        return [*named, *filters, ("--stratify", self.stratify)]

    def choice(self, prompt: str, settings: Settings) -> SamplingPlan | None:
        if self.file is not None:
            return None
        chosen = build_run_filter(prompt, settings, **self.filters)
        if self.since:
            chosen = replace(chosen, since=parse_time(self.since))
        return SamplingPlan(
            filter=chosen,
            words=self.words,
            last=self.last,
            sample=self.sample,
            stratify=self.stratify.value if self.stratify else None,
            since=self.since,
        )


def build_shadow_requests(
    reference: str,
    against: str | None,
    models: Sequence[str],
    settings: Settings,
    **more: Any,
) -> list[ShadowRequest]:
    """One request for each candidate."""
    aa = more["aa"]
    candidates = build_variants([reference], settings, None if aa else list(models) or None)
    same = bool(models) or aa or more["recorded"]
    (control,) = build_variants([against or default_control(reference, settings, same=same)], settings)
    candidates = [control] if aa else candidates
    return [_request(control, each, settings, more, given=against is not None) for each in candidates]


def _request(
    control: Variant, candidate: Variant, settings: Settings, more: dict[str, Any], *, given: bool
) -> ShadowRequest:
    inputs: InputSelection = more["inputs"]
    if control.prompt.name != candidate.prompt.name:
        raise Invalid(
            f"{control.prompt.name} and {candidate.prompt.name} are two prompts", hint="compare versions"
        )
    if control.prompt.digest == candidate.prompt.digest and not more["aa"] and not more["recorded"]:
        raise Invalid(
            f"{candidate.label} is the same version as {control.label}",
            hint="--aa runs one version against itself and shows how much it differs",
        )
    control, candidate = _with_labels(control, candidate, more)
    choice = inputs.choice(candidate.prompt.name, settings)
    if more["recorded"] and given and choice:  # answers of that version, not of whichever was there
        choice = replace(choice, filter=replace(choice.filter, digest=control.prompt.digest))
    rest = {name: value for name, value in more.items() if name != "inputs"}
    return ShadowRequest(
        control=replace(control, arm="control"),
        candidate=replace(candidate, arm="candidate"),
        choice=choice,
        file=inputs.file,
        **rest,
    )


def _with_labels(control: Variant, candidate: Variant, more: dict[str, Any]) -> tuple[Variant, Variant]:
    pasteable = candidate.version.pasteable
    if not candidate.label.startswith(pasteable):
        candidate = replace(candidate, label=f"{pasteable} {candidate.label}")
    if more["recorded"]:
        control = replace(control, label="what was answered then")
    if more["aa"]:
        candidate = replace(candidate, label=f"{control.label} again")
    return control, candidate


def default_control(reference: str, settings: Settings, *, same: bool) -> str:
    """What a candidate is held against unless somebody says: what is live, else what is committed."""
    if same:
        return reference
    wanted = parse_reference(reference, settings)
    if DEFAULT_CHANNEL in live_channels(settings).get(wanted.name, ()):
        return f"{wanted.name}:{DEFAULT_CHANNEL}"
    if wanted.rev is None and wanted.channel is None:
        return f"{wanted.name}@HEAD"
    raise NotFound(
        f"nothing of {wanted.name} is live in {DEFAULT_CHANNEL} to compare with",
        hint=f"say with --against {wanted.name}@REV what to compare with",
    )
