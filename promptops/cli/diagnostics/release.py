"""What ``promptops doctor`` finds of releases: who commits them, where they are shared, what waits.

Nothing here uses the network: the remote is what was fetched of it.
"""

from collections.abc import Iterator

from promptops.cli.diagnostics.finding import DoctorFinding
from promptops.config.settings import Settings
from promptops.errors import PromptopsError
from promptops.git.repo import STATE_BRANCH
from promptops.git.state_branch import has_committer_identity, state_branch_checkouts
from promptops.release.ledger import Ledger
from promptops.release.ledger.source_branch import resolve_source_branch
from promptops.versions.trusted_releases import trusted_releases

_IDENTIFY = 'git config user.name "Ada"; git config user.email ada@example.org'
_SYNC = "promptops release sync"


def release_findings(settings: Settings) -> Iterator[DoctorFinding]:
    """Nothing outside of a git repository, where nothing can be released."""
    if settings.common_dir is None:
        return
    with Ledger(settings, local=True) as ledger:
        yield from _committer_identity(settings, ledger)
        yield from _remote_and_source(ledger)
        yield from _release_state(ledger)
    for path in state_branch_checkouts(settings):
        text = f"{STATE_BRANCH} is checked out in {path}: edits there would be lost or in the way"
        yield DoctorFinding("state branch", "note", text, f"git -C {path} switch --detach")


def _committer_identity(settings: Settings, ledger: Ledger) -> Iterator[DoctorFinding]:
    identity = ledger.branch.identity
    if not has_committer_identity(settings):
        yield DoctorFinding(
            "identity", "error", "git does not know who commits, so nothing is released", _IDENTIFY
        )
    elif not identity.actor:
        yield DoctorFinding(
            "identity",
            "warning",
            "git makes up the name or the address under which releases are committed",
            _IDENTIFY,
        )
    else:
        yield DoctorFinding("identity", "ok", identity.actor)
    if identity.signs:
        text = "commit.gpgsign is on: releases are signed; a rollback goes out unsigned where signing fails"
        yield DoctorFinding("signing", "note", text)


def _remote_and_source(ledger: Ledger) -> Iterator[DoctorFinding]:
    """The remote, what is reviewed there, and what it does not have."""
    try:
        remote = ledger.branch.remote
        if remote is None:
            return
        source = resolve_source_branch(ledger.branch)
    except PromptopsError as error:
        yield DoctorFinding("remote", "warning", error.message, error.hint)
        return
    yield DoctorFinding("remote", "ok", f"{remote}, reviewed is {source.rev if source else 'nothing'}")


def _release_state(ledger: Ledger) -> Iterator[DoctorFinding]:
    try:
        trusted = trusted_releases(ledger.repo)
        states = trusted.releases() if trusted else {}
    except PromptopsError as error:
        yield DoctorFinding("releases", "error", error.message, error.hint)
        return
    yield from _tampering(ledger)
    if not states:
        yield DoctorFinding("releases", "note", "nothing is released yet")
        return
    canaries = sum(bool(each.rollout) for state in states.values() for each in state.channels.values())
    active = f"{canaries} active canar{'y' if canaries == 1 else 'ies'}"
    yield DoctorFinding("releases", "ok", f"{len(states)} prompt{'s'[: len(states) != 1]}, {active}")
    yield from _unpushed_transitions(ledger)


def _tampering(ledger: Ledger) -> Iterator[DoctorFinding]:
    """What of the whole branch is not as its transitions left it."""
    try:
        tampering = ledger.audit()
    except PromptopsError as error:
        yield DoctorFinding("state branch", "error", error.message, error.hint)
        return
    for each in tampering:
        yield DoctorFinding("state branch", "error", each.sentence, "promptops release recover")


def _unpushed_transitions(ledger: Ledger) -> Iterator[DoctorFinding]:
    try:
        count = len(ledger.pending())
    except PromptopsError:  # of several remotes, which one is not known: that is told above
        return
    if count:
        are = "transition is" if count == 1 else "transitions are"
        yield DoctorFinding("releases", "warning", f"{count} {are} on this machine only", _SYNC)
