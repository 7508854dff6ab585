"""The YAML file as frozen types, and its digest. Pure: files come in through a reader."""

from promptops.config.yaml import Position, Problem
from promptops.prompt.closure import Read, image_type
from promptops.prompt.from_canonical import from_canonical
from promptops.prompt.inputs import CHAT_TEXT
from promptops.prompt.load import check_name, examine, find_file, find_problems, load_prompt, texts_of
from promptops.prompt.overrides import with_overrides
from promptops.prompt.schema import PROMPT_SCHEMA
from promptops.prompt.types import (
    SHORT,
    Check,
    ImageFile,
    ImageInput,
    Input,
    Insert,
    Message,
    Output,
    Part,
    Prompt,
    Text,
    short_digest,
)

__all__ = [
    "CHAT_TEXT",
    "PROMPT_SCHEMA",
    "SHORT",
    "Check",
    "ImageFile",
    "ImageInput",
    "Input",
    "Insert",
    "Message",
    "Output",
    "Part",
    "Position",
    "Problem",
    "Prompt",
    "Read",
    "Text",
    "check_name",
    "examine",
    "find_file",
    "find_problems",
    "from_canonical",
    "image_type",
    "load_prompt",
    "short_digest",
    "texts_of",
    "with_overrides",
]
