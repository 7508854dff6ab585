"""Requests in Python code, found in its syntax tree. Nothing of it is run."""

import ast
import inspect
import textwrap
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from promptops.errors import Invalid
from promptops.interop.openai.literals import (
    CALL_VERBS,
    ID_KEYS,
    MAX_CALLS,
    MAX_DEPTH,
    MAX_SOURCE,
    MAX_VALUES,
    Call,
    Expression,
    Pieces,
    Value,
    changed,
    joined,
    prompt_of,
)

_DEDENTED = {
    "dedent": textwrap.dedent,
    "textwrap.dedent": textwrap.dedent,
    "cleandoc": inspect.cleandoc,
    "inspect.cleandoc": inspect.cleandoc,
}


def python_calls(source: str, path: str) -> list[Call]:
    """Requests in the order of the file. Raises Invalid for what Python cannot read."""
    return _PythonReader(source, _parse(source, path)).calls()


def _parse(source: str, path: str) -> ast.Module:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what the code does, such as an invalid escape
            return ast.parse(source)
    except SyntaxError as error:
        place = f"{path}:{error.lineno}" if error.lineno else path
        raise Invalid(f"{place}: not Python: {error.msg}", hint="is it another language?") from None
    except (MemoryError, RecursionError):
        raise Invalid(f"{path}: the code is nested too deeply to be read") from None
    except ValueError as error:
        raise Invalid(f"{path}: not Python: {error}") from None


class _PythonReader:
    def __init__(self, source: str, tree: ast.Module) -> None:
        self.lines = source.encode(errors="replace").splitlines()
        self.tree = tree
        self.constants = _constants(tree)
        self.left = MAX_VALUES
        self.within: set[str] = set()  # constants whose value is being read

    def calls(self) -> list[Call]:
        found: list[Call] = []
        waiting: list[ast.AST] = [self.tree]
        while waiting and len(found) < MAX_CALLS:
            node = waiting.pop()
            call = self.call(node)
            if call:
                found.append(call)
            else:
                waiting += reversed(list(ast.iter_child_nodes(node)))
        return found

    def call(self, node: ast.AST) -> Call | None:
        self.left = MAX_VALUES
        if isinstance(node, ast.Call):
            api = _api(_dotted(node.func))
            body = self.arguments(node) if api or _has_prompt(node) else {}
            return Call(node.lineno, body, api) if api or prompt_of(body) else None
        if isinstance(node, ast.Dict) and _names(node) & {"prompt", *ID_KEYS}:
            body = self.mapping(node, 0)
            return Call(node.lineno, body) if prompt_of(body) else None
        return None

    def arguments(self, node: ast.Call) -> dict[str, Value]:
        body: dict[str, Value] = {}
        for keyword in node.keywords:
            if keyword.arg is None:
                body |= self.spread(keyword.value, 0)
            else:
                body[keyword.arg] = self.value(keyword.value, 0)
        return body

    def spread(self, node: ast.expr, depth: int) -> dict[str, Value]:
        """Members of `**NAME`, or the expression under a key that says where it came from."""
        value = self.value(node, depth)
        return dict(value) if isinstance(value, Mapping) else {f"**{self.text(node)}": value}

    def mapping(self, node: ast.Dict, depth: int) -> dict[str, Value]:
        body: dict[str, Value] = {}
        for key, item in zip(node.keys, node.values, strict=True):
            if key is None:
                body |= self.spread(item, depth)
            elif isinstance(key, ast.Constant) and isinstance(key.value, str):
                body[key.value] = self.value(item, depth + 1)
            else:
                body[f"[{self.text(key)}]"] = self.value(item, depth + 1)
        return body

    def value(self, node: ast.expr, depth: int) -> Value:
        self.left -= 1
        read = _READERS.get(type(node))
        if read is None or depth > MAX_DEPTH or self.left < 0:
            return self.expression(node)
        return read(self, node, depth)

    def literal(self, node: ast.Constant, _depth: int) -> Value:
        known = node.value is None or isinstance(node.value, str | bool | int | float)
        return node.value if known else self.expression(node)

    def items(self, node: ast.List | ast.Tuple, depth: int) -> Value:
        return [self.value(item, depth + 1) for item in node.elts]

    def text_with_names(self, node: ast.JoinedStr, _depth: int) -> Value:
        return joined([self.piece(part) for part in node.values], node.lineno)

    def negative(self, node: ast.UnaryOp, depth: int) -> Value:
        operand: Any = self.value(node.operand, depth + 1) if isinstance(node.op, ast.USub) else None
        return self.expression(node) if type(operand) not in (int, float) else -operand

    def sum(self, node: ast.BinOp, depth: int) -> Value:
        sides: list[ast.expr] = [node]  # the first of them is a sum until all are taken apart
        while isinstance(sides[0], ast.BinOp) and isinstance(sides[0].op, ast.Add):
            sides[:1] = [sides[0].left, sides[0].right]
        parts = [self.value(side, depth + 1) for side in sides] if isinstance(node.op, ast.Add) else []
        texts = any(isinstance(part, str | Pieces) for part in parts)
        usable = all(isinstance(part, str | Pieces | Expression) for part in parts)
        return joined(parts, node.lineno) if texts and usable else self.expression(node)

    def piece(self, node: ast.expr) -> Value:
        if isinstance(node, ast.FormattedValue):
            if node.conversion == -1 and node.format_spec is None:
                value = self.value(node.value, MAX_DEPTH - 1)
                return value if isinstance(value, str) else self.expression(node.value)
            return self.expression(node.value, suffix=" (with a format)")
        return node.value if isinstance(node, ast.Constant) else self.expression(node)

    def text_method(self, node: ast.Call, depth: int) -> Value:
        """Texts that are stripped or dedented, as texts of several lines often are."""
        if not node.keywords and isinstance(node.func, ast.Attribute) and not node.args:
            value = self.value(node.func.value, depth + 1)
            if node.func.attr == "strip" and isinstance(value, str | Pieces):
                return changed(value, str.strip)
        change = _DEDENTED.get(_dotted(node.func))
        if change and len(node.args) == 1 and not node.keywords:
            value = self.value(node.args[0], depth + 1)
            if isinstance(value, str | Pieces):
                return changed(value, change)
        return self.expression(node)

    def constant(self, node: ast.Name, depth: int) -> Value:
        """What the module assigns once, to a name that nothing else in the file assigns."""
        if node.id not in self.constants or node.id in self.within:
            return self.expression(node)
        self.within.add(node.id)
        value = self.value(self.constants[node.id], depth + 1)
        self.within.remove(node.id)
        return value

    def expression(self, node: ast.expr, suffix: str = "") -> Expression:
        return Expression.of(self.text(node) + suffix, node.lineno)

    def text(self, node: ast.expr) -> str:
        """Its source, of which a long one is cut."""
        line = self.lines[node.lineno - 1]
        whole = node.end_lineno == node.lineno
        end = node.end_col_offset if whole and node.end_col_offset is not None else len(line)
        text = line[node.col_offset : min(end, node.col_offset + 4 * MAX_SOURCE)].decode(errors="ignore")
        return text if whole else f"{text} …"


_READERS: Mapping[type[ast.expr], Callable[[_PythonReader, Any, int], Value]] = {
    ast.BinOp: _PythonReader.sum,
    ast.Call: _PythonReader.text_method,
    ast.Constant: _PythonReader.literal,
    ast.Dict: _PythonReader.mapping,
    ast.JoinedStr: _PythonReader.text_with_names,
    ast.List: _PythonReader.items,
    ast.Name: _PythonReader.constant,
    ast.Tuple: _PythonReader.items,
    ast.UnaryOp: _PythonReader.negative,
}


def _constants(tree: ast.Module) -> Mapping[str, ast.expr]:
    found: dict[str, ast.expr] = {}
    for statement in tree.body:
        targets, value = _assignment(statement)
        if len(targets) == 1 and isinstance(targets[0], ast.Name) and value is not None:
            found[targets[0].id] = value
    counts: dict[str, int] = {}
    for node in ast.walk(tree):
        for name in _bound(node):
            counts[name] = counts.get(name, 0) + 1
    return {name: value for name, value in found.items() if counts[name] == 1}


def _assignment(statement: ast.stmt) -> tuple[list[ast.expr], ast.expr | None]:
    if isinstance(statement, ast.Assign):
        return statement.targets, statement.value
    if isinstance(statement, ast.AnnAssign):
        return [statement.target], statement.value
    return [], None


def _bound(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
        yield node.id
    elif isinstance(node, ast.arg):
        yield node.arg


def _dotted(node: ast.expr) -> str:
    """`client.chat.completions.create`, or its end where it starts with more than a name."""
    words: list[str] = []
    while isinstance(node, ast.Attribute) and len(words) < MAX_DEPTH:
        words.append(node.attr)
        node = node.value
    if isinstance(node, ast.Name):
        words.append(node.id)
    return ".".join(reversed(words))


def _api(name: str) -> str:
    """Which of OpenAI's interfaces a call by this name is one of; "" for none."""
    words = name.split(".")
    if words[-1] in CALL_VERBS and len(words) > 1:
        return {"responses": "responses", "completions": "chat"}.get(words[-2], "")
    return {"litellm.responses": "responses", "litellm.completion": "chat"}.get(name, "")


def _names(node: ast.Dict) -> set[object]:
    return {key.value for key in node.keys if isinstance(key, ast.Constant)}


def _has_prompt(node: ast.Call) -> bool:
    return any(keyword.arg == "prompt" for keyword in node.keywords)
