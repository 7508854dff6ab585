"""Options that say which runs are meant, for the verbs that read them."""

import re
from dataclasses import replace
from typing import Annotated

import typer

from promptops.cli.options.flags import limit_option, model_option, since_option, tag_option, tenant_option
from promptops.config.settings import Settings
from promptops.registry import RunFilter, parse_time

RunsArgument = Annotated[
    str | None, typer.Argument(metavar="[REF]", help="NAME (with * for several), NAME@REV or NAME:CHANNEL.")
]
ModelFilter = Annotated[str | None, model_option("Asked of this model; may hold *.")]
ErrorFilter = Annotated[
    str | None,
    typer.Option("--error", metavar="TYPE", help="Ended with this error, such as timeout; or any."),
]
SinceFilter = Annotated[str | None, since_option("Started since: 90m, 12h, 7d, 2w or a date.")]
CostFilter = Annotated[
    float | None, typer.Option("--min-cost", metavar="USD", help="Cost at least this much.")
]
LatencyFilter = Annotated[
    float | None, typer.Option("--min-latency", metavar="MS", help="Took at least this long.")
]
ChannelFilter = Annotated[
    str | None, typer.Option("--channel", metavar="CHANNEL", help="Served by this channel.")
]
TagFilter = Annotated[str | None, tag_option("Carrying this tag in its metadata.")]
TenantFilter = Annotated[str | None, tenant_option("Of this tenant: by key, or by `tenant` in the metadata.")]
KindFilter = Annotated[
    str | None, typer.Option("--kind", metavar="KIND", help="run, batch, eval, shadow, judge or probe.")
]
LimitOption = Annotated[int, limit_option("How many at most.")]

_DIGEST = re.compile(r"(sha256:)([0-9a-f]{1,64})")


def read_run_filter(
    *,
    model: ModelFilter = None,
    error: ErrorFilter = None,
    since: SinceFilter = None,
    min_cost: CostFilter = None,
    min_latency: LatencyFilter = None,
    channel: ChannelFilter = None,
    tag: TagFilter = None,
    tenant: TenantFilter = None,
    kind: KindFilter = None,
) -> RunFilter:
    """The filter that the options make."""
    return RunFilter(
        model=model,
        error=error,
        since=parse_time(since) if since else None,
        min_cost=min_cost,
        min_latency=min_latency,
        channel=channel,
        tag=tag,
        tenant=tenant,
        kind=kind,
    )


def filter_by_reference(chosen: RunFilter, reference: str | None, settings: Settings) -> RunFilter:
    """The runs of a filter that are of the prompt, the version or the channel that a reference names."""
    name, digest, served = _parse_filter_reference(reference, settings)
    return replace(chosen, prompt=name, digest=digest, channel=chosen.channel or served)


def _parse_filter_reference(
    reference: str | None, settings: Settings
) -> tuple[str | None, str | None, str | None]:
    """Prompt, digest and channel. ``NAME`` means all its versions, so nothing needs to be resolved."""
    if reference is None:
        return None, None, None
    name, at, rev = reference.partition("@")
    if digest := _DIGEST.fullmatch(rev):
        return name, digest[2], None
    if at or name.endswith((".yaml", ".yml")):
        return _resolve_prompt_and_digest(reference, settings, digest=bool(at))
    name, _, channel = name.partition(":")
    return name, None, channel or None


def _resolve_prompt_and_digest(
    reference: str, settings: Settings, *, digest: bool
) -> tuple[str, str | None, None]:
    from promptops.versions.resolve import resolve_version

    prompt = resolve_version(reference, settings).prompt
    return prompt.name, prompt.digest if digest else None, None
