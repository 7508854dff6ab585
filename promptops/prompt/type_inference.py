"""The JSON types that names and expressions of a prompt's templates may have.

Names are not followed through branches: a name has every value that is assigned to it anywhere in the prompt.
What ``printed_types`` says of digests holds here too: another answer for the same texts is another format.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jinja2 import nodes

from promptops.prompt.template_nodes import (
    TEXT_FILTERS,
    call_argument,
    call_arguments,
    constant_of,
    method_of,
    name_of,
    owner_of,
)
from promptops.prompt.value_types import (
    ANY,
    BOOLEAN,
    NULL,
    NUMBER,
    PLAIN_TYPES,
    TEXT,
    Schema,
    SchemaUnion,
    items_of,
    list_of,
    mapping_of,
    member_of,
    union_types,
    unite,
    values_of,
    without_null,
)

_MAX_ROUNDS = 12
_METHOD_TYPES: Mapping[str, SchemaUnion] = {
    **dict.fromkeys(["count", "find", "index", "rfind", "rindex"], NUMBER),
    **dict.fromkeys(["partition", "rpartition", "rsplit", "split", "splitlines"], list_of(TEXT)),
    **dict.fromkeys(
        [
            "capitalize",
            "casefold",
            "center",
            "format",
            "format_map",
            "join",
            "ljust",
            "lower",
            "lstrip",
            "removeprefix",
            "removesuffix",
            "replace",
            "rjust",
            "rstrip",
            "strip",
            "swapcase",
            "title",
            "upper",
            "zfill",
        ],
        TEXT,
    ),
}
_FILTER_TYPES: Mapping[str, SchemaUnion] = {
    **dict.fromkeys(["abs", "count", "float", "int", "length", "round"], NUMBER),
    **dict.fromkeys(["filesizeformat", "pprint", "tojson"], TEXT),  # they write values in a way of their own
    **dict.fromkeys(TEXT_FILTERS, TEXT),
    "wordcount": NUMBER,
}
_LIST_FILTERS = ("list", "reject", "rejectattr", "reverse", "select", "selectattr", "sort", "unique")
_ITEM_FILTERS = ("first", "last", "max", "min")
_LOOP_NUMBERS = ("depth", "depth0", "index", "index0", "length", "revindex", "revindex0")
_LOOP: SchemaUnion = ({"properties": dict.fromkeys(_LOOP_NUMBERS, NUMBER[0])},)
_JOINER: SchemaUnion = ({"type": [], "joiner": True},)
_ASSIGNMENTS = (
    nodes.Assign,
    nodes.AssignBlock,
    nodes.Call,
    nodes.CallBlock,
    nodes.For,
    nodes.FromImport,
    nodes.Import,
    nodes.Macro,
    nodes.With,
)


class TypeInference:
    """What the names of a prompt's templates stand for, found by going round until nothing is added.

    ``trees`` are the parsed texts of the prompt, partials among them; ``inputs`` those that have a value.
    """

    def __init__(self, trees: Sequence[nodes.Template], inputs: Mapping[str, Schema]) -> None:
        self._inputs = {name: (schema,) for name, schema in inputs.items()}
        self._names: dict[str, SchemaUnion] = {}
        self._macros = {node.name: node for tree in trees for node in tree.find_all(nodes.Macro)}
        for _ in range(_MAX_ROUNDS):
            before = dict(self._names)
            for node in (node for tree in trees for node in tree.find_all(_ASSIGNMENTS)):
                _ASSIGN[type(node)](self, node)
            if self._names == before:
                return
        self._names = dict.fromkeys(self._names, ANY)

    # what names stand for

    def add(self, name: str, value: SchemaUnion) -> None:
        self._names[name] = unite(self._names.get(name, ()), value)

    def assign(self, target: nodes.Node, value: SchemaUnion) -> None:
        if isinstance(target, nodes.Name):
            self.add(target.name, value)
        elif isinstance(target, nodes.NSRef):
            self.add(f"{target.name}.{target.attr}", value)
        elif isinstance(target, nodes.Tuple):
            pair = value[0].get("pair") if len(value) == 1 else None
            values = (
                pair if pair and len(pair) == len(target.items) else [items_of(value)] * len(target.items)
            )
            for part, item in zip(target.items, values, strict=True):
                self.assign(part, item)

    def assign_value(self, node: nodes.Assign) -> None:
        self.assign(node.target, self.infer(node.node))
        made = node.node
        if isinstance(made, nodes.Call) and name_of(made.node) == "namespace":
            for pair in made.kwargs:
                self.add(f"{name_of(node.target)}.{pair.key}", self.infer(pair.value))

    def assign_block(self, node: nodes.AssignBlock) -> None:
        self.assign(node.target, TEXT if node.filter is None else self.infer(node.filter))

    def assign_with(self, node: nodes.With) -> None:
        for target, value in zip(node.targets, node.values, strict=True):
            self.assign(target, self.infer(value))

    def assign_loop(self, node: nodes.For) -> None:
        self.assign(node.target, self._loop_items(node.iter))

    def _loop_items(self, node: nodes.Node) -> SchemaUnion:
        """Items of a loop; of ``x.items()``, ``x | items`` and ``x | dictsort`` pairs."""
        mapping: nodes.Node | None = None
        if isinstance(node, nodes.Call) and method_of(node) == "items":
            mapping = node.node.node  # type: ignore[attr-defined]  # a method has an owner
        elif isinstance(node, nodes.Filter) and node.name in {"items", "dictsort"}:
            mapping = node.node
        if mapping is None:
            return items_of(self.infer(node))
        return ({"type": "array", "pair": (TEXT, values_of(self.infer(mapping)))},)

    def assign_parameters(self, node: nodes.Macro) -> None:
        for argument, default in zip(reversed(node.args), reversed(node.defaults), strict=False):
            self.add(argument.name, self.infer(default))
        for name in ("varargs", "kwargs"):
            self.add(name, ANY)

    def assign_caller(self, node: nodes.CallBlock) -> None:
        for argument in node.args:
            self.add(argument.name, ANY)

    def assign_module(self, node: nodes.Import) -> None:
        self.add(node.target, ANY)

    def assign_imported(self, node: nodes.FromImport) -> None:
        for name in node.names:
            imported, alias = name if isinstance(name, tuple) else (name, name)
            if imported in self._macros:
                self._macros[alias] = self._macros[imported]
            else:
                self.add(alias, ANY)

    def assign_arguments(self, node: nodes.Call) -> None:
        macro = self._macros.get(name_of(node.node) or method_of(node))
        if macro is None:
            return
        unknown = node.dyn_args is not None or node.dyn_kwargs is not None
        for argument, value in zip(macro.args, node.args, strict=False):
            self.add(argument.name, self.infer(value))
        for pair in node.kwargs:
            self.add(pair.key, self.infer(pair.value))
        for argument in macro.args if unknown else ():
            self.add(argument.name, ANY)

    # what expressions stand for

    def infer(self, node: nodes.Node | None) -> SchemaUnion:
        handler = _INFER.get(type(node))
        return handler(self, node) if handler else ANY

    def infer_name(self, node: nodes.Name) -> SchemaUnion:
        if node.name == "loop" and node.name not in self._names:
            return _LOOP
        return unite(self._inputs.get(node.name, ()), self._names.get(node.name, ()))

    def infer_member(self, node: nodes.Getattr | nodes.Getitem) -> SchemaUnion:
        if isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Slice):
            return self.infer(node.node)
        key = node.attr if isinstance(node, nodes.Getattr) else constant_of(node.arg)
        in_namespace = self._names.get(f"{name_of(node.node)}.{key}")
        return member_of(self.infer(node.node), key) if in_namespace is None else in_namespace

    def infer_filter(self, node: nodes.Filter) -> SchemaUnion:
        value = self.infer(node.node)
        if node.name in {"default", "d"}:
            return self._default(node, value)
        if node.name in _LIST_FILTERS:
            return list_of(items_of(value))
        if node.name in _ITEM_FILTERS:
            return items_of(value)
        if node.name == "map":
            return _mapped(node, value)
        adds = node.name == "sum" and not call_arguments(node)
        numbers = adds and union_types(items_of(value)) <= {"number"}
        return NUMBER if numbers else _FILTER_TYPES.get(node.name, ANY)

    def _default(self, node: nodes.Filter, value: SchemaUnion) -> SchemaUnion:
        """A value, or what stands for it where it is undefined, or false with a second argument of true."""
        falsy = constant_of(call_argument(node, 1, "boolean")) is True
        other = call_argument(node, 0, "default_value")
        return unite(without_null(value) if falsy else value, TEXT if other is None else self.infer(other))

    def infer_or(self, node: nodes.Or) -> SchemaUnion:
        return unite(without_null(self.infer(node.left)), self.infer(node.right))

    def infer_and(self, node: nodes.And) -> SchemaUnion:
        return unite(self.infer(node.left), self.infer(node.right))

    def infer_condition(self, node: nodes.CondExpr) -> SchemaUnion:
        return unite(self.infer(node.expr1), () if node.expr2 is None else self.infer(node.expr2))

    def infer_sum(self, node: nodes.Add | nodes.Mul | nodes.Mod) -> SchemaUnion:
        left, right = self.infer(node.left), self.infer(node.right)
        if isinstance(node, nodes.Mod) and union_types(left) == {"string"}:
            return TEXT
        types = union_types(left) | union_types(right)
        return (
            unite(left, right) if types <= PLAIN_TYPES else NUMBER if types <= {"number", "boolean"} else ANY
        )

    def infer_list(self, node: nodes.List | nodes.Tuple) -> SchemaUnion:
        return list_of(*map(self.infer, node.items))

    def infer_mapping(self, node: nodes.Dict) -> SchemaUnion:
        keys = [constant_of(pair.key) for pair in node.items]
        if not all(isinstance(key, str) for key in keys):
            return ({"type": "object"},)
        values = (self.infer(pair.value) for pair in node.items)
        return mapping_of(dict(zip(keys, values, strict=True)))

    def infer_call(self, node: nodes.Call) -> SchemaUnion:
        name = name_of(node.node) or method_of(node)
        if name in self._macros or name in {"caller", "super"} or owner_of(node) == "self":
            return TEXT
        if isinstance(node.node, nodes.Getattr):
            return self._method_result(node, self.infer(node.node.node))
        match name:
            case "range":
                return list_of(NUMBER)
            case "joiner":
                return _JOINER
            case _:
                return TEXT if self.infer(node.node) == _JOINER or name == "loop" else ANY

    def _method_result(self, node: nodes.Call, owner: SchemaUnion) -> SchemaUnion:
        name = method_of(node)
        if name == "cycle" and owner_of(node) == "loop":
            return unite(*map(self.infer, node.args))
        if union_types(owner) <= {"string"}:
            return _METHOD_TYPES.get(name, BOOLEAN)
        if union_types(owner) <= {"object"} and name == "get" and node.args:
            other = self.infer(node.args[1]) if len(node.args) > 1 else NULL
            return unite(member_of(owner, constant_of(node.args[0])), other)
        return ANY


def _mapped(node: nodes.Filter, value: SchemaUnion) -> SchemaUnion:
    """What ``map`` makes of a list: texts, or a member of each item."""
    attribute = call_argument(node, None, "attribute")
    if attribute is not None:
        return list_of(attribute_of(items_of(value), attribute)) if len(node.kwargs) == 1 else list_of(ANY)
    name = constant_of(call_argument(node, 0, ""))
    plain = name in TEXT_FILTERS - {"join"} and union_types(items_of(value)) <= PLAIN_TYPES
    return list_of(TEXT) if plain else list_of(ANY)


def attribute_of(value: SchemaUnion, attribute: nodes.Expr) -> SchemaUnion:
    path = constant_of(attribute)
    return ANY if isinstance(path, str) and "." in path else member_of(value, path)


_ASSIGN: Mapping[type, Callable[[TypeInference, Any], None]] = {
    nodes.Assign: TypeInference.assign_value,
    nodes.AssignBlock: TypeInference.assign_block,
    nodes.Call: TypeInference.assign_arguments,
    nodes.CallBlock: TypeInference.assign_caller,
    nodes.For: TypeInference.assign_loop,
    nodes.FromImport: TypeInference.assign_imported,
    nodes.Import: TypeInference.assign_module,
    nodes.Macro: TypeInference.assign_parameters,
    nodes.With: TypeInference.assign_with,
}
_INFER: Mapping[type, Callable[[TypeInference, Any], SchemaUnion]] = {
    **dict.fromkeys([nodes.Compare, nodes.Not, nodes.Test], lambda *_: BOOLEAN),
    **dict.fromkeys([nodes.Concat, nodes.TemplateData], lambda *_: TEXT),
    **dict.fromkeys(
        [nodes.Div, nodes.FloorDiv, nodes.Neg, nodes.Pos, nodes.Pow, nodes.Sub], lambda *_: NUMBER
    ),
    nodes.Add: TypeInference.infer_sum,
    nodes.And: TypeInference.infer_and,
    nodes.Call: TypeInference.infer_call,
    nodes.CondExpr: TypeInference.infer_condition,
    nodes.Const: lambda _, node: ({"const": node.value},),
    nodes.Dict: TypeInference.infer_mapping,
    nodes.Filter: TypeInference.infer_filter,
    nodes.Getattr: TypeInference.infer_member,
    nodes.Getitem: TypeInference.infer_member,
    nodes.List: TypeInference.infer_list,
    nodes.Mod: TypeInference.infer_sum,
    nodes.Mul: TypeInference.infer_sum,
    nodes.Name: TypeInference.infer_name,
    nodes.Or: TypeInference.infer_or,
    nodes.Tuple: TypeInference.infer_list,
}
