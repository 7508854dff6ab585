"""Judges that guards of released prompts ask, as a bundle carries them.

"judges": {"judges/tone": "judges/judges/tone/4c1d….yaml"}      by reference, the file in the bundle:
"files": {"judges/judges/tone/4c1d….yaml": "prompt: …"}        in the form of a frozen version
"""

from collections.abc import Iterable, Mapping

from promptops.checks import judge_reference
from promptops.config.settings import Settings
from promptops.dataclass import dataclass
from promptops.errors import Invalid, PromptopsError
from promptops.git.repo import GitRepo
from promptops.log import PackageLogger, with_hint
from promptops.prompt import Guard, Prompt
from promptops.release.ledger.serialize import encode_snapshot
from promptops.versions.frozen import load_verified
from promptops.versions.release_state import (
    ReleasedSnapshot,
    decode_snapshot,
    snapshot_path,
)
from promptops.versions.resolve import Version, resolve_version, with_provenance
from promptops.versions.working_tree import working_tree_reader

FOLDER = "judges"
REBUILD_HINT = "make it again: promptops release bundle --out FILE"
_LOG = PackageLogger("promptops.release")


@dataclass(frozen=True, slots=True)
class BundledJudges:
    """``paths`` of their files in the bundle, by the reference that guards name them by."""

    paths: dict[str, str]
    files: dict[str, str]


def bundle_judges(settings: Settings, repo: GitRepo, prompts: Iterable[Prompt]) -> BundledJudges:
    """Those of the working tree, unless a guard names another version. What is not there is warned of."""
    asking: dict[str, tuple[Prompt, Guard]] = {}
    for prompt in sorted(prompts, key=lambda each: each.name):
        for guard in prompt.guards:
            if reference := judge_reference(guard.check):
                asking.setdefault(reference, (prompt, guard))
    frozen: dict[str, ReleasedSnapshot] = {}
    for reference, (prompt, guard) in asking.items():
        try:
            frozen[reference] = _freeze(reference, settings, repo)
        except PromptopsError as error:
            does = "blocks" if guard.on_error == "block" else "allows"
            _LOG.warning(
                f"the guard {guard.name} of {prompt.name} {does} every call where the bundle is read, as its "
                f"judge is not in it: {with_hint(error.message, error.hint)}"
            )
    paths = {reference: _path(each.prompt, each.digest) for reference, each in frozen.items()}
    return BundledJudges(
        paths, {paths[reference]: encode_snapshot(each).decode() for reference, each in frozen.items()}
    )


def _freeze(reference: str, settings: Settings, repo: GitRepo) -> ReleasedSnapshot:
    version = with_provenance(resolve_version(reference, settings), settings)
    prompt, commit = version.prompt, version.commit_sha
    in_files = version.source == "working tree" or commit is None
    read = working_tree_reader(settings) if in_files else repo.reader(str(commit))
    files = {path: read(path) for path in prompt.closure}
    return ReleasedSnapshot(prompt.name, version.version or "", prompt.digest, commit, files)


def _path(prompt: str, digest: str) -> str:
    return snapshot_path(prompt, digest).replace("versions/", f"{FOLDER}/", 1)


def read_judges(paths: Mapping[str, str], files: Mapping[str, str]) -> dict[str, Version]:
    """Each by its reference. Raises Invalid where one is damaged, or not what it says it is."""
    found = {}
    for reference, path in paths.items():
        if path not in files:
            raise Invalid(f"the bundle lacks {path}", hint=REBUILD_HINT)
        name = path.removeprefix(f"{FOLDER}/").rpartition("/")[0]
        frozen = decode_snapshot(files[path].encode(), path, name)
        found[reference] = Version(
            prompt=load_verified(name, frozen.read, frozen.digest),
            reference=reference,
            source="release",
            pasteable=reference,
            commit_sha=frozen.commit,
            version=frozen.version or None,
        )
    return found
