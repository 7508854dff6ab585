"""The YAML file as frozen types, and its digest. Pure: files are read by a function that callers pass in."""

from promptops.config.yaml import Position, Problem
from promptops.prompt.chat import CHAT_SCHEMA_JSON
from promptops.prompt.closure import FileReader, image_type
from promptops.prompt.from_canonical import from_canonical
from promptops.prompt.load import (
    check_prompt_name,
    find_problems,
    find_prompt_file,
    load_prompt,
    load_with_problems,
    text_parts,
)
from promptops.prompt.overrides import with_overrides
from promptops.prompt.schema import PROMPT_SCHEMA
from promptops.prompt.types import (
    FORMATS,
    JSON_FORMAT,
    PYTHON_FORMAT,
    SHORT_DIGEST_LENGTH,
    Check,
    Guard,
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
    "CHAT_SCHEMA_JSON",
    "FORMATS",
    "JSON_FORMAT",
    "PROMPT_SCHEMA",
    "PYTHON_FORMAT",
    "SHORT_DIGEST_LENGTH",
    "Check",
    "FileReader",
    "Guard",
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
    "Text",
    "check_prompt_name",
    "find_problems",
    "find_prompt_file",
    "from_canonical",
    "image_type",
    "load_prompt",
    "load_with_problems",
    "short_digest",
    "text_parts",
    "with_overrides",
]
