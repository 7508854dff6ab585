"""Handlebars to Jinja2: the same text for the same values, or a refusal that names the line.

What differs is written out: JavaScript holds an empty mapping for true, a missing value is an empty text, a
list is printed with commas. Values whose type no schema tells are treated by how templates use them.
"""

import re
from collections.abc import Callable, Mapping, Sequence

from promptops.interop.dotprompt.chunks import WRITTEN_MARK, Chunk, Code, Mark, end_template, join_chunks
from promptops.interop.dotprompt.names import ROOT, Loop, Names, NameScope
from promptops.interop.dotprompt.nodes import (
    Block,
    Comment,
    Content,
    Expression,
    HandlebarsFault,
    HelperCall,
    Literal,
    Mustache,
    Node,
    PartialCall,
    Path,
)
from promptops.interop.dotprompt.tree import MAX_DEPTH, parse_handlebars
from promptops.interop.dotprompt.values import Schema, jinja_text

MAX_PARTIAL_CALLS = 500  # more come of partials that name one another again and again
_PARTIAL_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./-]*")
_HELPERS = frozenset(
    [
        *("each", "history", "if", "ifEquals", "json", "log", "lookup", "media", "role", "section"),
        *("unless", "unlessEquals", "with"),
    ]
)
_BLOCKS = {"each": 1, "if": 1, "ifEquals": 2, "unless": 1, "unlessEquals": 2, "with": 1}
"""How many values each block takes."""
ReadPartial = Callable[[str], str | None]
PartialPath = Callable[[str, str], str]
"""The path of the file that is made of a partial, by its name and its translated text."""


class Translator(Names):
    def __init__(
        self, inputs: Mapping[str, Schema], read_partial: ReadPartial, partial_path: PartialPath
    ) -> None:
        super().__init__(inputs)
        self.read_partial = read_partial
        self.partial_path = partial_path
        self.files: dict[str, str] = {}
        self.faults: list[HandlebarsFault] = []
        self._open_partials: list[str] = []
        self._partial_trees: dict[str, list[Node]] = {}
        self._included: dict[str, Code] = {}
        self._partial_calls = 0
        self._depth = 0
        self._names = 0

    def translate(self, source: str) -> list[Chunk]:
        """Give texts, code and marks in order. What cannot be translated is in ``faults``."""
        try:
            return self.body(parse_handlebars(source), ROOT)
        except HandlebarsFault as fault:
            self.faults.append(fault)
            return []

    def refuse(self, line: int, message: str, hint: str = "") -> None:
        if self._open_partials:
            message = f"in the partial `{self._open_partials[-1]}`: {message}"
        self.faults.append(HandlebarsFault(message, line, hint))

    def body(self, nodes: Sequence[Node], scope: NameScope) -> list[Chunk]:
        return [chunk for node in nodes for chunk in self.node(node, scope)]

    def node(self, node: Node, scope: NameScope) -> list[Chunk]:
        if isinstance(node, Content):
            return self.content(node)
        if isinstance(node, Comment):
            return []
        try:
            if isinstance(node, Mustache):
                return self.mustache(node.call, scope)
            if isinstance(node, PartialCall):
                return self.partial(node, scope)
            return [Code(self.block(node, scope))]
        except HandlebarsFault as fault:
            self.refuse(fault.line, fault.message, fault.hint)
            return []

    def content(self, node: Content) -> list[Chunk]:
        others = node.value if self._depth else WRITTEN_MARK.sub("", node.value)
        if "<<<dotprompt:" in others:
            self.refuse(node.line, "a text contains a mark of dotprompt itself, `<<<dotprompt:…`")
        return [node.value] if node.value else []

    def inner(self, nodes: Sequence[Node] | None, scope: NameScope) -> str:
        """The text of a block, in which no message can begin."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise HandlebarsFault(f"blocks are nested more than {MAX_DEPTH} deep", 1)
        chunks = self.body(nodes or (), scope)
        self._depth -= 1
        for chunk in chunks:
            if isinstance(chunk, Mark):
                hint = "messages of a prompt file follow one another; a list of them is an input"
                self.refuse(chunk.line, f"`{{{{{chunk.kind}}}}}` inside of a block", hint)
        return join_chunks(chunk for chunk in chunks if not isinstance(chunk, Mark))

    def mustache(self, call: HelperCall, scope: NameScope) -> list[Chunk]:
        name = _simple_name(call.name)
        if name in _HELPERS:
            return self.helper(name, call, scope)
        if call.arguments or call.options:
            raise HandlebarsFault(f"`{call.name}` is an unknown helper", call.line)
        if isinstance(call.name, Literal):
            raise HandlebarsFault("a tag has a value where a name is expected", call.line)
        return [Code(f"{{{{ {self.printed(self.lookup(call.name, scope, call.line), call.line)} }}}}")]

    def helper(self, name: str, call: HelperCall, scope: NameScope) -> list[Chunk]:
        if name == "json":
            return [Code(f"{{{{ {self.as_json(call, scope)} }}}}")]
        if name == "history":
            return [Mark("history", "", call.line)]
        if name in ("role", "section"):
            argument = call.arguments[0] if call.arguments else None
            if not isinstance(argument, Literal) or not isinstance(argument.value, str):
                raise HandlebarsFault(f"`{{{{{name}}}}}` takes a text in quotes", call.line)
            return [Mark(name, argument.value, call.line)]
        if name == "media":
            return [self.media(call, scope)]
        raise HandlebarsFault(f"the helper `{name}` is not translated here", call.line)

    def media(self, call: HelperCall, scope: NameScope) -> Mark:
        url = call.options.get("url")
        value = self.value(url, scope, call.line) if isinstance(url, Path) else None
        if value is None or value.code not in self.uses:
            raise HandlebarsFault(
                "the url of `{{media}}` must be an input", call.line, "images are inputs here"
            )
        value.use.media = True
        return Mark("media", value.code, call.line)

    def check_block(self, call: HelperCall) -> str:
        """Give the name of a block that is translated."""
        name = _simple_name(call.name)
        if name not in _BLOCKS:
            hint = "write {{#if …}}, {{#unless …}}, {{#each …}} or {{#with …}}"
            raise HandlebarsFault(f"the block `{call.name}` is not translated", call.line, hint)
        if call.options:
            raise HandlebarsFault("options of a block are not translated", call.line)
        if len(call.arguments) != _BLOCKS[name]:
            raise HandlebarsFault(f"the block `{name}` has too few or too many values", call.line)
        return name

    def block(self, block: Block, scope: NameScope) -> str:
        name = self.check_block(block.call)
        if block.program is None:
            raise HandlebarsFault("`{{^…}}` is not translated", block.call.line, "write {{#unless …}}")
        return self.each(block, scope) if name == "each" else self.branches(block, scope)

    def branches(self, block: Block, scope: NameScope) -> str:
        texts, keyword = [], "if"
        while True:
            test, inner = self.test(block.call, scope)
            texts.append(f"{{% {keyword} {test} %}}{self.inner(block.program, inner)}")
            following = block.inverse[0] if block.chained and block.inverse else None
            if not isinstance(following, Block) or self.check_block(following.call) == "each":
                break
            block, keyword = following, "elif"
        if block.inverse:
            texts.append(f"{{% else %}}{self.inner(block.inverse, scope)}")
        return "".join([*texts, "{% endif %}"])

    def test(self, call: HelperCall, scope: NameScope) -> tuple[str, NameScope]:
        """What a block asks, and what names mean in it."""
        name = _simple_name(call.name)
        if name.endswith("Equals"):
            equal = self.equal(call, scope)
            return (equal if name == "ifEquals" else f"not ({equal})"), scope
        value = self.value(call.arguments[0], scope, call.line)
        test = self.condition(value)
        if name == "with":
            return test, NameScope(value.as_present(), scope, loop=scope.loop)
        return (f"not {test}" if name == "unless" else test), scope

    def equal(self, call: HelperCall, scope: NameScope) -> str:
        """JavaScript's ``===``: no number equals a text, and true is no 1."""
        left, right = call.arguments
        if isinstance(left, Literal):
            left, right = right, left
        if not isinstance(right, Literal) or right.value is None:
            raise HandlebarsFault("a comparison is translated where one of the two is a literal", call.line)
        value, literal = self.value(left, scope, call.line), self.value(right, scope, call.line)
        value.use.printed = True
        code = f"({value.code} | default(none))" if value.missing else value.code
        if literal.types == {"boolean"}:
            return f"{code} is {literal.code}"
        equal = f"{code} == {literal.code}"
        return f"({equal} and {code} is not boolean)" if literal.types == {"number"} else equal

    def each(self, block: Block, scope: NameScope) -> str:
        value = self.value(block.call.arguments[0], scope, block.call.line)
        types, item, key = value.types - {"null"}, self.fresh("item"), ""
        if types == {"array"}:
            names, over = item, value.guarded("[]")
        elif types == {"object"}:
            key = self.fresh("key")
            names, over = f"{key}, {item}", f"{value.guarded('{}')} | items"
        elif {"array", "object"} <= types:
            names, known = item, f"({value.code} | default([], true))"
            over = f"({known}.values() if {value.code} is mapping else {known})"
        else:
            raise HandlebarsFault("{{#each}} over a value that is not a list", block.call.line)
        inner = NameScope(value.item(item), scope, loop=Loop(key))
        text = f"{{% for {names} in {over} %}}{self.inner(block.program, inner)}"
        if block.inverse:
            text += f"{{% else %}}{self.inner(block.inverse, scope)}"
        return text + "{% endfor %}"

    def fresh(self, word: str) -> str:
        """A name that no input has."""
        taken = {*self.inputs, *self.uses}
        while True:
            self._names += 1
            name = word if self._names == 1 else f"{word}{self._names}"
            if name not in taken:
                return name

    def partial(self, node: PartialCall, scope: NameScope) -> list[Chunk]:
        name, line, inner = node.name, node.call.line, self.partial_scope(node.call, scope)
        if inner is ROOT and not node.indent and name in self._included:
            return [self._included[name]]
        self.enter_partial(name, line)
        try:
            body = self.body(self.partial_tree(name, line), inner)
        finally:
            self._open_partials.pop()
        if inner is not ROOT or node.indent or any(isinstance(each, Mark) for each in body):
            return _indented(body, node.indent, line)
        text = end_template(join_chunks(each for each in body if not isinstance(each, Mark)))
        path = self.partial_path(name, text)
        self.files[path] = text
        self._included[name] = Code(f'{{% include "{path}" %}}')
        return [self._included[name]]

    def enter_partial(self, name: str, line: int) -> None:
        if name in self._open_partials:
            circle = " → ".join([*self._open_partials, name])
            raise HandlebarsFault(f"partials include each other in a circle: {circle}", line)
        self._partial_calls += 1
        if self._partial_calls > MAX_PARTIAL_CALLS:
            raise HandlebarsFault(
                f"partials are written into texts more than {MAX_PARTIAL_CALLS} times", line
            )
        self._open_partials.append(name)

    def partial_tree(self, name: str, line: int) -> list[Node]:
        if name not in self._partial_trees:
            source = self.read_partial(name) if _PARTIAL_NAME.fullmatch(name) and ".." not in name else None
            if source is None:
                raise HandlebarsFault(f"there is no partial `{name}`", line, f"it would be _{name}.prompt")
            self._partial_trees[name] = parse_handlebars(source)
        return self._partial_trees[name]

    def partial_scope(self, call: HelperCall, scope: NameScope) -> NameScope:
        """What names mean in a partial: it sees no scope above the one that it is given."""
        if len(call.arguments) > 1:
            raise HandlebarsFault("a partial takes one context", call.line)
        given = {name: self.value(value, scope, call.line) for name, value in call.options.items()}
        if call.arguments:
            return NameScope(self.value(call.arguments[0], scope, call.line), None, given, scope.loop)
        if scope is ROOT and not given:
            return ROOT
        return NameScope(scope.value, None, {**scope.given, **given}, scope.loop)


def _simple_name(expression: Expression) -> str:
    """The name of a helper or block; "" for what cannot be one."""
    if not isinstance(expression, Path) or len(expression.parts) != 1 or expression.up or expression.data:
        return ""
    return expression.parts[0]


def _indented(body: list[Chunk], indent: str, line: int) -> list[Chunk]:
    """A partial on an indented line: each of its lines is indented too."""
    if not indent or not body:
        return body
    if any(isinstance(each, Mark) for each in body):
        raise HandlebarsFault("a partial that begins a message is on an indented line", line)
    end = "\n" if isinstance(body[-1], str) and body[-1].endswith("\n") else ""
    text = join_chunks(each for each in body if not isinstance(each, Mark))
    inner = text.removesuffix(end)
    return [Code(f"{{% filter indent({jinja_text(indent)}, true, true) %}}{inner}{{% endfilter %}}"), end]
