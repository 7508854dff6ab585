"""The state branch and a remote: fetched by its name alone, pushed plainly, never by force."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from promptops.config.settings import Settings
from promptops.dataclass import dataclass
from promptops.errors import Invalid, Unavailable
from promptops.git.repo import STATE_BRANCH, STATE_REF

if TYPE_CHECKING:
    from promptops.git.transfer import TransferResult

REMOTE_TIMEOUT_S = 60.0
_REF_MOVED_MESSAGES = (
    "fetch first",
    "non-fast-forward",
    "cannot lock ref",
    "failed to update ref",
    "incorrect old value",
)
_REJECTED_HINT = (
    "a branch rule for `*` or required signatures refuse it: exempt promptops-state; "
    "in GitHub Actions the job needs `permissions: {contents: write}`"
)
_FETCH_OPTIONS = (
    "--refmap=",  # or git moves the ref of what was fetched last as well, over a branch that was rewritten
    "--no-tags",
    "--no-recurse-submodules",
    "--no-write-fetch-head",
    "--no-auto-gc",
)
_PUSH_OPTIONS = ("--porcelain", "--no-verify", "--no-follow-tags", "--no-recurse-submodules")


@dataclass(frozen=True, slots=True)
class TransferProgress:
    """How far a fetch or push has come; ``total`` is None where git does not know it."""

    remote: str
    stage: str
    done: int = 0
    total: int | None = None


OnTransfer = Callable[[TransferProgress | None], None]
"""Called while a remote is talked to, at first before it has answered; with None at the end. May be called
from another thread."""


def tracking_ref(remote: str) -> str:
    return f"refs/remotes/{remote}/{STATE_BRANCH}"


def fetch_state_branch(
    settings: Settings,
    remote: str,
    to: str = "",
    *,
    force: bool = False,
    on_transfer: OnTransfer | None = None,
) -> bool:
    """Fetch exactly the state branch, and say whether the remote has one.

    Raises Unavailable when the remote can't be reached, Invalid where its branch does not continue
    what was fetched before.
    """
    spec = f"{'+' if force else ''}{STATE_REF}:{to or tracking_ref(remote)}"
    result = _transfer(settings, remote, ("fetch", *_FETCH_OPTIONS), spec, on_transfer)
    if result.returncode == 0:
        return True
    stderr = "\n".join(result.stderr)
    if "couldn't find remote ref" in stderr:
        return False
    if "non-fast-forward" in stderr or "[rejected]" in stderr:
        raise Invalid(
            f"{STATE_BRANCH} of {remote} does not continue what was fetched before: "
            "somebody has rewritten it, or made it again from nothing",
            hint="promptops release recover shows both and brings back what is missing",
        )
    raise _unreachable(remote, result)


def push_commit(
    settings: Settings,
    remote: str,
    commit: str,
    ref: str = STATE_REF,
    *,
    on_transfer: OnTransfer | None = None,
) -> bool:
    """Push a commit to a branch; False where the branch has moved on.

    Raises Unavailable when the remote can't be reached, Invalid where it refuses.
    """
    result = _transfer(settings, remote, ("push", *_PUSH_OPTIONS), f"{commit}:{ref}", on_transfer)
    if result.returncode == 0:
        return True
    rejection = next((line for line in result.stdout if line.startswith("!")), None)
    if rejection is None:
        raise _unreachable(remote, result)
    reason = rejection.rpartition("\t")[2]
    if any(message in "\n".join([reason, *result.stderr]) for message in _REF_MOVED_MESSAGES):
        return False
    comments = [line.removeprefix("remote:").strip() for line in result.stderr if line.startswith("remote:")]
    explanation = "; ".join(dict.fromkeys(filter(None, comments))) or reason
    raise PushRejected(
        f"{remote} refuses the push to {ref.removeprefix('refs/heads/')}: {explanation}", hint=_REJECTED_HINT
    )


class RemoteUnreachable(Unavailable):
    """The remote does not answer."""


class PushRejected(Invalid):
    """The remote answers, and does not take the commit."""


def _transfer(
    settings: Settings, remote: str, command: tuple[str, ...], spec: str, on_transfer: OnTransfer | None
) -> "TransferResult":
    try:
        from promptops.git.transfer import run_transfer
    except ImportError as error:  # GitPython starts git when it is imported
        hint = "unset GIT_PYTHON_GIT_EXECUTABLE and GIT_PYTHON_REFRESH, or install promptops again"
        raise Invalid(f"GitPython cannot be loaded: {_first_line(error)}", hint=hint) from error
    words = (*command, "--", remote, spec)  # no name of a remote is taken for an option
    if on_transfer is None:
        return run_transfer(settings, *words, timeout_s=REMOTE_TIMEOUT_S)

    def report(stage: str, done: int, total: int | None) -> None:
        on_transfer(TransferProgress(remote, stage, done, total))

    on_transfer(TransferProgress(remote, "connecting"))
    try:
        return run_transfer(settings, *words, timeout_s=REMOTE_TIMEOUT_S, on_stage=report)
    finally:
        on_transfer(None)


def _first_line(error: Exception) -> str:
    return next(iter(str(error).split("\n")), "")


def _unreachable(remote: str, result: "TransferResult") -> RemoteUnreachable:
    lines = [line.strip() for line in result.stderr if line.strip()]
    cause = next((line for line in lines if line.startswith(("fatal:", "error:", "ssh:"))), " ".join(lines))
    return RemoteUnreachable(
        f"the remote {remote} cannot be reached: {cause.removeprefix('fatal: ')}",
        hint="try again; --local continues without it, and promptops release sync pushes it later",
    )
