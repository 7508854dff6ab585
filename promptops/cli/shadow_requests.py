"""Which two versions a shadow run compares, and on which inputs."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

from promptops.cli.options.evaluation import build_variants
from promptops.cli.options.flags import against_option
from promptops.cli.options.replay import ReplayOptions
from promptops.config.settings import Settings
from promptops.errors import Invalid, NotFound
from promptops.evaluation.shadow.request import ShadowRequest
from promptops.evaluation.variants import Variant
from promptops.versions.references import parse_reference
from promptops.versions.resolve import live_channels

DEFAULT_CHANNEL = "production"
ControlOption = Annotated[
    str | None,
    against_option("The control (NAME:production where it is released, else NAME@HEAD)."),
]


def build_shadow_requests(
    reference: str,
    against: str | None,
    models: Sequence[str],
    settings: Settings,
    options: ReplayOptions,
) -> list[ShadowRequest]:
    """One request for each candidate."""
    candidates = build_variants([reference], settings, list(models) or None)
    same = bool(models) or options.recorded
    (control,) = build_variants([against or default_control(reference, settings, same=same)], settings)
    return [_request(control, each, settings, options, named=against is not None) for each in candidates]


def build_noise_request(reference: str, settings: Settings, options: ReplayOptions) -> ShadowRequest:
    """One version against itself."""
    (control,) = build_variants([reference], settings)
    return _request(control, control, settings, replace(options, noise=True), named=False)


def _request(
    control: Variant, candidate: Variant, settings: Settings, options: ReplayOptions, *, named: bool
) -> ShadowRequest:
    """``named``: somebody said which control it is."""
    if control.prompt.name != candidate.prompt.name:
        raise Invalid(
            f"{control.prompt.name} and {candidate.prompt.name} are two prompts", hint="compare versions"
        )
    if control.prompt.digest == candidate.prompt.digest and not (options.noise or options.recorded):
        raise Invalid(
            f"{candidate.label} is the same version as {control.label}",
            hint=f"promptops shadow noise {control.label} shows how much it differs from itself",
        )
    control, candidate = _with_labels(control, candidate, options)
    plan = options.inputs.plan(candidate.prompt.name, settings)
    if options.recorded and named and plan:  # answers of that version, not of whichever was live
        plan = replace(plan, filter=replace(plan.filter, digest=control.prompt.digest))
    return ShadowRequest(
        control=replace(control, arm="control"),
        candidate=replace(candidate, arm="candidate"),
        choice=plan,
        file=options.inputs.file,
        recorded=options.recorded,
        aa=options.noise,
        full=options.until.full,
        min_pairs=options.until.min_pairs,
        margin=options.margin,
        seed=options.settings.seed,
        judge=options.judge,
        semantic=options.embeddings,
        restart=options.restart,
        shard=options.shard,
    )


def _with_labels(control: Variant, candidate: Variant, options: ReplayOptions) -> tuple[Variant, Variant]:
    pasteable = candidate.version.pasteable
    if not candidate.label.startswith(pasteable):
        candidate = replace(candidate, label=f"{pasteable} {candidate.label}")
    if options.recorded:
        control = replace(control, label="what was answered then")
    if options.noise:
        candidate = replace(candidate, label=f"{control.label} again")
    return control, candidate


def default_control(reference: str, settings: Settings, *, same: bool) -> str:
    """What a candidate is held against unless somebody says: what is live, else what is committed."""
    if same:
        return reference
    candidate = parse_reference(reference, settings)
    if DEFAULT_CHANNEL in live_channels(settings).get(candidate.name, ()):
        return f"{candidate.name}:{DEFAULT_CHANNEL}"
    if candidate.rev is None and candidate.channel is None:
        return f"{candidate.name}@HEAD"
    raise NotFound(
        f"nothing of {candidate.name} is live in {DEFAULT_CHANNEL} to compare with",
        hint=f"say with --against {candidate.name}@REV what to compare with",
    )
