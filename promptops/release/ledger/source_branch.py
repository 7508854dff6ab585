"""The reviewed branch: what is released, and by which policy, comes from there."""

from promptops.config.settings import SettingsFile, decode_settings
from promptops.config.settings_schema import SETTINGS_FILE
from promptops.dataclass import dataclass
from promptops.errors import Invalid, NotFound
from promptops.git.repo import GitRepo
from promptops.release.ledger.branch import StateBranch

_DEFAULT_NAMES = ("main", "master", "trunk")


@dataclass(frozen=True, slots=True)
class SourceBranch:
    """A remote's branch as last fetched, ``origin/main``, and the commit that it stands on."""

    rev: str
    commit: str


def resolve_source_branch(branch: StateBranch) -> SourceBranch | None:
    """The branch that ``release.from`` names, else the remote's default one; None without a remote.

    Raises Invalid where it is not known here.
    """
    remote, repo = branch.remote, branch.repo
    named = branch.settings.release.get("from")
    if named is not None:
        return _named_branch(repo, str(named))
    if remote is None:
        return None
    found = _default_branch(repo, remote)
    if found is None:
        raise Invalid(
            f"which branch of {remote} is the reviewed one is not known here",
            hint=f"git remote set-head {remote} --auto, or promptops.yaml: release: {{from: {remote}/main}}; "
            "or --unreviewed --reason",
        )
    return found


def source_branch_settings(repo: GitRepo, source: SourceBranch | None) -> SettingsFile:
    """promptops.yaml as it was reviewed; that of the working tree without a remote."""
    if source is None:
        return repo.settings.file
    prefix = repo.settings.prefix
    path = f"{prefix}/{SETTINGS_FILE}" if prefix else SETTINGS_FILE
    try:
        text = repo.read(source.commit, path)
    except NotFound:
        return SettingsFile()
    return decode_settings(text, f"{source.rev}:{path}")


def require_on_source_branch(
    repo: GitRepo, source: SourceBranch | None, commit: str | None, what: str
) -> None:
    """Raise Invalid unless the commit is on the reviewed branch. ``what``: the version, for the message."""
    if source is None:
        return
    if commit is None or not repo.has_commits(commit) or not repo.is_ancestor(commit, source.commit):
        raise Invalid(
            f"{what} is not on {source.rev}, so it has not been reviewed",
            hint="merge it first, then git fetch; or --unreviewed --reason, which is recorded",
        )


def _named_branch(repo: GitRepo, rev: str) -> SourceBranch:
    try:
        return SourceBranch(rev, repo.resolve_commit(rev))
    except NotFound as error:
        raise NotFound(
            f"the reviewed branch {rev} is not known here",
            hint=f"release.from in {SETTINGS_FILE} names it; git fetch",
        ) from error


def _default_branch(repo: GitRepo, remote: str) -> SourceBranch | None:
    heads = repo.refs(f"refs/remotes/{remote}")
    folder = f"refs/remotes/{remote}/"
    if f"{folder}HEAD" in heads:
        commit = heads[f"{folder}HEAD"]
        names = [name for name in _DEFAULT_NAMES if heads.get(folder + name) == commit]
        names += [ref.removeprefix(folder) for ref, oid in heads.items() if oid == commit]
        return SourceBranch(f"{remote}/{next(name for name in names if name != 'HEAD')}", commit)
    usual = [name for name in _DEFAULT_NAMES if folder + name in heads]
    return SourceBranch(f"{remote}/{usual[0]}", heads[folder + usual[0]]) if len(usual) == 1 else None
