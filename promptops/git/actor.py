"""Who does what is released: the person, where a job runs in a person's name."""

from collections.abc import Mapping

_CI_PEOPLE = {
    "BUILDKITE": ("BUILDKITE_BUILD_CREATOR", "BUILDKITE_BUILD_CREATOR_EMAIL", "BUILDKITE_SOURCE"),
    "CIRCLECI": ("CIRCLE_USERNAME", "", ""),
    "GITHUB_ACTIONS": ("GITHUB_ACTOR", "", "GITHUB_EVENT_NAME"),
    "GITLAB_CI": ("GITLAB_USER_NAME", "GITLAB_USER_EMAIL", "CI_PIPELINE_SOURCE"),
    "JENKINS_URL": ("BUILD_USER", "BUILD_USER_EMAIL", ""),
    "TF_BUILD": ("BUILD_REQUESTEDFOR", "BUILD_REQUESTEDFOREMAIL", "BUILD_REASON"),
}
"""What marks a CI service: its variables of the person's name and address, and of what started the job."""


def actor_of(config: Mapping[str, str], env: Mapping[str, str]) -> str:
    """``Ada <ada@example.org>``; ``Ada`` where CI names no address; "" where git would make up a part.

    The variables of git for an author come first, then the person whom a CI service names, then the committer
    as git has it. ``config``: git's ``committer.*`` and ``user.*``.
    """
    if not (env.get("GIT_AUTHOR_NAME") or env.get("GIT_AUTHOR_EMAIL")) and (person := _ci_person(env)):
        return person
    name, email = (
        env.get(f"GIT_AUTHOR_{part.upper()}")
        or env.get(f"GIT_COMMITTER_{part.upper()}")
        or config.get(f"committer.{part}")
        or config.get(f"user.{part}")
        for part in ("name", "email")
    )
    email = email or env.get("EMAIL")
    return f"{name} <{email}>" if name and email else ""


def _ci_person(env: Mapping[str, str]) -> str:
    """Nobody for a job that a schedule has started: services then name who wrote the schedule."""
    for mark, (name_variable, email_variable, source_variable) in _CI_PEOPLE.items():
        name = env.get("GITHUB_TRIGGERING_ACTOR") if mark == "GITHUB_ACTIONS" else None
        name = name or env.get(name_variable)
        if env.get(mark) and name and env.get(source_variable, "").lower() != "schedule":
            email = env.get(email_variable) or (_github_address(env) if mark == "GITHUB_ACTIONS" else "")
            return f"{name} <{email}>" if email else name
    return ""


def _github_address(env: Mapping[str, str]) -> str:
    """The address under which GitHub commits for who started the job, so that rules on approvers can name it.

    Whoever starts it again is the triggering actor, of whom no number is known.
    """
    name, number = env.get("GITHUB_TRIGGERING_ACTOR"), env.get("GITHUB_ACTOR_ID")
    known = number and name in (None, env.get("GITHUB_ACTOR"))
    return f"{number}+{env['GITHUB_ACTOR']}@users.noreply.github.com" if known else ""
