"""``promptops registry prune``: delete old runs and free their space."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

import typer

from promptops.cli.options.common import JsonOption
from promptops.cli.options.flags import dry_run_option, force_option, older_than_option
from promptops.cli.text_retention import ErasedTexts, erase_by_retention
from promptops.config.settings import Settings, current_settings
from promptops.console import note, print_json, print_text
from promptops.errors import Invalid
from promptops.registry import PruneResult, RegistryDatabase, parse_size, parse_time, prune_runs
from promptops.reports.numbers import format_bytes, pluralize

OlderOption = Annotated[
    str | None,
    older_than_option("Delete runs older than 30d, 12w, or a date."),
]
SizeOption = Annotated[
    str | None,
    typer.Option("--max-size", metavar="SIZE", help="Delete the oldest until the file fits: 500MB, 2GB."),
]
DryRunOption = Annotated[bool, dry_run_option("Show what would be deleted.")]
RetentionOption = Annotated[
    bool,
    typer.Option("--apply-retention", help="Erase texts that `retention` says are kept long enough."),
]
ForceOption = Annotated[bool, force_option("Delete runs of active rollouts too.")]


def registry_prune(
    older_than: OlderOption = None,
    max_size: SizeOption = None,
    apply_retention: RetentionOption = False,
    dry_run: DryRunOption = False,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Delete old runs with their texts and give the space back to the disk.

    What releases were decided on (observations) is never deleted. With --apply-retention runs stay, those of
    active rollouts too, and lose the texts whose time is over.
    """
    if apply_retention:
        if older_than or max_size or force:
            raise Invalid("--apply-retention erases texts and deletes no runs", hint="call prune twice")
        _print_erased(
            erase_by_retention(current_settings(), dry_run=dry_run), dry_run=dry_run, as_json=as_json
        )
        return
    if older_than is None and max_size is None:
        raise Invalid(
            "which runs are to be deleted?",
            hint="give --older-than 30d, --max-size 500MB, or both; or --apply-retention",
        )
    before = parse_time(older_than, "--older-than") if older_than else None
    most = parse_size(max_size) if max_size else None
    settings = current_settings()
    active: tuple[str, ...] = () if force else active_rollouts(settings)
    with RegistryDatabase.open_existing(settings.registry) as registry:
        pruned = prune_runs(registry, before=before, max_bytes=most, active_rollouts=active, dry_run=dry_run)
    if as_json:
        print_json({**asdict(pruned), "dry_run": dry_run})
        return
    print_prune_report(pruned, dry_run=dry_run)


def _print_erased(erased: Sequence[ErasedTexts], *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        print_json({"erased": [asdict(each) for each in erased], "dry_run": dry_run})
        return
    for each in erased:
        whose = f"tenant {each.tenant}" if each.tenant else each.prompt
        verb = "would erase" if dry_run else "erased"
        print_text(
            f"{verb} {each.texts} of {pluralize(each.runs, 'run')} of {whose}, older than {each.limit}"
        )
    if not erased:
        print_text("nothing to erase")


def active_rollouts(settings: Settings) -> tuple[str, ...]:
    """The rollouts whose runs are still evidence, as the state branch says here."""
    from promptops.git.repo import GitRepo
    from promptops.versions.trusted_releases import trusted_releases

    with GitRepo(settings) as repo:
        trusted = trusted_releases(repo)
        releases = trusted.releases().values() if trusted else ()
    channels = [state for release in releases for state in release.channels.values()]
    return tuple(state.rollout.id for state in channels if state.rollout is not None)


def _sizes(pruned: PruneResult, *, dry_run: bool) -> str:
    before, after = format_bytes(pruned.bytes_before), format_bytes(pruned.bytes_after)
    if dry_run:
        return f"would shrink from {before} to about {after}"
    if pruned.bytes_after < pruned.bytes_before:
        return f"shrank from {before} to {after}"
    return f"has {after}, and uses the space again"


def print_prune_report(pruned: PruneResult, *, dry_run: bool) -> None:
    if pruned.runs:
        verb = "would delete" if dry_run else "deleted"
        span = f"{(pruned.first_at or '')[:10]} to {(pruned.last_at or '')[:10]}"
        print_text(
            f"{verb} {pruned.runs:,} runs started {span}; the registry {_sizes(pruned, dry_run=dry_run)}"
        )
    else:
        print_text("nothing to delete")
    if pruned.kept:
        note(f"{pruned.kept:,} runs of active rollouts are kept; --force deletes them too")
    if pruned.waiting:
        note("another process is reading the registry; the file shrinks when it has finished")
