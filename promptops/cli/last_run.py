"""``last`` in place of a run's id: the latest run that the same person made with ``promptops run``.

A registry does not tell a person's runs from an application's, so ``run`` notes its ids in a small file of
the user's state folder, one for each registry. From a terminal, ``last`` is the latest run made on a terminal
of this machine or in this session; elsewhere, such as in a script or a CI job, the latest of the same session
of processes. So the run of a scheduled job is never taken for one's own.
"""

import hashlib
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from promptops.config.registry_location import RegistryLocation, local_file
from promptops.config.settings import Settings
from promptops.console import note
from promptops.errors import NotFound

if TYPE_CHECKING:
    from promptops.registry import RegistryDatabase, RunRecord

LAST = "last"
_MAX_NOTES = 20
_MAX_BYTES = 20_000


class OwnRun(NamedTuple):
    """One run, and from where it was made."""

    run_id: str
    host: str
    session: int
    terminal: bool


def note_own_run(settings: Settings, run_id: str) -> None:
    """Remember a run as one's own last. A state folder that cannot be written costs nothing but ``last``."""
    file = _notes_file(settings.registry, os.environ)
    runs = [_here(run_id), *_read_notes(file)][:_MAX_NOTES]
    new = file.with_suffix(f".{os.getpid()}.new")
    text = json.dumps([run._asdict() for run in runs])
    try:
        if not file.parent.is_dir():
            file.parent.mkdir(parents=True, exist_ok=True)
        new.write_text(text, encoding="utf-8")
        new.replace(file)
    except OSError:
        return


def resolve_run_id(run: str, settings: Settings) -> str:
    """The id or start of an id as it is given; for ``last`` the id of one's own last run, said on stderr."""
    if run != LAST:
        return run
    run_id = own_run_ids(settings)[0]
    note(f"last is run {run_id}")
    return run_id


def own_run_ids(settings: Settings) -> list[str]:
    """One's own latest runs, newest first, as many as are noted. Raises NotFound where there is none."""
    here = _here("")
    runs = _read_notes(_notes_file(settings.registry, os.environ))
    if own := [each.run_id for each in runs if _own(each, here)]:
        return own
    raise NotFound(
        "there is no last run: `promptops run` has made none from here",
        hint="`promptops runs list` shows the latest runs of everybody",
    )


def find_logged_run(registry: "RegistryDatabase", run: str, settings: Settings) -> "RunRecord":
    """The one run whose id starts so, or one's own last; of one that still waits, the error says where."""
    from promptops.registry import Spool, get_run

    run_id = resolve_run_id(run, settings)
    try:
        return get_run(registry, run_id)
    except NotFound as error:
        spool = Spool(settings.registry)
        if not any(file.name.startswith(run_id) for file in spool.waiting()):
            raise
        hint = f"it waits in {spool.folder}; the next run that can write the registry takes it in"
        raise NotFound(error.message, hint=hint) from None


def _own(run: OwnRun, here: OwnRun) -> bool:
    return run.host == here.host and (run.session == here.session or (run.terminal and here.terminal))


def _here(run_id: str) -> OwnRun:
    return OwnRun(run_id, os.uname().nodename, os.getsid(0), any(map(os.isatty, (0, 1, 2))))


def _notes_file(registry: RegistryLocation, env: Mapping[str, str]) -> Path:
    name = hashlib.sha256(os.fsencode(local_file(registry).resolve())).hexdigest()[:16]
    return state_folder(env) / "last-runs" / f"{name}.json"


def state_folder(env: Mapping[str, str]) -> Path:
    """Where this user's programs keep what outlives them and is not configuration."""
    given = env.get("XDG_STATE_HOME", "")
    if os.path.isabs(given):  # noqa: PTH117 - the specification says to ignore a relative path
        return Path(given) / "promptops"
    home = Path(env.get("HOME") or Path.home())
    return (
        home / ("Library/Application Support" if sys.platform == "darwin" else ".local/state") / "promptops"
    )


def _read_notes(file: Path) -> list[OwnRun]:
    """Newest first; nothing of a file that is damaged or not ours."""
    try:
        with file.open("rb") as stream:
            data: Any = json.loads(stream.read(_MAX_BYTES))
        return [OwnRun(**each) for each in data if isinstance(each["run_id"], str)]
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return []
