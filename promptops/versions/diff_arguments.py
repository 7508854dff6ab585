"""What ``promptops diff`` is asked to compare: two references, or all prompts between two places."""

import re
from collections.abc import Sequence

from promptops.dataclass import dataclass
from promptops.errors import Invalid, NotFound
from promptops.git.diff import merge_base
from promptops.git.repo import GitRepo
from promptops.prompt import check_prompt_name
from promptops.versions.changed_prompts import ChangedPrompts, PromptChange, find_changed_prompts
from promptops.versions.references import INDEX, Reference, parse_reference, suggest_nearest
from promptops.versions.resolve import prompt_names
from promptops.versions.snapshots import (
    EMPTY,
    STAGED,
    WORKING_TREE,
    SnapshotSource,
    load_snapshot,
    resolve_snapshot,
)

_RANGE = re.compile(r"(?<![/.])(\.\.\.?)(?![/.])")
_REFLOG = re.compile(r"^[^@]*@\{|^@")


@dataclass(frozen=True, slots=True)
class DiffRange:
    """``A..B`` or ``A...B``; an empty side is HEAD."""

    old: str
    dots: str
    new: str

    def snapshot_sources(self, repo: GitRepo) -> tuple[SnapshotSource, SnapshotSource]:
        old, new = (_commit(rev or "HEAD", repo) for rev in (self.old, self.new))
        if self.dots == "...":
            old = SnapshotSource(old.label, merge_base(repo.settings, str(old.rev), str(new.rev)))
        return old, new


DiffArgument = Reference | DiffRange | SnapshotSource


def resolve_diff_arguments(words: Sequence[str], repo: GitRepo, *, staged: bool) -> ChangedPrompts:
    """What differs, in git's habits; see the verb's help for the forms."""
    target = STAGED if staged else WORKING_TREE
    if len(words) == 1 and (within := _range_of_prompt(words[0], repo)):
        name, span = within
        return _single_change(_pair_at(name, *span.snapshot_sources(repo), repo))
    in_range = any(_range(word) for word in words)
    found = [
        Reference(word, word) if in_range and _is_valid_prompt_name(word) else _parse_argument(word, repo)
        for word in words
    ]
    prompts = [one for one in found if isinstance(one, Reference)]
    others = [one for one in found if not isinstance(one, Reference)]
    if not others and prompts and not (staged and _all_without_revision(prompts)):
        return _changes_of_references(prompts, repo, target)
    return _changes_between(repo, *_comparison_sources(others, repo, target, staged=staged), _names(prompts))


def _changes_between(
    repo: GitRepo, old: SnapshotSource, new: SnapshotSource, names: Sequence[str]
) -> ChangedPrompts:
    changes = find_changed_prompts(repo, old, new, names)
    found = {side.name for pair in changes.pairs for side in (pair.old, pair.new)}
    for name in names:
        if name not in found:
            _pair_at(name, old, new, repo)  # says so where there is no such prompt
    return changes


def _changes_of_references(
    prompts: Sequence[Reference], repo: GitRepo, target: SnapshotSource
) -> ChangedPrompts:
    if len(prompts) == 1:
        one = prompts[0]
        if _all_without_revision(prompts):
            return _single_change(_pair_at(one.name, _head(repo), target, repo))
        return _single_change(
            PromptChange(resolve_snapshot(one, repo), load_snapshot(one.name, target, repo))
        )
    if target == STAGED:
        raise Invalid("--staged compares with the index, and two versions are named", hint="leave it out")
    if len(prompts) == 2:  # a version before and one after
        return _single_change(
            PromptChange(resolve_snapshot(prompts[0], repo), resolve_snapshot(prompts[1], repo))
        )
    return _changes_between(repo, _head(repo), target, _names(prompts))


def _comparison_sources(
    others: Sequence[DiffArgument], repo: GitRepo, target: SnapshotSource, *, staged: bool
) -> tuple[SnapshotSource, SnapshotSource]:
    if len(others) == 1 and isinstance(others[0], SnapshotSource):
        return others[0], target
    if not others:
        return (_head_or_empty(repo) if staged else _head(repo)), target
    if staged:
        raise Invalid("--staged compares with the index, and two revisions are named", hint="leave it out")
    match others:
        case [DiffRange() as span]:
            return span.snapshot_sources(repo)
        case [SnapshotSource() as old, SnapshotSource() as new]:
            return old, new
    raise Invalid("too many revisions", hint="promptops diff A..B, and then names of prompts")


def _parse_argument(word: str, repo: GitRepo) -> DiffArgument:
    if word.endswith((".yaml", ".yml")):
        return parse_reference(word, repo.settings)
    if (span := _range(word)) is not None:
        return span
    if _REFLOG.match(word):
        return _commit(word, repo)
    if "@" in word or (":" in word and not word.startswith(":")):
        return parse_reference(word, repo.settings)
    return _prompt_or_revision(word, repo)


def _prompt_or_revision(word: str, repo: GitRepo) -> DiffArgument:
    is_prompt = _is_prompt(word, repo)
    is_revision = repo.has_commits(word) if "\n" not in word else False
    if is_prompt and is_revision:
        raise Invalid(
            f"`{word}` is both a prompt and a revision",
            hint=f"write {repo.settings.prompts_path}/{word}.yaml, or refs/heads/{word}",
        )
    if is_prompt:
        return Reference(word, word)
    if is_revision or not _is_valid_prompt_name(word):
        return _commit(word, repo)
    try:
        return _commit(word, repo)
    except NotFound:
        names = prompt_names(repo.settings) if repo.settings.top else prompt_names(repo.settings, "HEAD")
        hint = suggest_nearest(word, names, "promptops init makes a first prompt")
        raise NotFound(f"`{word}` is neither a prompt nor a revision", hint=hint) from None


def _is_prompt(word: str, repo: GitRepo) -> bool:
    if not _is_valid_prompt_name(word):
        return False
    return any(load_snapshot(word, place, repo).present for place in _prompt_sources(repo))


def _prompt_sources(repo: GitRepo) -> list[SnapshotSource]:
    places = [WORKING_TREE] if repo.settings.top else []
    return [*places, _head(repo)] if repo.has_commits() else places


def _is_valid_prompt_name(word: str) -> bool:
    try:
        check_prompt_name(word)
    except Invalid:
        return False
    return True


def _range(word: str) -> DiffRange | None:
    found = _RANGE.search(word)
    return DiffRange(word[: found.start()], found[1], word[found.end() :]) if found else None


def _range_of_prompt(word: str, repo: GitRepo) -> tuple[str, DiffRange] | None:
    """``NAME@main..feature``."""
    name, at, rest = word.partition("@")
    if not at or rest.startswith("{"):
        return None
    span = _range(rest)
    return (parse_reference(name, repo.settings).name, span) if span else None


def _all_without_revision(prompts: Sequence[Reference]) -> bool:
    return all(one.rev is None and one.channel is None for one in prompts)


def _names(prompts: Sequence[Reference]) -> list[str]:
    if not _all_without_revision(prompts):
        raise Invalid("a revision is named twice", hint="promptops diff A..B NAME, or NAME@A..B")
    return [one.name for one in prompts]


def _pair_at(name: str, old: SnapshotSource, new: SnapshotSource, repo: GitRepo) -> PromptChange:
    pair = PromptChange(load_snapshot(name, old, repo), load_snapshot(name, new, repo))
    if not (pair.old.present or pair.new.present):
        raise NotFound(
            f"no prompt `{name}` {_location_text(old)} or {_location_text(new)}",
            hint="promptops list shows the prompts of this project",
        )
    return pair


def _location_text(place: SnapshotSource) -> str:
    return f"at {place.label}" if place.rev not in (None, INDEX) else f"in {place.label}"


def _single_change(pair: PromptChange) -> ChangedPrompts:
    if not (pair.old.present or pair.new.present):
        raise NotFound(
            f"there is neither {pair.old.reference} nor {pair.new.reference}",
            hint="promptops list shows the prompts of this project",
        )
    return ChangedPrompts([pair] if pair.differs else [])


def _commit(rev: str, repo: GitRepo) -> SnapshotSource:
    return SnapshotSource(rev, repo.resolve_commit(rev))


def _head(repo: GitRepo) -> SnapshotSource:
    return _commit("HEAD", repo)


def _head_or_empty(repo: GitRepo) -> SnapshotSource:
    return _head(repo) if repo.has_commits() else EMPTY
