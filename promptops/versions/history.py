"""The versions of a prompt: when each began, what changed in it, where it is live, and how it did."""

from collections.abc import Mapping
from dataclasses import replace

from promptops.config.settings import Settings
from promptops.dataclass import dataclass
from promptops.errors import NotFound
from promptops.git.repo import GitRepo
from promptops.prompt import check_prompt_name
from promptops.registry import IndexedVersion, RegistryDatabase
from promptops.versions.lineage import Lineage, read_lineage
from promptops.versions.references import suggest_nearest
from promptops.versions.release_reader import decode_version_numbers
from promptops.versions.release_state import ReleaseState
from promptops.versions.trusted_releases import trusted_releases
from promptops.versions.working_tree import working_tree_names

_SHORT = 10
_SHALLOW_NOTE = "this clone is shallow, so the oldest versions may be missing (git fetch --unshallow)"


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionStats:
    """How one version did in the runs that were logged; None where nothing is known."""

    runs: int = 0
    error_rate: float | None = None
    check_pass_rate: float | None = None
    p50_latency_ms: float | None = None
    cost_per_run_usd: float | None = None
    thumbs_up: int = 0
    thumbs_down: int = 0
    eval_rate: float | None = None  # of its latest eval, as the rest of these
    eval_cases: int | None = None
    eval_at: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryEntry:
    """A commit at which a version begins, or at which the prompt was broken or deleted (no digest then)."""

    digest: str | None
    commit_sha: str
    date: str
    author: str
    subject: str
    change: str  # "new", "model, messages", "restored", "invalid", "deleted"
    problem: str  # why it is invalid
    path: str  # from the top of the repository, as it was called then
    pasteable: str
    live: tuple[str, ...] = ()  # "production", "staging canary"
    version: str | None = None
    figures: VersionStats = VersionStats()


@dataclass(frozen=True, slots=True)
class PromptHistory:
    """Newest first. ``note`` says where and why it ends earlier than the prompt does."""

    name: str
    versions: tuple[HistoryEntry, ...]
    note: str = ""

    def with_stats(self, figures: Mapping[str, VersionStats]) -> "PromptHistory":
        """Join what the registry knows, by digest."""
        joined = (
            replace(entry, figures=figures.get(entry.digest or "", entry.figures)) for entry in self.versions
        )
        return replace(self, versions=tuple(joined))


def read_history(name: str, settings: Settings, registry: RegistryDatabase | None = None) -> PromptHistory:
    """Tell the versions of a prompt on the present branch, along first parents; also of a deleted prompt."""
    check_prompt_name(name)
    with GitRepo(settings) as repo:
        line = read_lineage(name, repo, registry)
        if not line.starts:
            return _uncommitted_history(name, settings, line)
        trusted = trusted_releases(repo)
        state = trusted.release(name) if trusted else None
        frozen = trusted.files(f"versions/{name}") if trusted and state else {}
        numbers = decode_version_numbers(frozen, state) if state else {}
        notes = [line.note, _SHALLOW_NOTE if repo.is_shallow() else ""]
    versions = tuple(
        _entry(start, settings, state, numbers if start.name == name else {}) for start in line.starts
    )
    return PromptHistory(name, versions, "; ".join(filter(None, notes)))


def _entry(
    start: IndexedVersion, settings: Settings, state: ReleaseState | None, numbers: Mapping[str, str]
) -> HistoryEntry:
    digest = start.digest or ""
    return HistoryEntry(
        digest=start.digest,
        commit_sha=start.commit_sha,
        date=start.authored_at,
        author=start.author,
        subject=start.subject,
        change=start.change,
        problem=start.problem if start.change == "invalid" else "",
        path=f"{settings.prompts_path}/{start.path}",
        pasteable=f"{start.name}@{start.commit_sha[:_SHORT]}",
        live=state.live(digest) if state else (),
        version=numbers.get(digest) or None,
    )


def _uncommitted_history(name: str, settings: Settings, line: Lineage) -> PromptHistory:
    """Nothing of it is committed: say so where the working tree has it, else there is no such prompt."""
    names = working_tree_names(settings) if settings.top else []
    if name not in names:
        hint = suggest_nearest(name, names, "promptops list shows the prompts of this project")
        raise NotFound(f"no prompt `{name}` in the history of this branch", hint=hint)
    return PromptHistory(name, (), line.note or f"{settings.prompts_path}/{name}.yaml is not committed yet")
