"""What ``promptops diff`` is asked to compare: two references, or all prompts between two places."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from promptops.errors import Invalid, NotFound
from promptops.git.diff import merge_base
from promptops.git.repo import GitRepo
from promptops.prompt import check_name
from promptops.versions.changed_prompts import Changes, Pair, find_changes
from promptops.versions.references import INDEX, Reference, nearest, parse_reference
from promptops.versions.resolve import prompt_names
from promptops.versions.snapshots import NOWHERE, STAGED, WORKING_TREE, Place, load_side, resolve_side

_RANGE = re.compile(r"(?<![/.])(\.\.\.?)(?![/.])")
_REFLOG = re.compile(r"^[^@]*@\{|^@")


@dataclass(frozen=True, slots=True)
class Range:
    """``A..B`` or ``A...B``; an empty side is HEAD."""

    old: str
    dots: str
    new: str

    def places(self, repo: GitRepo) -> tuple[Place, Place]:
        old, new = (_commit(rev or "HEAD", repo) for rev in (self.old, self.new))
        if self.dots == "...":
            old = Place(old.label, merge_base(repo.settings, str(old.rev), str(new.rev)))
        return old, new


Word = Reference | Range | Place


def find_pairs(words: Sequence[str], repo: GitRepo, *, staged: bool) -> Changes:
    """What differs, in git's habits; see the verb's help for the forms."""
    target = STAGED if staged else WORKING_TREE
    if len(words) == 1 and (within := _range_of_prompt(words[0], repo)):
        name, span = within
        return _one(_pair_at(name, *span.places(repo), repo))
    in_range = any(_range(word) for word in words)
    found = [
        Reference(word, word) if in_range and _could_be_prompt(word) else _word(word, repo) for word in words
    ]
    prompts = [one for one in found if isinstance(one, Reference)]
    others = [one for one in found if not isinstance(one, Reference)]
    if not others and prompts and not (staged and _plain(prompts)):
        return _of_references(prompts, repo, target)
    return _of_all(repo, *_places(others, repo, target, staged=staged), _names(prompts))


def _of_all(repo: GitRepo, old: Place, new: Place, names: Sequence[str]) -> Changes:
    changes = find_changes(repo, old, new, names)
    found = {side.name for pair in changes.pairs for side in (pair.old, pair.new)}
    for name in names:
        if name not in found:
            _pair_at(name, old, new, repo)  # says so where there is no such prompt
    return changes


def _of_references(prompts: Sequence[Reference], repo: GitRepo, target: Place) -> Changes:
    if len(prompts) == 1:
        one = prompts[0]
        if _plain(prompts):
            return _one(_pair_at(one.name, _head(repo), target, repo))
        return _one(Pair(resolve_side(one, repo), load_side(one.name, target, repo)))
    if target == STAGED:
        raise Invalid("--staged compares with the index, and two versions are named", hint="leave it out")
    if len(prompts) == 2:  # noqa: PLR2004 - a version before and one after
        return _one(Pair(resolve_side(prompts[0], repo), resolve_side(prompts[1], repo)))
    return _of_all(repo, _head(repo), target, _names(prompts))


def _places(others: Sequence[Word], repo: GitRepo, target: Place, *, staged: bool) -> tuple[Place, Place]:
    if len(others) == 1 and isinstance(others[0], Place):
        return others[0], target
    if not others:
        return (_head_or_nothing(repo) if staged else _head(repo)), target
    if staged:
        raise Invalid("--staged compares with the index, and two revisions are named", hint="leave it out")
    match others:
        case [Range() as span]:
            return span.places(repo)
        case [Place() as old, Place() as new]:
            return old, new
    raise Invalid("too many revisions", hint="promptops diff A..B, and then names of prompts")


def _word(word: str, repo: GitRepo) -> Word:
    if word.endswith((".yaml", ".yml")):
        return parse_reference(word, repo.settings)
    if (span := _range(word)) is not None:
        return span
    if _REFLOG.match(word):
        return _commit(word, repo)
    if "@" in word or (":" in word and not word.startswith(":")):
        return parse_reference(word, repo.settings)
    return _prompt_or_revision(word, repo)


def _prompt_or_revision(word: str, repo: GitRepo) -> Word:
    is_prompt = _is_prompt(word, repo)
    is_revision = repo.has_commits(word) if "\n" not in word else False
    if is_prompt and is_revision:
        raise Invalid(
            f"`{word}` is both a prompt and a revision",
            hint=f"write {repo.settings.prompts_path}/{word}.yaml, or refs/heads/{word}",
        )
    if is_prompt:
        return Reference(word, word)
    if is_revision or not _could_be_prompt(word):
        return _commit(word, repo)
    try:
        return _commit(word, repo)
    except NotFound:
        names = prompt_names(repo.settings) if repo.settings.top else prompt_names(repo.settings, "HEAD")
        hint = nearest(word, names, "promptops init makes a first prompt")
        raise NotFound(f"`{word}` is neither a prompt nor a revision", hint=hint) from None


def _is_prompt(word: str, repo: GitRepo) -> bool:
    if not _could_be_prompt(word):
        return False
    return any(load_side(word, place, repo).present for place in _where_prompts_are(repo))


def _where_prompts_are(repo: GitRepo) -> list[Place]:
    places = [WORKING_TREE] if repo.settings.top else []
    return [*places, _head(repo)] if repo.has_commits() else places


def _could_be_prompt(word: str) -> bool:
    try:
        check_name(word)
    except Invalid:
        return False
    return True


def _range(word: str) -> Range | None:
    found = _RANGE.search(word)
    return Range(word[: found.start()], found[1], word[found.end() :]) if found else None


def _range_of_prompt(word: str, repo: GitRepo) -> tuple[str, Range] | None:
    """``NAME@main..feature``."""
    name, at, rest = word.partition("@")
    if not at or rest.startswith("{"):
        return None
    span = _range(rest)
    return (parse_reference(name, repo.settings).name, span) if span else None


def _plain(prompts: Sequence[Reference]) -> bool:
    return all(one.rev is None and one.channel is None for one in prompts)


def _names(prompts: Sequence[Reference]) -> list[str]:
    if not _plain(prompts):
        raise Invalid("a revision is named twice", hint="promptops diff A..B NAME, or NAME@A..B")
    return [one.name for one in prompts]


def _pair_at(name: str, old: Place, new: Place, repo: GitRepo) -> Pair:
    pair = Pair(load_side(name, old, repo), load_side(name, new, repo))
    if not (pair.old.present or pair.new.present):
        raise NotFound(
            f"no prompt `{name}` {_where(old)} or {_where(new)}",
            hint="promptops list shows the prompts of this project",
        )
    return pair


def _where(place: Place) -> str:
    return f"at {place.label}" if place.rev not in (None, INDEX) else f"in {place.label}"


def _one(pair: Pair) -> Changes:
    if not (pair.old.present or pair.new.present):
        raise NotFound(
            f"there is neither {pair.old.reference} nor {pair.new.reference}",
            hint="promptops list shows the prompts of this project",
        )
    return Changes([pair] if pair.differs else [])


def _commit(rev: str, repo: GitRepo) -> Place:
    return Place(rev, repo.resolve_commit(rev))


def _head(repo: GitRepo) -> Place:
    return _commit("HEAD", repo)


def _head_or_nothing(repo: GitRepo) -> Place:
    return _head(repo) if repo.has_commits() else NOWHERE
