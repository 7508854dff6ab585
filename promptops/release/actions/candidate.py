"""What may be released: a committed version, from the reviewed branch where there is one."""

from collections.abc import Mapping

from promptops.config.settings import SettingsFile
from promptops.dataclass import dataclass
from promptops.errors import Invalid
from promptops.prompt.mock_parameters import require_measurable
from promptops.release.context import ReleaseContext, Target, resolve_channel
from promptops.release.ledger.source_branch import (
    require_on_source_branch,
    resolve_source_branch,
    source_branch_settings,
)
from promptops.versions.references import INDEX, parse_digest, parse_reference
from promptops.versions.release_state import ReleasedVersion
from promptops.versions.resolve import Version, resolve_version_in


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseCandidate:
    """A version that may be released. ``file``: its settings, as they are on the source branch."""

    version: Version
    target: Target
    file: SettingsFile
    reviewed: str | None = None  # the branch; None: the working tree

    @property
    def released(self) -> ReleasedVersion:
        """Without a number: the ledger allots one, or finds the one that it has."""
        return ReleasedVersion(
            self.version.version or "", self.version.prompt.digest, self.version.commit_sha
        )


def resolve_candidate(
    context: ReleaseContext, reference: str, channel: str | None, *, unreviewed: bool = False
) -> ReleaseCandidate:
    """Resolve what is to be released. Raises Invalid for what is not committed, or not reviewed."""
    wanted = parse_reference(reference, context.settings)
    target = Target(prompt=wanted.name, channel=resolve_channel(channel, context.settings))
    if (wanted.rev is None and wanted.channel is None) or wanted.rev == INDEX:
        where = "the index has" if wanted.rev == INDEX else "the working tree has"
        raise Invalid(
            f"`{reference}` is what {where}, and only a commit is released",
            hint=f"{wanted.name}@HEAD is what is committed",
        )
    if wanted.channel == target.channel:
        raise Invalid(
            f"{reference} is where it would be released to", hint=f"name a version: {wanted.name}@REV"
        )
    by_digest = wanted.rev is not None and parse_digest(wanted.rev) is not None
    version = resolve_version_in(context.ledger.repo, wanted, context.registry if by_digest else None)
    if version.source not in ("commit", "release") or version.commit_sha is None:
        raise Invalid(
            f"{reference} stands in no commit here, and only a commit is released",
            hint=f"promptops history {wanted.name} lists its versions",
        )
    require_measurable(version.prompt, "a release")
    repo = context.ledger.repo
    if unreviewed:
        return ReleaseCandidate(version=version, target=target, file=context.settings.file)
    source = resolve_source_branch(context.ledger.branch)
    require_on_source_branch(repo, source, version.commit_sha, reference)
    return ReleaseCandidate(
        version=version,
        target=target,
        file=source_branch_settings(repo, source),
        reviewed=source.rev if source else None,
    )


def require_reason(reason: str, options: Mapping[str, bool]) -> None:
    """Raise Invalid where an option that goes past a rule is given, and no reason to record with it."""
    for option, given in options.items():
        if given and not reason:
            raise Invalid(f"{option} needs a reason", hint='--reason "…" is recorded with it')
