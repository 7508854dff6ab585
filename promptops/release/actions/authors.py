"""Who wrote the change that goes live, and whether somebody may approve it."""

import re

from promptops.errors import Invalid, PromptopsError
from promptops.git.log import commit_authors
from promptops.release.context import ReleaseContext, Target
from promptops.release.plan.types import PlanApproval, ReleasePlan
from promptops.versions.release_state import ReleasedVersion
from promptops.versions.resolve import Version

_ADDRESS = re.compile(r"<([^<>]*)>")


def authors_of_change(
    context: ReleaseContext, target: Target, released: ReleasedVersion, version: Version | None = None
) -> tuple[str, ...]:
    """The authors, and co-authors, of what a version changes against stable; none where that is not known."""
    stable = context.channel(target).stable
    base = stable.commit if stable else None
    try:
        prompt = (version or context.version(target, released)).prompt
        paths = [f"{context.settings.prompts_path}/{path}" for path in prompt.closure]
        if released.commit is None or not context.ledger.repo.has_commits(released.commit):
            return ()
        known = base if base and context.ledger.repo.has_commits(base) else None
        return commit_authors(context.settings, known, released.commit, paths)
    except PromptopsError:
        return ()


def require_approver(
    context: ReleaseContext, target: Target, plan: ReleasePlan, authors: tuple[str, ...]
) -> None:
    """Raise Invalid where the plan does not let whoever is here approve."""
    rule, actor = plan.approval, context.ledger.branch.identity.actor
    if rule is None:
        return
    if rule.approvers and not _is_approver(rule, actor):
        raise Invalid(
            f"{actor or 'nobody'} may not approve {target}: the plan {plan.name} names "
            f"{', '.join(rule.approvers)}",
            hint=f"one of them runs promptops release approve {target}; "
            "git config user.email says who you are",
        )
    if rule.own_change == "refuse":
        _require_other_author(target, plan, actor, authors)


def _is_approver(rule: PlanApproval, actor: str) -> bool:
    address = _actor_address(actor)
    return any(
        address.endswith(name.casefold()) if name.startswith("@") else address == name.casefold()
        for name in rule.approvers
    )


def _require_other_author(target: Target, plan: ReleasePlan, actor: str, authors: tuple[str, ...]) -> None:
    if not authors:
        raise Invalid(
            f"who wrote the change on {target} is not known here, and the plan {plan.name} lets nobody "
            "approve a change of their own",
            hint="git fetch --all, then again",
        )
    address = _actor_address(actor)
    if not address:
        raise Invalid(
            f"the address of {actor or 'who is here'} is not known, and the plan {plan.name} lets nobody "
            "approve a change of their own",
            hint="git config user.email, or GIT_AUTHOR_EMAIL in a CI job, says who you are",
        )
    if address in map(_address, authors):
        raise Invalid(
            f"{actor} wrote the change on {target}, and the plan {plan.name} lets nobody approve "
            "a change of their own",
            hint=f"somebody else runs promptops release approve {target}",
        )


def _actor_address(actor: str) -> str:
    """Empty for a bare name, such as some CI services give, though it may look like an address."""
    return _address(actor) if _ADDRESS.search(actor) else ""


def _address(name: str) -> str:
    found = _ADDRESS.search(name)
    return (found[1] if found else name).strip().casefold()
