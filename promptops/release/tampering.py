"""What is found of a state branch that somebody has changed by hand."""

from collections.abc import Mapping
from dataclasses import field

from promptops.dataclass import dataclass
from promptops.git.repo import STATE_BRANCH
from promptops.versions.release_state import ReleaseState


@dataclass(frozen=True, slots=True, kw_only=True)
class Tampering:
    """A file that is not as a transition left it. ``good``: the blob that it was, "" where there was none.

    ``path`` "" is the branch as a whole. ``prompts`` that it concerns; None for all of them.
    """

    path: str
    commit: str
    author: str
    problem: str
    prompts: frozenset[str] | None = frozenset()
    good: str = ""

    def concerns(self, prompt: str) -> bool:
        return self.prompts is None or prompt in self.prompts

    @property
    def sentence(self) -> str:
        where = f"{STATE_BRANCH}:{self.path}" if self.path else STATE_BRANCH
        return f"{where}: {self.problem} (commit {self.commit[:12]} by {self.author})"


@dataclass(frozen=True, slots=True, kw_only=True)
class BranchAudit:
    """``good_commits``: of each prompt whose state was tampered with, the newest commit before that, if any.

    ``base``: of all prompts, where the branch as a whole is another one than was verified before.
    ``states``: what the transitions say of each prompt that they are about.
    """

    head: str
    tampering: tuple[Tampering, ...] = ()
    good_commits: Mapping[str, str | None] = field(default_factory=dict)
    base: str | None = None
    states: Mapping[str, ReleaseState] = field(default_factory=dict)

    @property
    def content(self) -> str:
        """The commit that holds versions, plans and evidence: what they say shows whether it is they."""
        return self.base or self.head

    def concerning(self, prompt: str) -> list[Tampering]:
        return [each for each in self.tampering if each.concerns(prompt)]

    def good_commit(self, prompt: str) -> str | None:
        """The commit that a prompt's releases are known to be good at."""
        return self.base or self.good_commits.get(prompt, self.head)
