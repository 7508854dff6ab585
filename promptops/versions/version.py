"""A version, as a reference names it."""

from typing import Literal

from promptops.dataclass import dataclass
from promptops.prompt import Prompt

VersionSource = Literal["working tree", "index", "commit", "release", "registry", "passthrough"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """What a reference means.

    One that is not committed carries no commit and counts as dirty until ``with_provenance`` has looked.
    """

    prompt: Prompt
    reference: str
    source: VersionSource
    pasteable: str
    commit_sha: str | None = None
    dirty: bool = False
    version: str | None = None  # v13, once released
    channel: str | None = None
