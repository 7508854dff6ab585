"""Files below ``prompts/`` in the working tree."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from promptops.config.containment import open_unlinked, outside_problem, resolve_inside
from promptops.config.settings import Settings
from promptops.errors import Invalid, NotFound
from promptops.prompt.closure import FileReader

MAX_BYTES = 20_000_000


def working_tree_reader(settings: Settings) -> FileReader:
    """Read files as they are on disk. No link leads out of ``prompts/``, nor does the folder itself."""
    folder = settings.prompts
    problem = outside_problem(folder, settings.inside)
    real = os.path.realpath(folder)

    def read(path: str) -> bytes:
        found = os.path.realpath(folder / path)
        if problem:
            raise Invalid(problem, hint="replace the symbolic link by the folder")
        if not found.startswith(real + os.sep):
            raise Invalid(
                f"{settings.prompts_path}/{path} is a symbolic link that leaves {settings.prompts_path}/",
                hint="replace it by the file",
            )
        return _read(found, f"{settings.prompts_path}/{path}")

    return read


def working_tree_names(settings: Settings) -> list[str]:
    """Names of the prompts in the working tree, sorted."""
    folder = resolve_inside(settings.prompts, settings.inside)
    return sorted(filter_prompt_names(_paths_below(folder)))


def filter_prompt_names(paths: Iterator[str]) -> set[str]:
    """Prompts among paths below ``prompts/``: YAML files, without golden sets and rubrics."""
    stems = {path.rpartition(".")[0] for path in paths if path.endswith((".yaml", ".yml"))}
    return {stem for stem in stems if not stem.endswith((".cases", ".rubric"))}


def _paths_below(folder: Path) -> Iterator[str]:
    for where, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        below = Path(where).relative_to(folder).as_posix()
        start = "" if below == "." else f"{below}/"
        yield from (start + name for name in files if not name.startswith("."))


def _read(path: str, shown: str) -> bytes:
    try:
        facts = os.stat(path)  # noqa: PTH116 - a string already
        if not stat.S_ISREG(facts.st_mode):
            kind = "a folder" if stat.S_ISDIR(facts.st_mode) else "not a regular file"
            raise Invalid(f"{shown} is {kind}", hint="put a file there")
        if facts.st_size > MAX_BYTES:
            raise Invalid(
                f"{shown} has {facts.st_size:,} bytes; at most {MAX_BYTES:,} are read", hint="shorten it"
            )
        with open(path, "rb", opener=open_unlinked) as file:
            return file.read()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotFound(f"no file {shown} in the working tree") from error
    except (OSError, ValueError) as error:
        raise Invalid(f"cannot read {shown}: {error}", hint="check the file's permissions") from error
