"""Released versions: those that a channel serves, or that have a number."""

from dataclasses import replace
from typing import TYPE_CHECKING

from promptops.config.settings import Settings
from promptops.errors import NotFound
from promptops.versions.references import Reference
from promptops.versions.trusted_releases import TrustedReleases, trusted_releases
from promptops.versions.version import Version

if TYPE_CHECKING:  # a prompt of the working tree needs neither git nor the registry
    from promptops.git.repo import GitRepo
    from promptops.versions.release_state import ReleasedVersion, ReleaseState


def find_channel_version(repo: "GitRepo", wanted: Reference) -> Version:
    """The version that a channel serves to most."""
    trusted, state = _require_release_state(repo, wanted)
    channel = str(wanted.channel)
    serving = state.channels.get(channel)
    if serving is None or serving.stable is None:
        live = [f"{wanted.name}:{name}" for name, other in state.channels.items() if other.stable]
        raise NotFound(
            f"{wanted.name} is not live on {channel}", hint=f"live: {', '.join(live) or 'nowhere'}"
        )
    return replace(load_released_version(repo, trusted.content, wanted, serving.stable), channel=channel)


def find_numbered_version(repo: "GitRepo", wanted: Reference, number: str) -> Version:
    """The version that has a number, whether a channel still names it or not."""
    from promptops.versions.release_reader import decode_snapshots
    from promptops.versions.release_state import ReleasedVersion

    tag = f"a git tag of that name is {wanted.name}@refs/tags/{number}"
    trusted, state = _require_release_state(repo, wanted, tag)
    for released in state.named():
        if released.version == number:
            return load_released_version(repo, trusted.content, wanted, released)
    frozen = decode_snapshots(trusted.files(f"versions/{wanted.name}"), wanted.name)
    for one in frozen:
        if one.version == number:
            return load_released_version(
                repo, trusted.content, wanted, ReleasedVersion(number, one.digest, one.commit)
            )
    there = {one.version for one in frozen} | {released.version for released in state.named()}
    known = sorted(there, key=lambda version: (len(version), version))
    raise NotFound(f"{wanted.name} has no version {number}", hint=f"there are: {', '.join(known)}; {tag}")


def _require_release_state(
    repo: "GitRepo", wanted: Reference, more: str = ""
) -> tuple[TrustedReleases, "ReleaseState"]:
    trusted = trusted_releases(repo)
    state = trusted.release(wanted.name) if trusted else None
    if trusted is None or state is None:
        raise unreleased_version_error(
            wanted, more, anything=trusted is not None, elsewhere=_has_remote(repo.settings)
        )
    return trusted, state


def unreleased_version_error(
    wanted: Reference, more: str = "", *, anything: bool = True, elsewhere: bool = False
) -> NotFound:
    """What to say of a released version where there is none.

    ``anything``: other prompts have one; ``elsewhere``: it may be released where nobody has looked yet.
    """
    what = f"no version of {wanted.name} is released yet" if anything else "nothing released yet"
    to = f" --to {wanted.channel}" if wanted.channel not in (None, "production") else ""
    step = f"promptops promote {wanted.name}@REV{to} releases one, and canary shows it to a few users first"
    if elsewhere:
        step = f"released elsewhere: promptops release sync; else {step}"
    return NotFound(f"`{wanted.text}`: {what}", hint=f"{step}; {more}" if more else step)


def _has_remote(settings: Settings) -> bool:
    config = settings.common_dir / "config" if settings.common_dir else None
    return config is not None and config.is_file() and b'[remote "' in config.read_bytes()


def load_released_version(
    repo: "GitRepo", state: str, wanted: Reference, released: "ReleasedVersion"
) -> Version:
    """A released version from its frozen files, which outlive the commit; else from the commit."""
    from promptops.versions.frozen import load_frozen_prompt

    frozen = load_frozen_prompt(repo, state, wanted.name, released)
    return Version(
        prompt=frozen.prompt,
        reference=wanted.text,
        source="release",
        pasteable=f"{wanted.name}@{released.version}",
        commit_sha=frozen.commit,
        version=released.version,
    )
