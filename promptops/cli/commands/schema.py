"""``promptops schema``: what editors need to check and complete our files."""

from enum import StrEnum
from typing import Annotated

import typer

from promptops.config.settings_schema import SETTINGS_SCHEMA
from promptops.console import print_json
from promptops.prompt import PROMPT_SCHEMA


class SchemaKind(StrEnum):
    PROMPT = "prompt"
    SETTINGS = "settings"


def schema(
    which: Annotated[
        SchemaKind, typer.Argument(help="The prompt file, or promptops.yaml.")
    ] = SchemaKind.PROMPT,
) -> None:
    """Print the JSON Schema of the prompt file, or of promptops.yaml."""
    print_json(PROMPT_SCHEMA if which is SchemaKind.PROMPT else SETTINGS_SCHEMA)
