"""Whether a template can write a value that Python and JSON write differently: true, null, a list, a mapping.

The digest format of a version hangs on the answer (see ``Prompt.format``), so that this file is as stable as
the canonical object itself: another answer for the same texts and inputs gives a version another digest. What
cannot be decided counts as yes. A better analysis is another format.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from jinja2 import nodes

from promptops.prompt.jinja_templates import parse_template
from promptops.prompt.template_nodes import TEXT_FILTERS, call_argument, call_arguments, method_of
from promptops.prompt.template_types import TemplateFault
from promptops.prompt.type_inference import TypeInference, attribute_of
from promptops.prompt.value_types import PLAIN_TYPES, TEXT, Schema, SchemaUnion, items_of, union_types

_MAPPING_METHODS = frozenset(
    ["clear", "copy", "fromkeys", "get", "items", "keys", "pop", "popitem", "setdefault", "update", "values"]
)
_WRITERS = (nodes.Call, nodes.Concat, nodes.Filter, nodes.Mod, nodes.Output)
PrintedValue = tuple[int, frozenset[str]]
"""The line of an expression, and the JSON types that its value may have."""


def prints_json(texts: Iterable[str], inputs: Mapping[str, Schema]) -> bool:
    """Whether one of the texts of a prompt, partials among them, can. ``inputs``: those that have a value."""
    try:
        trees = [parse_template(text) for text in texts]
        types = TypeInference(trees, inputs)
        return any(True for _ in _findings(types, trees)) or _reads_keys_named_as_methods(types, trees)
    except TemplateFault:  # it renders nothing
        return False
    except RecursionError:
        return True


def printed_values(
    text: str, all_texts: Iterable[str], inputs: Mapping[str, Schema]
) -> Iterator[PrintedValue]:
    """Where one of the texts of a prompt can."""
    types = TypeInference([parse_template(each) for each in all_texts], inputs)
    yield from _findings(types, [parse_template(text)])


def _findings(types: TypeInference, trees: Sequence[nodes.Template]) -> Iterator[PrintedValue]:
    """Every expression whose text is written and that JSON may write otherwise."""
    for node in (node for tree in trees for node in tree.find_all(_WRITERS)):
        parts = node.nodes if isinstance(node, nodes.Output | nodes.Concat) else ()
        written = [(part.lineno, types.infer(part)) for part in parts]
        for line, value in [*written, *((node.lineno, value) for value in _written(types, node))]:
            if not (found := union_types(value)) <= PLAIN_TYPES:
                yield line, found


def _reads_keys_named_as_methods(types: TypeInference, trees: Sequence[nodes.Template]) -> bool:
    """Whether ``order.items`` stands anywhere uncalled: a key in format 2, a method in format 1."""
    found = [node for tree in trees for node in tree.find_all(nodes.Getattr)]
    called = {id(node.node) for tree in trees for node in tree.find_all(nodes.Call)}
    uncalled = (node for node in found if node.attr in _MAPPING_METHODS and id(node) not in called)
    return any("object" in union_types(types.infer(node.node)) for node in uncalled)


def _written(types: TypeInference, node: nodes.Node) -> Iterator[SchemaUnion]:
    """What a filter, an operator or a method makes the text of."""
    if isinstance(node, nodes.Filter) and node.name in TEXT_FILTERS:
        yield from _filtered(types, node)
    elif isinstance(node, nodes.Mod) and not union_types(types.infer(node.left)) <= {"number"}:
        right = node.right.items if isinstance(node.right, nodes.Tuple) else [node.right]
        yield from map(types.infer, right)
    elif isinstance(node, nodes.Call) and method_of(node).startswith("format"):
        yield from map(types.infer, call_arguments(node))


def _filtered(types: TypeInference, node: nodes.Filter) -> Iterator[SchemaUnion]:
    value = types.infer(node.node) if node.node is not None else TEXT
    if node.name == "join":
        value = items_of(value)
        attribute = call_argument(node, 1, "attribute")
        yield value if attribute is None else attribute_of(value, attribute)
    else:
        yield value
    if node.name in {"format", "join", "replace"}:
        yield from map(types.infer, call_arguments(node))
