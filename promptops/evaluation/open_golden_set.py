"""The golden set of a version, read where the version itself comes from."""

from collections.abc import Iterator
from contextlib import contextmanager

from promptops.config.settings import Settings
from promptops.errors import Invalid, NotFound
from promptops.evaluation.golden_set import cases_path
from promptops.prompt import Prompt
from promptops.prompt.cases import Case, iter_lines, read_cases
from promptops.versions.resolve import Version, version_reader


@contextmanager
def open_golden_set(version: Version, settings: Settings) -> Iterator[Iterator[Case]]:
    """The cases of a version, as they were where it comes from, one at a time."""
    path = version.prompt.cases
    if path is None:
        raise Invalid(f"{version.prompt.name} has no cases", hint=_cases_hint(version, settings))
    with version_reader(version, settings) as read:
        try:
            data = read(path)
        except NotFound as error:
            raise NotFound(f"{error.message}, and {version.prompt.name} names it as its cases") from None
        yield read_cases(f"{settings.prompts_path}/{path}", iter_lines(data), version.prompt.inputs)


def _cases_hint(version: Version, settings: Settings) -> str:
    prompt = version.prompt
    if (settings.prompts / cases_path(prompt)).is_file():
        return how_to_name_cases(prompt, settings)
    return f"promptops cases add {prompt.name} --run RUN makes one of a logged run"


def how_to_name_cases(prompt: Prompt, settings: Settings) -> str:
    """The line that a prompt file lacks while its cases are beside it, unnamed."""
    return f"name its cases in {settings.prompts_path}/{prompt.path}: `cases: {cases_path(prompt)}`"


def cases_display_path(version: Version, settings: Settings) -> str:
    return f"{settings.prompts_path}/{cases_path(version.prompt)}"
