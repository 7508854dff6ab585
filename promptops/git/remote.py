"""The state branch and a remote: fetched by its name alone, pushed plainly, never by force."""

from promptops.config.settings import Settings
from promptops.errors import Invalid, Unavailable
from promptops.git.process import run_git_online
from promptops.git.repo import STATE_BRANCH
from promptops.git.state_branch import STATE_REF

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


def tracking_ref(remote: str, branch: str = STATE_BRANCH) -> str:
    return f"refs/remotes/{remote}/{branch}"


def fetch_state_branch(settings: Settings, remote: str, to: str = "", *, force: bool = False) -> bool:
    """Fetch exactly the state branch, and say whether the remote has one.

    Raises Unavailable when the remote can't be reached, Invalid where its branch does not continue
    what was fetched before.
    """
    spec = f"{'+' if force else ''}{STATE_REF}:{to or tracking_ref(remote)}"
    options = ("--no-tags", "--no-recurse-submodules", "--no-write-fetch-head", "--no-auto-gc")
    result = run_git_online(settings, "fetch", *options, remote, spec)
    said = result.stderr.decode("utf-8", "replace")
    if result.returncode == 0:
        return True
    if "couldn't find remote ref" in said:
        return False
    if "non-fast-forward" in said or "[rejected]" in said:
        raise Invalid(
            f"{STATE_BRANCH} of {remote} does not continue what was fetched before: "
            "somebody has rewritten it, or made it anew",
            hint="promptops release recover shows both and brings back what is missing",
        )
    raise _unreachable(remote, said)


def push_commit(settings: Settings, remote: str, commit: str, ref: str = STATE_REF) -> bool:
    """Push a commit to a branch; False where the branch has moved on.

    Raises Unavailable when the remote can't be reached, Invalid where it refuses.
    """
    options = ("--porcelain", "--no-verify", "--no-follow-tags", "--no-recurse-submodules")
    result = run_git_online(settings, "push", *options, remote, f"{commit}:{ref}")
    if result.returncode == 0:
        return True
    said = result.stderr.decode("utf-8", "replace")
    answers = [line for line in result.stdout.decode("utf-8", "replace").splitlines() if line.startswith("!")]
    if not answers:
        raise _unreachable(remote, said)
    why = answers[0].rpartition("\t")[2]
    if any(sentence in f"{why}\n{said}" for sentence in _REF_MOVED_MESSAGES):
        return False
    heard = [line.removeprefix("remote:").strip() for line in said.splitlines() if line.startswith("remote:")]
    told = "; ".join(dict.fromkeys(line for line in heard if line)) or why
    raise PushRejected(
        f"{remote} refuses the push to {ref.removeprefix('refs/heads/')}: {told}", hint=_REJECTED_HINT
    )


class RemoteUnreachable(Unavailable):
    """The remote does not answer."""


class PushRejected(Invalid):
    """The remote answers, and does not take the commit."""


def _unreachable(remote: str, said: str) -> RemoteUnreachable:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    what = next((line for line in lines if line.startswith(("fatal:", "error:", "ssh:"))), " ".join(lines))
    return RemoteUnreachable(
        f"the remote {remote} cannot be reached: {what.removeprefix('fatal: ')}",
        hint="try again; --local goes on without it, and promptops release sync pushes it later",
    )
