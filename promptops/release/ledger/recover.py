"""Brings back a state branch that is gone, and files of it that were damaged or edited by hand."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace

from promptops.errors import Invalid, NotFound
from promptops.git.process import run_git
from promptops.git.repo import STATE_BRANCH
from promptops.git.state_branch import STATE_REF, RefUpdate, delete_ref, repository_lock, update_refs
from promptops.release.ledger.branch import StateBranch
from promptops.release.ledger.commit_message import format_message
from promptops.release.ledger.history import matches_log
from promptops.release.ledger.serialize import encode_release
from promptops.release.ledger.transition_log import decode_record, read_record
from promptops.release.plan import load_pinned_plan
from promptops.versions.release_state import ReleaseState, decode_release, decode_snapshot, release_path

_RECOVERED_REF = "refs/promptops/found"


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerRecovery:
    """``branch``: where it was found again, "" where it was not gone. ``files`` were mended."""

    commit: str
    branch: str = ""
    files: tuple[str, ...] = ()
    pushed: bool | None = None


def recover_branch(branch: StateBranch) -> LedgerRecovery:
    """Bring the branch back from wherever it still is, then mend its files from its history.

    Raises NotFound where no trace of it is left here, Invalid where two of them contradict each other.
    """
    commit, where, at_remote = _locate_branch(branch)
    found, names = _repair_files(branch, commit)
    pushed = None
    if branch.online:
        if at_remote != found and not branch.push(found):
            raise Invalid(f"{branch.remote} has moved on meanwhile", hint="promptops release recover")
        pushed = True
    elif branch.remote:
        pushed = False
    with repository_lock(branch.settings):
        branch.repo.refresh_refs()
        here = branch.local_head
        if here and not branch.repo.is_ancestor(here, found):
            raise Invalid(f"{STATE_BRANCH} has moved meanwhile", hint="promptops release recover")
        if here != found and not branch.move(found, here, pushed=bool(pushed)):
            raise Invalid(f"{STATE_BRANCH} has moved meanwhile", hint="promptops release recover")
    return LedgerRecovery(commit=found, branch=where, files=names, pushed=pushed)


# the branch


def _locate_branch(branch: StateBranch) -> tuple[str, str, str | None]:
    """The commit that all others lead to, where it was found, and what the remote has."""
    at_remote = _fetch_remote_head(branch)
    branch.repo.refresh_refs()
    places = dict(branch.repo.state_heads())
    if at_remote:
        places[f"{STATE_BRANCH} of {branch.remote}"] = at_remote
    if not places:
        places = _dangling_commits(branch)
    if not places:
        raise NotFound(
            f"no trace of {STATE_BRANCH} is left in this clone",
            hint="run promptops release recover in another clone: any that has used it will do",
        )
    commits = set(places.values())
    tops = [one for one in commits if all(branch.repo.is_ancestor(other, one) for other in commits - {one})]
    if not tops:
        raise _divergence_error(branch, places)
    gone = STATE_REF not in places or bool(branch.online and at_remote is None)
    where = next(name for name, oid in places.items() if oid == tops[0])
    return tops[0], where if gone or len(commits) > 1 else "", at_remote


def _fetch_remote_head(branch: StateBranch) -> str | None:
    """What the remote's branch is, also where it was rewritten; kept under a ref of its own meanwhile."""
    if not branch.online or not branch.fetch(_RECOVERED_REF, force=True):
        return None
    commit = branch.repo.refs(_RECOVERED_REF)[_RECOVERED_REF]
    delete_ref(branch.settings, _RECOVERED_REF)
    return commit


def _dangling_commits(branch: StateBranch) -> dict[str, str]:
    """Commits that no ref leads to any more, the newest of each line."""
    words = ("fsck", "--lost-found", "--no-reflogs", "--no-progress", "--connectivity-only")
    said = run_git(branch.settings, *words, ok=tuple(range(128))).decode("utf-8", "replace").splitlines()
    dangling = [line.split()[-1] for line in said if line.startswith("dangling commit ")]
    ours = [oid for oid in dangling if branch.repo.list_files(oid, "releases")]
    return {f"the commit {oid[:12]}, which nothing leads to any more": oid for oid in ours}


def _divergence_error(branch: StateBranch, places: dict[str, str]) -> Invalid:
    for oid in places.values():  # so that neither is lost to git gc while somebody thinks
        update_refs(branch.settings, RefUpdate(f"refs/promptops/kept/{oid[:12]}", oid, ""))
    lines = ", ".join(f"{name} at {oid[:12]}" for name, oid in places.items())
    return Invalid(
        f"{STATE_BRANCH} is not one line of history: {lines}",
        hint="promptops release sync where the remote's is right; else choose one: "
        f"git update-ref {STATE_REF} COMMIT, then git push (refs/promptops/kept has them all)",
    )


# its files


def _repair_files(branch: StateBranch, commit: str) -> tuple[str, tuple[str, ...]]:
    """A commit in which every file can be read again, and the files that had to be brought back."""
    files: dict[str, bytes] = {}
    for path in sorted({*_paths(branch, commit), *_deleted_paths(branch, commit)}):
        if text := _repair_file(branch, commit, path):
            files[path] = text
    if not files:
        return commit, ()
    said = format_message(
        f"release: recover {', '.join(files)}", {"Transition": "recover", "Actor": branch.identity.actor}
    )
    return branch.commit(commit, files, said), tuple(files)


def _paths(branch: StateBranch, commit: str) -> list[str]:
    return [entry.path for entry in branch.repo.list_files(commit, "")]


def _deleted_paths(branch: StateBranch, commit: str) -> Iterable[str]:
    """Files that the branch has had; promptops takes none away."""
    said = run_git(branch.settings, "log", "--diff-filter=D", "--name-only", "-z", "--format=", commit, "--")
    return [path for path in said.decode("utf-8", "surrogateescape").strip("\n").split("\0") if path]


def _repair_file(branch: StateBranch, commit: str, path: str) -> bytes | None:
    """A file's text where it has to be another one, else None."""
    if path.partition("/")[0] not in ("releases", "versions", "plans", "evidence", "log"):
        return None
    text = _read_file(branch, commit, path)
    if text is not None and _is_valid_file(branch, commit, path, text):
        return None
    said = run_git(branch.settings, "log", "--format=%H", commit, "--", path).decode().split()
    for older in said:
        good = _read_file(branch, older, path)
        if good is not None and _is_valid_file(branch, older, path, good):
            good = _replay_log(branch, commit, path, good)
            return good if good != text else None
    raise Invalid(f"{STATE_BRANCH}:{path} has never been readable", hint=f"git log {STATE_BRANCH} -- {path}")


def _read_file(branch: StateBranch, commit: str, path: str) -> bytes | None:
    try:
        return branch.repo.read(commit, path)
    except NotFound:
        return None


def _is_valid_file(branch: StateBranch, commit: str, path: str, text: bytes) -> bool:
    """Whether a file is as promptops writes it, and a state as its last transition left it."""
    folder, _, rest = path.partition("/")
    stem = rest.rpartition(".")[0]
    try:
        if folder == "releases":
            return matches_log(branch.repo, commit, decode_release(text, stem))
        if folder == "versions":
            decode_snapshot(text, path, stem.rpartition("/")[0])
        elif folder == "log":
            decode_record(text, path)
        elif folder == "plans":
            _check_plan(text, stem)
        elif not isinstance(json.loads(text), dict):
            return False
    except (Invalid, ValueError):
        return False
    return True


def _check_plan(text: bytes, short: str) -> None:
    """Raise Invalid unless the text is the plan that its path names by the first digits of a digest."""
    from promptops.config.yaml import parse_yaml
    from promptops.prompt.canonical_json import canonical_json, sha256_hex

    digest = sha256_hex(canonical_json(parse_yaml(text, "plan").data))
    load_pinned_plan(text, digest if digest.startswith(short) else short)


def _replay_log(branch: StateBranch, commit: str, path: str, text: bytes) -> bytes:
    """A state that is brought back, brought up to the last transition that the log has."""
    if not path.startswith("releases/"):
        return text
    prompt = path[len("releases/") : -len(".yaml")]
    state: ReleaseState = decode_release(text, prompt)
    while (next_one := _apply_next_record(branch, commit, state)) is not None:
        state = next_one
    return encode_release(state) if path == release_path(prompt) else text


def _apply_next_record(branch: StateBranch, commit: str, state: ReleaseState) -> ReleaseState | None:
    try:
        record = read_record(branch.repo, commit, state.prompt, state.generation + 1)
    except Invalid:
        return None
    if record is None:
        return None
    return replace(
        state, generation=record.generation, channels={**state.channels, record.channel: record.after}
    )
