"""Release state and released versions in one file, for places without git.

    {"format": 1, "commit": "3f2c9e1…",                 of the state branch
     "made_at": "2026-11-02T09:14:00.123Z",
     "settings": "channels: …",                         promptops.yaml as it stood, or ""
     "files": {"releases/support/triage.yaml": "…",     as on the branch: what channels serve
               "versions/support/triage/4c1d….yaml": "…"},      and each version that they name
     "judges": {…}}                                    that guards ask: see bundled_judges.py

A bundle replaces another one whole, so that who reads it meanwhile meets the old one or the new one.
"""

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import Any

from promptops.config.clock import utc_now
from promptops.config.containment import outside_problem
from promptops.config.registry_location import (
    RegistryLocation,
    is_postgres_url,
    postgres_location,
    registry_location,
)
from promptops.config.safe_writes import WriteTarget
from promptops.config.settings import BUILT_IN_CHANNELS, Settings, SettingsFile, decode_settings
from promptops.config.settings_schema import SETTINGS_FILE
from promptops.dataclass import dataclass
from promptops.errors import Invalid, NotFound
from promptops.git.repo import GitRepo
from promptops.log import PackageLogger
from promptops.prompt import load_prompt, short_digest
from promptops.prompt.canonical_json import json_data_problem
from promptops.release.bundled_judges import REBUILD_HINT, bundle_judges, read_judges
from promptops.release.ledger.serialize import encode_release, encode_snapshot
from promptops.release.state_trust import AuditedReleases, audit_state
from promptops.versions.frozen import load_frozen_prompt
from promptops.versions.references import is_version_number, parse_digest, parse_reference
from promptops.versions.release_reader import find_state_commit
from promptops.versions.release_state import (
    ReleasedSnapshot,
    ReleasedVersion,
    ReleaseState,
    decode_release,
    decode_snapshot,
    release_path,
    snapshot_path,
)
from promptops.versions.resolve import Version

_LOG = PackageLogger("promptops.release")
FORMAT = 1


@dataclass(frozen=True, slots=True)
class BundleSummary:
    """What a bundle was made of."""

    commit: str
    prompts: tuple[str, ...]
    versions: int
    bytes: int


def write_bundle(settings: Settings, out: Path) -> BundleSummary:
    """Write what every channel serves. Raises NotFound where nothing is released."""
    with GitRepo(settings) as repo:
        commit = find_state_commit(repo)
        audit = audit_state(repo, commit) if commit else None
        states = AuditedReleases(repo, audit).releases() if audit else {}
        if audit is None or not states:
            raise NotFound("nothing is released yet", hint="promptops promote NAME@REV releases a version")
        files = {release_path(name): encode_release(state).decode() for name, state in states.items()}
        frozen = [
            (one, load_frozen_prompt(repo, audit.content, name, one))
            for name, state in states.items()
            for one in _served_versions(state)
        ]
        judges = bundle_judges(settings, repo, (each.prompt for _, each in frozen))
    # A version as the branch keeps it; one that it doesn't keep, or not whole, is read from its commit
    versions = {
        snapshot_path(each.prompt.name, one.digest): encode_snapshot(each.snapshot(one)).decode()
        for one, each in frozen
    }
    source = settings.document.source if settings.document else ""
    content: dict[str, Any] = {
        "format": FORMAT,
        "commit": audit.head,
        "made_at": utc_now(),
        "settings": source,
    }
    content["files"] = files | versions | judges.files
    if judges.paths:
        content["judges"] = judges.paths
    _parse_content(content)  # nothing is handed out that could not be read there
    data = json.dumps(content, ensure_ascii=False).encode()
    WriteTarget.output(out).write(data)
    return BundleSummary(audit.head, tuple(states), len(versions), len(data))


def _served_versions(state: ReleaseState) -> Iterable[ReleasedVersion]:
    yield from state.named()
    yield from (channel.shadow.released for channel in state.channels.values() if channel.shadow)


# reading


@dataclass(frozen=True, slots=True)
class _BundleContent:
    commit: str
    settings: SettingsFile
    states: Mapping[str, ReleaseState]
    versions: Mapping[tuple[str, str], Version]
    judges: Mapping[str, Version]


class BundleSource:
    """Serves what a bundle says, and reads it again when it has changed. May be shared by threads.

    When the new one cannot be read, ``refresh`` raises and what was known goes on being served.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = Lock()
        self._mark = _file_stamp(file)
        self._content = _parse_content(_decode(file))

    def settings(self, registry: Path | str | None = None) -> Settings:
        """Settings of a project that is this bundle alone."""
        home, file = self._file.absolute().parent, self._content.settings
        chosen = str(registry or os.environ.get("PROMPTOPS_REGISTRY", ""))
        beside = home / (file.registry or "registry.db")
        named: RegistryLocation = beside
        problem = outside_problem(beside, home)
        if file.registry and is_postgres_url(file.registry):
            named = postgres_location(file.registry, home)
            problem = "is a server that the bundle names: agree to it by PROMPTOPS_REGISTRY"
        return Settings(
            root=home,
            prompts=home / "prompts",
            git_dir=None,
            common_dir=None,
            top=None,
            prefix="",
            registry_file=registry_location(chosen, Path.cwd(), home) if chosen else named,
            registry_problem="" if chosen else problem,
            channels=tuple(dict.fromkeys([*BUILT_IN_CHANNELS, *file.channels])),
            file=file,
        )

    def stamp(self) -> object:
        return self._content

    def refresh(self) -> bool:
        """Whether there is a new bundle. Costs one ``stat`` where there isn't."""
        with self._lock:
            mark = _file_stamp(self._file)
            if mark == self._mark:
                return False
            self._content = _parse_content(_decode(self._file))
            self._mark = mark
            return True

    def releases(self, prompt: str) -> ReleaseState | None:
        return self._content.states.get(prompt)

    def all_releases(self) -> Mapping[str, ReleaseState]:
        return self._content.states

    def version(self, prompt: str, released: ReleasedVersion) -> Version:
        found = self._content.versions.get((prompt, released.digest))
        if found is None:
            raise NotFound(
                f"{self._file} does not hold {prompt} {released.version}",
                hint="make it again: promptops release bundle",
            )
        return found

    def find(self, reference: str) -> Version:
        """A released version by its number or digest; a bundle holds no others."""
        wanted = parse_reference(reference, self.settings())
        rev, known = wanted.rev or "", self._versions_of(wanted.name)
        digits = parse_digest(rev)
        found = {
            version.prompt.digest: version
            for version in known
            if version.version == rev or (digits and version.prompt.digest.startswith(digits))
        }
        if len(found) != 1:
            there = [f"{wanted.name}@{version.version}" for version in known] or ["nothing of that name"]
            what = "is ambiguous" if found else "is not in this bundle"
            live = f"; what is live is {wanted.name}:CHANNEL" if known and not is_version_number(rev) else ""
            raise NotFound(f"`{reference}` {what}", hint=f"{self._file} holds {', '.join(there)}{live}")
        return replace(next(iter(found.values())), reference=reference)

    def judge(self, reference: str) -> Version:
        """What a guard asks."""
        found = self._content.judges.get(reference)
        if found is None:
            raise NotFound(f"{self._file} does not hold the judge {reference}", hint=REBUILD_HINT)
        return found

    def _versions_of(self, prompt: str) -> list[Version]:
        return [version for (name, _), version in self._content.versions.items() if name == prompt]


def _parse_content(data: Mapping[str, Any]) -> _BundleContent:
    """Raises Invalid where a file is damaged, or a version is not the one that was released."""
    files: Mapping[str, str] = data["files"]
    states = {
        name: decode_release(text.encode(), name)
        for path, text in files.items()
        if (name := _name_in(path, "releases"))
    }
    versions = {}
    for path, text in files.items():
        if folder := _name_in(path, "versions"):
            frozen = decode_snapshot(text.encode(), path, folder.rpartition("/")[0])
            versions[frozen.prompt, frozen.digest] = _version(frozen)
    settings = decode_settings(data["settings"].encode(), SETTINGS_FILE)
    judges = read_judges(data.get("judges", {}), files)
    return _BundleContent(data["commit"], settings, states, versions, judges)


def _decode(file: Path) -> dict[str, Any]:
    try:
        data: dict[str, Any] = json.loads(file.read_bytes())
    except FileNotFoundError:
        raise NotFound(f"no bundle {file}", hint=f"promptops release bundle --out {file}") from None
    except (OSError, ValueError, RecursionError) as error:
        raise Invalid(f"the bundle {file} cannot be read: {error}", hint=REBUILD_HINT) from None
    found = data.get("format") if isinstance(data, dict) else None
    if found != FORMAT:
        what = (
            "is not a bundle" if found is None else f"has format {found}, and this promptops reads {FORMAT}"
        )
        raise Invalid(f"{file} {what}", hint=REBUILD_HINT)
    texts = [data.get(key) for key in ("commit", "settings")]
    for key in ("files", "judges"):
        members = data.get(key, {} if key == "judges" else None)
        texts += members.values() if isinstance(members, dict) else [None]
    if not all(isinstance(text, str) for text in texts) or json_data_problem(texts):
        raise Invalid(f"the bundle {file} is damaged", hint=REBUILD_HINT)
    return data


def _name_in(path: str, folder: str) -> str:
    """``a/b`` of ``FOLDER/a/b.yaml``; "" for other paths."""
    inside = path.startswith(f"{folder}/") and path.endswith(".yaml")
    return path[len(folder) + 1 : -len(".yaml")] if inside else ""


def _version(frozen: ReleasedSnapshot) -> Version:
    files = load_prompt(frozen.prompt, frozen.read)
    prompt = files.with_digest(frozen.digest)
    pasteable = f"{frozen.prompt}@{frozen.version}"
    if prompt is None:
        raise Invalid(
            f"{pasteable} reads as {short_digest(files.digest)}, not as {short_digest(frozen.digest)}",
            hint=REBUILD_HINT,
        )
    return Version(
        prompt=prompt,
        reference=pasteable,
        source="release",
        pasteable=pasteable,
        commit_sha=frozen.commit,
        version=frozen.version,
    )


def _file_stamp(file: Path) -> tuple[int, int, int] | None:
    try:
        facts = file.stat()
    except OSError:
        return None
    return facts.st_mtime_ns, facts.st_size, facts.st_ino
