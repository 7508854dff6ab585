"""Where imported prompts go: their names and paths below prompts/."""

import re
from collections.abc import Sequence

from promptops.dataclass import dataclass
from promptops.errors import Invalid
from promptops.prompt.load import check_prompt_name

_TO = "name a folder below it, such as --to support; prompts: in promptops.yaml moves all of them"
_MAX_NAME = 60  # characters of a name that is made of a text


@dataclass(frozen=True, slots=True)
class ImportTarget:
    """``folder`` is below prompts/, or empty. ``model``: the model that a person wants pinned instead."""

    folder: str = ""
    model: str | None = None

    def prompt(self, text: str) -> str:
        """The name of a prompt that the source calls ``text``; slashes stay."""
        return self.path("/".join(filter(None, map(slug, text.split("/")))) or "prompt")

    def path(self, below: str) -> str:
        """The path of a file that prompts refer to, such as ``schemas/answer.json``."""
        return f"{self.folder}/{below}" if self.folder else below


def target_folder(written: str | None, prompts_folder: str) -> str:
    """A folder below prompts/, given from there or with it. Raises Invalid for what is none."""
    if (written or "").startswith(("/", "~")):
        raise Invalid(f"--to {written} lies elsewhere: imports are written below {prompts_folder}/", hint=_TO)
    folder = (written or "").strip("/").removeprefix("./")
    if folder in ("", ".", prompts_folder):
        return ""
    folder = folder.removeprefix(f"{prompts_folder}/")
    check_prompt_name(folder)
    return folder


def slug(text: str) -> str:
    """A text as a part of a prompt's name: its words in lower-case letters and digits."""
    import unicodedata

    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    name = re.sub(r"[^a-z0-9._-]+", "-", plain)
    name = re.sub(r"\.{2,}", ".", re.sub(r"-{2,}", "-", name)).strip("-._")
    return name if len(name) <= _MAX_NAME else name[:_MAX_NAME].rpartition("-")[0] or name[:_MAX_NAME]


def unique_names(names: Sequence[str]) -> list[str]:
    """The names, numbered from the second of each on: a, b, a-2."""
    taken: set[str] = set()
    numbers: dict[str, int] = {}
    unique = []
    for name in names:
        one = name
        while one in taken:
            numbers[name] = numbers.get(name, 1) + 1
            one = f"{name}-{numbers[name]}"
        taken.add(one)
        unique.append(one)
    return unique
