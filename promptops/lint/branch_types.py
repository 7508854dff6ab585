"""The branches of a template, and which of them were reached."""

from collections.abc import Sequence

from promptops.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class TemplateBranch:
    """``file`` is "" for the prompt file, else the path of a partial."""

    file: str
    line: int
    what: str  # if, elif, else, for


@dataclass(frozen=True, slots=True)
class BranchCoverage:
    branches: tuple[TemplateBranch, ...] = ()
    reached: frozenset[int] = frozenset()

    @property
    def missed(self) -> Sequence[TemplateBranch]:
        return [branch for number, branch in enumerate(self.branches) if number not in self.reached]

    def __str__(self) -> str:
        return f"{len(self.reached)} of {len(self.branches)} branches"
