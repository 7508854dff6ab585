"""Which format of the canonical object the files of a prompt have, where a release has said it before.

Files whose templates can write a value that Python and JSON write differently have format 2. But a version
that was released while there was only format 1 keeps it, and so do files that are still those of it.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

from promptops.prompt import PYTHON_FORMAT, Prompt
from promptops.versions.release_state import snapshot_path

if TYPE_CHECKING:
    from promptops.config.settings import Settings
    from promptops.git.repo import GitRepo


def with_released_format(prompt: Prompt, repo: "GitRepo") -> Prompt:
    """The prompt as the release says that has these files; else as it is."""
    if prompt.format == PYTHON_FORMAT:
        return prompt
    then = replace(prompt, recorded_format=PYTHON_FORMAT)
    now_path, then_path = (snapshot_path(prompt.name, each.digest) for each in (prompt, then))
    released = _released_paths(prompt.name, repo)
    return then if then_path in released and now_path not in released else prompt


def with_released_format_here(prompt: Prompt, settings: "Settings") -> Prompt:
    """The same for a caller that has no repository open, which few prompts need."""
    if prompt.format == PYTHON_FORMAT:
        return prompt
    from promptops.git.repo import GitRepo

    with GitRepo(settings) as repo:
        return with_released_format(prompt, repo)


def _released_paths(name: str, repo: "GitRepo") -> set[str]:
    """Of the snapshots of a prompt's released versions, on the state branch here and as last fetched."""
    heads = dict.fromkeys(repo.state_heads().values())
    return {entry.path for head in heads for entry in repo.list_files(head, f"versions/{name}")}
