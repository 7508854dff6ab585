"""A reference resolved to one version. Nothing ever falls back to another one."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from promptops.config.settings import Settings
from promptops.errors import Invalid, NotFound, PromptopsError
from promptops.prompt import PYTHON_FORMAT, Prompt, load_prompt
from promptops.prompt.closure import FileReader
from promptops.versions.recorded_format import with_released_format, with_released_format_here
from promptops.versions.references import (
    INDEX,
    Reference,
    is_version_number,
    parse_digest,
    parse_reference,
    suggest_nearest,
)
from promptops.versions.released_versions import (
    find_channel_version,
    find_numbered_version,
    load_released_version,
    unreleased_version_error,
)
from promptops.versions.trusted_releases import trusted_releases
from promptops.versions.version import Version
from promptops.versions.working_tree import filter_prompt_names, working_tree_names, working_tree_reader

if TYPE_CHECKING:  # a prompt of the working tree needs neither git nor the registry
    from promptops.git.repo import GitRepo
    from promptops.registry import RegistryDatabase
    from promptops.versions.release_state import ChannelState

__all__ = [
    "Reference",
    "Version",
    "live_channels",
    "load_released_version",
    "parse_reference",
    "prompt_names",
    "resolve_version",
    "resolve_version_in",
    "unreleased_version_error",
    "version_reader",
    "with_provenance",
]

FindVersion = Callable[[], "Version"]
VersionCandidate = tuple[str, FindVersion]  # with its digest
_SHORT = 12


def resolve_version(
    reference: str, settings: Settings, registry: "RegistryDatabase | None" = None
) -> Version:
    """Resolve a reference; NotFound and Invalid list what else could have been meant."""
    wanted = parse_reference(reference, settings)
    if wanted.rev is None and wanted.channel is None:
        return _resolve_working_tree(wanted, settings)
    from promptops.git.repo import GitRepo

    with GitRepo(settings) as repo:
        if registry is None and wanted.rev is not None and parse_digest(wanted.rev) is not None:
            from promptops.registry import RegistryDatabase

            with RegistryDatabase.open_existing(
                settings.registry
            ) as known:  # also versions that only ever ran
                return resolve_version_in(repo, wanted, known)
        return resolve_version_in(repo, wanted, registry)


def resolve_version_in(
    repo: "GitRepo", wanted: Reference, registry: "RegistryDatabase | None" = None
) -> Version:
    """Resolve with a repository that is open already, for callers that resolve many."""
    rev = wanted.rev
    if wanted.channel is not None:
        return find_channel_version(repo, wanted)
    if rev is None:
        return _resolve_working_tree(wanted, repo.settings)
    if rev == INDEX:
        return _resolve_index(repo, wanted)
    if is_version_number(rev):
        return find_numbered_version(repo, wanted, rev)
    digits = parse_digest(rev)
    if digits is not None:
        return _resolve_digest(repo, wanted, digits, registry)
    return _resolve_commit(repo, wanted, repo.resolve_commit(rev))


def with_provenance(version: Version, settings: Settings) -> Version:
    """Tell which commit a version that is not committed stands on, and whether its files differ from it."""
    if version.source not in {"working tree", "index"}:
        return version
    from promptops.git.repo import GitRepo

    with GitRepo(settings) as repo:
        if not repo.has_commits():
            return version
        commit = repo.resolve_commit("HEAD")
        read = repo.reader("") if version.source == "index" else working_tree_reader(settings)
        closure = version.prompt.closure
        try:
            kept = repo.read_many([(commit, f"{settings.prompts_path}/{path}") for path in closure])
        except Invalid:  # one of them is not there, or not as a file
            return replace(version, commit_sha=commit)
        same = all(
            _normalize_newlines(read(path)) == _normalize_newlines(text)
            for path, text in zip(closure, kept, strict=True)
        )
    return replace(version, commit_sha=commit, dirty=not same)


def live_channels(settings: Settings) -> "dict[str, dict[str, ChannelState]]":
    """Where each released prompt is live: what its channels serve, by prompt and channel."""
    from promptops.git.repo import GitRepo

    with GitRepo(settings) as repo:
        trusted = trusted_releases(repo)
        states = trusted.releases() if trusted else {}
    return {
        name: {channel: serving for channel, serving in state.channels.items() if serving.stable}
        for name, state in states.items()
    }


def prompt_names(settings: Settings, rev: str | None = None) -> list[str]:
    """Names of the prompts in the working tree, at a revision, or in the index (``INDEX``)."""
    if rev is None:
        return working_tree_names(settings)
    from promptops.git.repo import GitRepo

    with GitRepo(settings) as repo:
        return _names_at(repo, "" if rev == INDEX else repo.resolve_commit(rev))


@contextmanager
def version_reader(
    version: Version, settings: Settings, repo: "GitRepo | None" = None
) -> Iterator[FileReader]:
    """Read any file below ``prompts/`` as it was where the version comes from, its golden set for example.

    ``repo``: one that is open already.
    """
    if version.source == "working tree":
        yield working_tree_reader(settings)
        return
    from promptops.git.repo import GitRepo

    with nullcontext(repo) if repo else GitRepo(settings) as opened:
        if version.source == "index":
            yield opened.reader("")
        elif version.commit_sha is None or not opened.has_commits(version.commit_sha):
            raise NotFound(
                f"the commit that {version.reference} was released from is not in this repository",
                hint="git fetch --all, then again",
            )
        else:
            yield opened.reader(version.commit_sha)


def _resolve_working_tree(wanted: Reference, settings: Settings) -> Version:
    if settings.top is None:
        raise Invalid(
            f"`{wanted.text}` is of the working tree, and a bare repository has none",
            hint=f"name a revision: {wanted.name}@HEAD",
        )
    names = lambda: working_tree_names(settings)  # noqa: E731 - listed only when something is missing
    prompt = _load(wanted.name, working_tree_reader(settings), names, "in the working tree")
    return Version(
        prompt=with_released_format_here(prompt, settings),
        reference=wanted.text,
        source="working tree",
        pasteable=wanted.name,
        dirty=True,
    )


def _resolve_index(repo: "GitRepo", wanted: Reference) -> Version:
    prompt = _load(wanted.name, repo.reader(""), lambda: _names_at(repo, ""), "in the index")
    return Version(
        prompt=with_released_format(prompt, repo),
        reference=wanted.text,
        source="index",
        pasteable=f"{wanted.name}@{INDEX}",
        dirty=True,
    )


def _resolve_commit(repo: "GitRepo", wanted: Reference, commit: str) -> Version:
    where = f"at {wanted.rev}"
    prompt = _load(wanted.name, repo.reader(commit), lambda: _names_at(repo, commit), where)
    return Version(
        prompt=with_released_format(prompt, repo),
        reference=wanted.text,
        source="commit",
        pasteable=f"{wanted.name}@{repo.abbreviate(commit)}",
        commit_sha=commit,
    )


def _load(name: str, read: FileReader, names: Callable[[], Sequence[str]], where: str) -> Prompt:
    try:
        return load_prompt(name, read)
    except NotFound:
        hint = suggest_nearest(name, names(), "promptops init makes a first prompt")
        raise NotFound(f"no prompt `{name}` {where}", hint=hint) from None


def _names_at(repo: "GitRepo", rev: str) -> list[str]:
    folder = repo.settings.prompts_path
    return sorted(
        filter_prompt_names(entry.path[len(folder) + 1 :] for entry in repo.list_files(rev, folder))
    )


def _normalize_newlines(text: bytes) -> bytes:
    return text.replace(b"\r\n", b"\n")  # as git may check them out


# released versions


def _with_digest(prompt: Prompt, digest: str, wanted: Reference) -> Prompt:
    recorded = prompt.with_digest(digest)
    if recorded is None:
        raise Invalid(
            f"`{wanted.text}` reads as sha256:{prompt.digest[:_SHORT]}, not as sha256:{digest[:_SHORT]}",
            hint="its files were changed after it was recorded, or another release of promptops recorded it",
        )
    return recorded


# by digest


def _resolve_digest(
    repo: "GitRepo", wanted: Reference, digits: str, registry: "RegistryDatabase | None"
) -> Version:
    """Look wherever a version can be: this branch's history, the registry, index, working tree."""
    candidates = list(_digest_candidates(repo, wanted, digits, registry))
    found = dict(candidate for candidate in reversed(candidates) if candidate[0].startswith(digits))
    found = found or _recorded_candidates(candidates, digits)
    if len(found) > 1:
        raise Invalid(
            f"`{wanted.text}` is ambiguous: {', '.join(f'sha256:{digest[:20]}' for digest in found)}",
            hint="write more digits",
        )
    if not found:
        there = [f"sha256:{digest[:_SHORT]}" for digest in dict(candidates)]
        raise NotFound(
            f"no version of {wanted.name} here has the digest sha256:{digits}",
            hint=suggest_nearest("", there, f"promptops history {wanted.name} lists its versions"),
        )
    digest, get = next(iter(found.items()))
    version = get()
    return replace(version, prompt=_with_digest(version.prompt, digest, wanted))


def _recorded_candidates(candidates: Sequence[VersionCandidate], digits: str) -> dict[str, FindVersion]:
    """Versions that have such a digest in the first format, in which they may have been recorded."""
    found: dict[str, FindVersion] = {}
    for _, get in candidates:
        prompt = replace(get().prompt, recorded_format=PYTHON_FORMAT)
        if prompt.digest.startswith(digits):
            found.setdefault(prompt.digest, get)
    return found


def _digest_candidates(
    repo: "GitRepo", wanted: Reference, digits: str, registry: "RegistryDatabase | None"
) -> Iterator[VersionCandidate]:
    from promptops.registry import find_logged_versions
    from promptops.versions.lineage import read_lineage

    for start in read_lineage(wanted.name, repo, registry).starts:
        if start.digest is not None:
            yield start.digest, partial(_resolve_renamed, repo, wanted, start.name, start.commit_sha)
    for digest, commit in find_logged_versions(registry, wanted.name, digits) if registry else ():
        if commit is not None and repo.has_commits(commit):
            yield digest, partial(_resolve_commit, repo, wanted, commit)
        elif registry is not None:
            yield digest, partial(_resolve_logged, registry, wanted, digest)
    for get in (partial(_resolve_index, repo), partial(_resolve_working_tree, settings=repo.settings)):
        try:
            version = get(wanted)
        except PromptopsError:  # absent or broken there, so not the version that is looked for
            continue
        yield version.prompt.digest, partial(replace, version)


def _resolve_logged(registry: "RegistryDatabase", wanted: Reference, digest: str) -> Version:
    """Make again a version that ran and that no commit has."""
    from promptops.registry import stored_prompt

    prompt = stored_prompt(registry, wanted.name, digest)
    if prompt is None:
        raise NotFound(f"the registry no longer has sha256:{digest[:_SHORT]}", hint="it was pruned meanwhile")
    pasteable = f"{wanted.name}@sha256:{digest[:_SHORT]}"
    return Version(prompt=prompt, reference=wanted.text, source="registry", pasteable=pasteable, dirty=True)


def _resolve_renamed(repo: "GitRepo", wanted: Reference, name: str, commit: str) -> Version:
    """Find a version from before the prompt was called what it is now."""
    version = _resolve_commit(repo, replace(wanted, name=name), commit)
    return replace(version, prompt=replace(version.prompt, name=wanted.name))
