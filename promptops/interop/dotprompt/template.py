"""The text of a dotprompt file to messages, and the inputs that it takes."""

from collections.abc import Mapping

from promptops.dataclass import dataclass
from promptops.interop.dotprompt.chunks import Chunk
from promptops.interop.dotprompt.nodes import HandlebarsFault
from promptops.interop.dotprompt.to_jinja import PartialPath, ReadPartial, Translator
from promptops.interop.dotprompt.values import Schema, schema_of_use


@dataclass(frozen=True, slots=True)
class Template:
    """``inputs``: the schema of each name that the text takes; ``undeclared``: those nobody has declared."""

    chunks: tuple[Chunk, ...]
    files: Mapping[str, str]
    inputs: Mapping[str, Schema]
    undeclared: tuple[str, ...]
    context_names: frozenset[str]
    images: frozenset[str]
    renamed: Mapping[str, str]  # input -> what the text calls it
    faults: tuple[HandlebarsFault, ...]


def translate_template(
    source: str, declared: Mapping[str, Schema], read_partial: ReadPartial, partial_path: PartialPath
) -> Template:
    """Translate twice: what a text does with names says what they are, and that says how they are written."""
    first = Translator(declared, read_partial, partial_path)
    first.translate(source)
    inputs: dict[str, Schema] = dict(declared)
    undeclared = [name for name in first.uses if name not in declared]
    inputs |= {name: schema_of_use(first.uses[name]) for name in undeclared}
    second = Translator(inputs, read_partial, partial_path)
    chunks = second.translate(source)
    return Template(
        tuple(chunks),
        second.files,
        inputs,
        tuple(undeclared),
        frozenset(second.context_names),
        frozenset(name for name, use in second.uses.items() if use.media),
        {code: name for code, name in second.written.items() if code != name},
        tuple(second.faults),
    )
