"""What a rule looks at: one prompt, and the project around it."""

from collections.abc import Iterator, Mapping
from datetime import date
from functools import cached_property
from typing import TYPE_CHECKING, Any

from promptops.config.settings import Settings
from promptops.config.text import Position, Problem
from promptops.config.yaml import YamlPath
from promptops.dataclass import dataclass
from promptops.lint.cases import GoldenSet, read_golden_set
from promptops.prompt import FileReader, Prompt

if TYPE_CHECKING:
    from promptops.providers.catalog import Catalog

RETIREMENT_DAYS = 90


@dataclass(frozen=True, eq=False)
class LintProject:
    """The settings that hold, the catalogue of models, and the day on which all of it is judged."""

    settings: Settings
    today: date

    @cached_property
    def catalog(self) -> "Catalog":
        from promptops.providers.catalog import Catalog

        return Catalog.load(self.settings)

    @cached_property
    def source(self) -> str:
        """The date that every message resting on the catalogue carries."""
        return f" ({self.catalog.source})" if self.catalog.source else ""

    @property
    def retirement_days(self) -> int:
        return int(self.settings.lint.get("retirement_days", RETIREMENT_DAYS))

    def declared(self, model: str) -> Mapping[str, Any]:
        """What promptops.yaml says of a model."""
        return self.settings.models.get(model, {})


@dataclass(frozen=True, eq=False)
class LintContext:
    prompt: Prompt
    read: FileReader
    project: LintProject
    look_up: FileReader  # as ``read``, of files that are no part of the prompt

    @cached_property
    def golden(self) -> GoldenSet:
        return read_golden_set(self.prompt, self.read)

    def models(self) -> Iterator[tuple[YamlPath, str]]:
        """The models that are asked, with the place of each in the file."""
        yield ("model",), self.prompt.model
        for index, model in enumerate(self.prompt.fallback):
            yield ("fallback", index), model

    def at(self, path: YamlPath, message: str, hint: str = "") -> Problem:
        return self.prompt.document.problem("", path, message, hint)

    def at_line(self, file: str, line: int, message: str, hint: str = "") -> Problem:
        """A problem in a line of a file; "" is the prompt's own."""
        path = f"prompts/{file}" if file else self.prompt.document.path
        return Problem("", message, path, Position(line, 1), hint)
