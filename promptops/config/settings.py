"""Where things are and which settings hold. Reads files only: no git process is started here.

Precedence: a flag, then the environment, then ``promptops.yaml``, then the default.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from pathlib import Path
from typing import Any, Literal

from promptops.config.containment import outside_problem, resolve_inside
from promptops.config.redaction_rules import RedactionRule, read_redaction_rule, read_redaction_rules
from promptops.config.registry_location import (
    PostgresLocation,
    RegistryLocation,
    expand_home,
    foreign_url_problem,
    has_password,
    is_postgres_url,
    local_file,
    postgres_location,
    registry_location,
)
from promptops.config.retention_limits import retention_problems
from promptops.config.schema_violations import schema_violations
from promptops.config.settings_schema import SETTINGS_FILE, SETTINGS_SCHEMA
from promptops.config.worktree import Worktree, find_worktree, main_worktree, own_git_settings
from promptops.config.yaml import Document, parse_yaml
from promptops.dataclass import dataclass
from promptops.errors import Invalid

_REGISTRY_ENDS = ("", "-wal", "-shm", "-journal", "-spool", "-batches", "-shadow.lock")  # it, and beside it
_REGISTRY_SUFFIXES = (".db", ".sqlite", ".sqlite3")
BUILT_IN_CHANNELS = ("staging", "production")

_KEY_FILE = "promptops-privacy-key"
Retention = Literal["full", "hash", "none"]


@dataclass(frozen=True, slots=True)
class LogSettings:
    """What of a run is kept, and what happens when it cannot be."""

    inputs: Retention = "full"
    outputs: Retention = "full"
    on_error: Literal["spool", "fail"] = "spool"
    redact: tuple[RedactionRule, ...] = ()
    keep: Literal["mask", "pseudonym"] = "mask"
    root: Path | None = field(default=None, compare=False)  # where functions that redact are imported from
    key_file: Path | None = field(default=None, compare=False)  # of pseudonyms

    @property
    def whole(self) -> bool:
        """Whether all texts are kept as they are."""
        return self.inputs == self.outputs == "full" and not self.redact

    def with_prompt(self, rules: Mapping[str, Any]) -> "LogSettings":
        """With what a prompt file says as well: it may add rules, and take none away."""
        if not rules:
            return self
        redact = (*self.redact, *read_redaction_rules(rules.get("redact", ())))
        return replace(self, redact=redact, keep=rules.get("keep", self.keep))


@dataclass(frozen=True, slots=True)
class TelemetrySettings:
    """What OpenTelemetry is told of calls; where it is sent to is said by OTEL_EXPORTER_OTLP_ENDPOINT."""

    otlp: bool = False
    content: bool = False


@dataclass(frozen=True, slots=True)
class SettingsFile:
    """What ``promptops.yaml`` says, at whichever revision it was read."""

    registry: str | None = None
    channels: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    releases: tuple[Mapping[str, Any], ...] = ()
    release: Mapping[str, Any] = field(default_factory=dict)
    plans: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    models: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    log: LogSettings = field(default_factory=LogSettings)
    lint: Mapping[str, Any] = field(default_factory=dict)
    serve: Mapping[str, Any] = field(default_factory=dict)
    retention: Mapping[str, Any] = field(default_factory=dict)
    probes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    slices: Mapping[str, Sequence[str]] = field(default_factory=dict)
    telemetry: TelemetrySettings = field(default_factory=TelemetrySettings)
    alerts: Mapping[str, Any] = field(default_factory=dict)
    document: Document | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """Where one project's things are, and the settings that hold there."""

    root: (
        Path  # folder of promptops.yaml, else the top of the work tree (of a bare repository: the git folder)
    )
    prompts: Path
    git_dir: Path | None
    common_dir: Path | None
    top: Path | None  # None in a bare repository
    prefix: str  # root relative to top, "" at the top, else "services/a"
    registry_file: RegistryLocation
    channels: tuple[str, ...]
    file: SettingsFile
    registry_problem: str = ""
    telemetry: TelemetrySettings = field(default_factory=TelemetrySettings)

    @property
    def registry(self) -> RegistryLocation:
        """The registry of runs. Raises Invalid where a branch puts it outside, for verbs that need it."""
        if self.registry_problem:
            hint = "name a place of your own: --registry, or PROMPTOPS_REGISTRY"
            raise Invalid(f"the registry {self.registry_problem}", hint=hint)
        return self.registry_file

    @property
    def inside(self) -> Path:
        """The folder that nothing the project names may lead out of."""
        return self.top or self.root

    @property
    def work_tree(self) -> Path:
        """The same, to write there. Raises Invalid in a bare repository, whose folder is git's own."""
        if self.top is None:
            raise Invalid("a bare repository has no working tree to write to", hint="do this in a clone")
        return self.top

    @property
    def log(self) -> LogSettings:
        return replace(self.file.log, root=self.root, key_file=self._key_file)

    @property
    def _key_file(self) -> Path:
        """In the git folder, from where nothing is committed or pushed."""
        if self.common_dir is None:
            beside = local_file(self.registry_file)
            return beside.with_name(f"{beside.name}-privacy-key")
        return self.common_dir / _KEY_FILE

    @property
    def models(self) -> Mapping[str, Mapping[str, Any]]:
        return self.file.models

    @property
    def lint(self) -> Mapping[str, Any]:
        return self.file.lint

    @property
    def serve(self) -> Mapping[str, Any]:
        return self.file.serve

    @property
    def probes(self) -> Mapping[str, Mapping[str, Any]]:
        return self.file.probes

    @property
    def slices(self) -> Mapping[str, Sequence[str]]:
        return self.file.slices

    @property
    def retention(self) -> Mapping[str, Any]:
        return self.file.retention

    @property
    def releases(self) -> tuple[Mapping[str, Any], ...]:
        return self.file.releases

    @property
    def release(self) -> Mapping[str, Any]:
        return self.file.release

    @property
    def plans(self) -> Mapping[str, Mapping[str, Any]]:
        return self.file.plans

    @property
    def document(self) -> Document | None:
        return self.file.document

    @property
    def prompts_path(self) -> str:
        """The folder of the prompts as git writes it: from the top, with slashes."""
        return f"{self.prefix}/prompts" if self.prefix else "prompts"


def current_settings() -> Settings:
    try:
        here = Path.cwd()
    except FileNotFoundError:
        raise Invalid("the current folder is gone", hint="change to a folder that exists") from None
    return find_settings(here, os.environ)


def current_registry() -> RegistryLocation:
    """The registry; where the environment names it, no project is needed, as beside a bundle."""
    try:
        return current_settings().registry
    except Invalid:
        chosen = os.environ.get("PROMPTOPS_REGISTRY")
        if not chosen:
            raise
        return registry_location(chosen, Path.cwd(), Path.cwd())


def named_registry(text: str) -> RegistryLocation:
    """The registry that a person names beside the project's own: a file, or the URL of a database."""
    try:
        return find_settings(Path.cwd(), os.environ, registry=text).registry
    except Invalid:
        return registry_location(text, Path.cwd(), Path.cwd())


def find_settings(
    start: Path,
    env: Mapping[str, str],
    *,
    registry: Path | str | None = None,
    file: SettingsFile | None = None,
) -> Settings:
    """Settings of the project that ``start`` lies in. Raises Invalid outside of any git repository.

    ``file`` stands for promptops.yaml where its text is not to be taken from the working tree.
    """
    start = start.resolve()
    place = find_worktree(start, env)
    root = _project_root(start, place)
    file = _read_file(root, place) if file is None else file
    prefix = "" if place.top is None or root == place.top else root.relative_to(place.top).as_posix()
    chosen = str(registry or env.get("PROMPTOPS_REGISTRY", ""))
    path, problem = _registry_path(place, root, prefix, file)
    if chosen:
        path = registry_location(chosen, start, _registry_home(place, root, prefix))
        problem = "" if local_file(path).name else f"{path} is a folder"
    return Settings(
        root=root,
        prompts=root / "prompts",
        git_dir=place.git_dir,
        common_dir=place.common_dir,
        top=place.top,
        prefix=prefix,
        registry_file=path,
        registry_problem=problem,
        channels=(*BUILT_IN_CHANNELS, *(name for name in file.channels if name not in BUILT_IN_CHANNELS)),
        file=file,
        telemetry=_telemetry(file, env),
    )


def _telemetry(file: SettingsFile, env: Mapping[str, str]) -> TelemetrySettings:
    chosen = env.get("PROMPTOPS_TELEMETRY", "").strip().lower()
    if chosen not in ("", "otlp", "off"):
        raise Invalid(f"PROMPTOPS_TELEMETRY is {chosen!r}", hint="say otlp or off")
    return replace(file.telemetry, otlp=chosen == "otlp") if chosen else file.telemetry


def decode_settings(text: bytes, path: str) -> SettingsFile:
    """Decode a settings file's text, from the working tree or any revision; ``path`` is for messages."""
    document = parse_yaml(text, path)
    data = document.data if document.data is not None else {}
    for where, what, hint in schema_violations(SETTINGS_SCHEMA, data, ()):
        raise Invalid(f"{document.where(where)}: {what}", hint=hint)
    return SettingsFile(
        registry=data.get("registry"),
        channels=data.get("channels", {}),
        releases=tuple(data.get("releases", ())),
        release=data.get("release", {}),
        plans=data.get("plans", {}),
        models=data.get("models", {}),
        log=_decode_log(data.get("log", {}), document),
        lint=data.get("lint", {}),
        retention=_checked_retention(data.get("retention", {}), document),
        serve=data.get("serve", {}),
        probes=data.get("probes", {}),
        slices=data.get("slices", {}),
        alerts=data.get("alerts", {}),
        telemetry=TelemetrySettings(**data.get("telemetry", {})),
        document=document,
    )


def _checked_retention(data: Mapping[str, Any], document: Document) -> Mapping[str, Any]:
    tenants = data.get("tenants", {})
    for path, limits in (((), data), *((("tenants", name), each) for name, each in tenants.items())):
        for name, problem in retention_problems(limits):
            raise Invalid(f"{document.where(('retention', *path, name))}: {problem}")
    return data


def _decode_log(data: Mapping[str, Any], document: Document) -> LogSettings:
    rules = []
    for index, item in enumerate(data.get("redact", ())):
        try:
            rules.append(read_redaction_rule(item, python=True))
        except Invalid as error:
            where = document.where(("log", "redact", index))
            raise Invalid(f"{where}: {error.message}", hint=error.hint) from None
    return LogSettings(**{**data, "redact": tuple(rules)})


def _project_root(start: Path, place: Worktree) -> Path:
    if place.top is None:
        return place.git_dir
    for folder in (start, *start.parents):
        if not folder.is_relative_to(place.top):
            break
        if (folder / SETTINGS_FILE).is_file():
            return folder
    return place.top


def _read_file(root: Path, place: Worktree) -> SettingsFile:
    path = root / SETTINGS_FILE
    if place.top is None or not path.is_file():
        return SettingsFile()
    resolve_inside(path, place.top)
    try:
        text = path.read_bytes()
    except OSError as error:
        raise Invalid(f"cannot read {path}: {error.strerror}", hint="check the file's permissions") from error
    return decode_settings(text, path.relative_to(place.top).as_posix())


def _registry_home(place: Worktree, root: Path, prefix: str) -> Path:
    """The folder of the registry where nobody names another."""
    home = root if place.git_dir == place.common_dir else main_worktree(place.common_dir)
    if place.top is None or home is None:
        return place.common_dir
    return home if home == root else home / prefix


def _registry_path(
    place: Worktree, root: Path, prefix: str, file: SettingsFile
) -> tuple[RegistryLocation, str]:
    """The file, and why it may not be opened. A branch may name any file of the repository, and no other.

    Linked worktrees share the main one's; without a work tree it stands in the git folder.
    """
    if file.registry and is_postgres_url(file.registry):
        location = postgres_location(file.registry, _registry_home(place, root, prefix))
        return location, _database_problem(location, place.common_dir)
    if problem := foreign_url_problem(file.registry or ""):
        return root / "registry.db", problem
    home = root if place.git_dir == place.common_dir else main_worktree(place.common_dir)
    if place.top is None or home is None:
        name = "-".join(["registry", *prefix.split("/")] if prefix else ["registry"])
        path = place.common_dir / (file.registry or f"{name}.db")
        plain = path.parent == place.common_dir and path.suffix in _REGISTRY_SUFFIXES
        return path, "" if plain else f"`{file.registry}` is not a file such as runs.db in the git folder"
    top = home if home != root else place.top
    if home != root:
        home = home / prefix
    path = home / expand_home(Path(file.registry or "registry.db"))
    beside = (path.parent / f"{path.name}{end}" for end in _REGISTRY_ENDS)  # `/` has no name
    return path, next((problem for file in beside if (problem := outside_problem(file, top))), "")


def _database_problem(location: PostgresLocation, common_dir: Path) -> str:
    """Why a server that promptops.yaml names may not be used: no branch says where a log is sent to."""
    if has_password(location.url):
        return f"has a password in {SETTINGS_FILE}, which everybody reads: put it into PGPASSWORD"
    if own_git_settings(common_dir, "promptops").get("registry") != location.url:
        return (
            f"is a server that {SETTINGS_FILE} names and this clone has not agreed to. If you trust it: "
            "git config promptops.registry URL, with the URL as the file has it"
        )
    return ""
