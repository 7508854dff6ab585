"""Python functions of a template as definitions of tools, read from their syntax alone."""

import ast
import warnings
from collections.abc import Mapping
from typing import Any

_TYPES: Mapping[str, str] = {
    "str": "string",
    "int": "integer",
    "float": "number",
    "bool": "boolean",
    "list": "array",
    "dict": "object",
}
_MAX_TOOLS = 100


def function_tools(code: str) -> list[dict[str, Any]]:
    """The functions of a text of Python; none where it is not Python."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(code)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return []
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return [_tool(node) for node in functions[:_MAX_TOOLS] if not node.name.startswith("_")]


def _tool(node: ast.FunctionDef | ast.AsyncFunctionDef) -> dict[str, Any]:
    given = [*node.args.posonlyargs, *node.args.args]
    required = [arg.arg for arg in given[: len(given) - len(node.args.defaults)]]
    keyword = zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
    required += [arg.arg for arg, default in keyword if default is None]
    properties = {arg.arg: _schema(arg.annotation) for arg in [*given, *node.args.kwonlyargs]}
    parameters = {"type": "object", "properties": properties, "required": required}
    description = ast.get_docstring(node)
    function = {"name": node.name, **({"description": description} if description else {})}
    return {"type": "function", "function": {**function, "parameters": parameters}}


def _schema(annotation: ast.expr | None) -> dict[str, Any]:
    name = annotation.id if isinstance(annotation, ast.Name) else ""
    return {"type": _TYPES[name]} if name in _TYPES else {}
