"""One prompt as it stands somewhere: in a commit, the index, the working tree, or not at all."""

from collections.abc import Mapping
from dataclasses import field, replace
from typing import TYPE_CHECKING

from promptops.dataclass import dataclass
from promptops.errors import Invalid, NotFound
from promptops.git.process import MissingObject
from promptops.prompt import Prompt, load_prompt
from promptops.prompt.closure import FileReader
from promptops.versions.recorded_format import with_released_format
from promptops.versions.references import INDEX, Reference, is_version_number, parse_digest
from promptops.versions.working_tree import working_tree_reader

if TYPE_CHECKING:
    from promptops.git.repo import GitRepo

_SUFFIXES = (".yaml", ".yml")


@dataclass(frozen=True, slots=True)
class SnapshotSource:
    """Somewhere prompts stand: a commit, INDEX, None for the working tree, "" before the first commit."""

    label: str
    rev: str | None

    def read(self, repo: "GitRepo") -> FileReader:
        if self.rev in (None, INDEX) and repo.settings.top is None:
            raise Invalid(f"a bare repository is without {self.label}", hint="name two revisions: main..HEAD")
        if self.rev is None:
            return working_tree_reader(repo.settings)
        if not self.rev:
            return _read_nothing
        return repo.reader("" if self.rev == INDEX else self.rev)

    def reference(self, name: str, repo: "GitRepo") -> str:
        """How to name a prompt's version there, so that it can be pasted."""
        if self.rev is None:
            return name
        return f"{name}@{self.rev if self.rev in ('', INDEX) else repo.abbreviate(self.rev)}".rstrip("@")


WORKING_TREE = SnapshotSource("the working tree", None)
STAGED = SnapshotSource("the index", INDEX)
EMPTY = SnapshotSource("nothing", "")


@dataclass(frozen=True, slots=True)
class PromptSnapshot:
    """``files`` are those that the prompt was read from, its own first; none where it is not there.

    ``problem`` says why its files are no prompt, and then ``prompt`` is None. What was found by number,
    digest or channel is not ``complete``: its meaning is known, not every file behind it.
    """

    name: str
    reference: str
    prompt: Prompt | None = None
    problem: str = ""
    files: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    cases: bytes | None = field(default=None, repr=False)
    complete: bool = True

    @property
    def present(self) -> bool:
        return self.prompt is not None or bool(self.problem)


def load_snapshot(name: str, place: SnapshotSource, repo: "GitRepo") -> PromptSnapshot:
    side = PromptSnapshot(name, place.reference(name, repo))
    read = _RecordingReader(place.read(repo))
    try:
        prompt = load_prompt(name, read)
    except NotFound:
        return side
    except Invalid as error:
        if read.missing is not None:  # of which nothing can be said
            raise read.missing from None
        return replace(side, problem=error.message, files=read.files)
    prompt = with_released_format(prompt, repo)
    return replace(side, prompt=prompt, files=read.files, cases=_cases(prompt, read))


def resolve_snapshot(wanted: Reference, repo: "GitRepo") -> PromptSnapshot:
    """The side that a reference names. A commit, the index and the working tree may lack the prompt."""
    place = find_snapshot_source(wanted, repo)
    if place is not None:
        return load_snapshot(wanted.name, place, repo)
    from promptops.registry import RegistryDatabase
    from promptops.versions.resolve import resolve_version_in

    with RegistryDatabase.open_existing(repo.settings.registry) as registry:
        version = resolve_version_in(repo, wanted, registry)
    prompt = version.prompt
    files = {prompt.path: prompt.document.source.encode()}
    return PromptSnapshot(wanted.name, version.pasteable, prompt, "", files, complete=False)


def find_snapshot_source(wanted: Reference, repo: "GitRepo") -> SnapshotSource | None:
    """Where a reference looks; None for what is found by number, digest or channel."""
    rev = wanted.rev
    if wanted.channel is not None or (rev and (is_version_number(rev) or parse_digest(rev))):
        return None
    if rev is None:
        return WORKING_TREE
    return STAGED if rev == INDEX else SnapshotSource(rev, repo.resolve_commit(rev))


def _cases(prompt: Prompt, read: "_RecordingReader") -> bytes | None:
    if prompt.cases is None:
        return None
    try:
        return read.unrecorded(prompt.cases)
    except MissingObject:
        raise
    except Invalid:
        return None


def _read_nothing(path: str) -> bytes:
    raise NotFound(f"no file {path} before the first commit")


class _RecordingReader:
    """A reader that keeps what it read."""

    def __init__(self, read: FileReader) -> None:
        self.unrecorded = read
        self.files: dict[str, bytes] = {}
        self.missing: MissingObject | None = None

    def __call__(self, path: str) -> bytes:
        try:
            data = self.unrecorded(path)
        except MissingObject as error:
            self.missing = error
            raise
        self.files[path] = data
        return data
