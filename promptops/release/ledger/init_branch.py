"""Writes the README and the CODEOWNERS of a state branch."""

from promptops.errors import Invalid, Unavailable
from promptops.git.repo import STATE_BRANCH
from promptops.git.state_branch import repository_lock
from promptops.release.ledger.branch import StateBranch
from promptops.release.ledger.commit_message import format_message
from promptops.release.ledger.sync import rebase_local_commits

_README = f"""\
# {STATE_BRANCH}

What is released where, written by `promptops` and by nothing else. `git log` of this branch is the audit log.

- `releases/`: what each channel of each prompt serves
- `versions/`: every released version, whole
- `plans/`: release plans as they were when a rollout began
- `evidence/`: what was known at a transition: counts, sums and e-values
- `log/`: every transition

A file that was changed by hand is brought back by `promptops release recover`.
Builders that build every branch should leave this one out.
"""


def init_state_branch(branch: StateBranch, codeowners: tuple[str, ...] = ()) -> str | None:
    """Commit README.md, and CODEOWNERS where owners are named; None when both are there already."""
    if branch.online and rebase_local_commits(branch) is None:
        raise Unavailable(f"{STATE_BRANCH} keeps changing at the remote", hint="try again in a moment")
    with repository_lock(branch.settings):
        head, here = branch.newest_commit(), branch.local_head
        files = {"README.md": _README.encode()}
        if codeowners:
            files["CODEOWNERS"] = f"* {' '.join(_check_owner(name) for name in codeowners)}\n".encode()
        there = {entry.path for entry in branch.repo.list_files(head, "")} if head else set()
        new = {
            path: text
            for path, text in files.items()
            if path not in there or (path == "CODEOWNERS" and head and branch.repo.read(head, path) != text)
        }
        if not new:
            return None
        words = {"Transition": "init", "Actor": branch.identity.actor}
        commit = branch.commit(head, new, format_message(f"release: write {' and '.join(new)}", words))
        if branch.online and not branch.push(commit):
            raise Unavailable(f"{branch.remote} has moved on meanwhile", hint="try again in a moment")
        if not branch.move(commit, here, pushed=branch.online):
            raise Unavailable(f"{STATE_BRANCH} has moved meanwhile", hint="try again in a moment")
    return commit


def _check_owner(name: str) -> str:
    if not name or any(letter.isspace() for letter in name) or "@" not in name:
        raise Invalid(f"`{name}` is not a code owner", hint="@user, @org/team, or an address")
    return name
