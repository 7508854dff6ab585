"""Names of a Handlebars template as expressions of Jinja2: what they mean at a place, printed and asked."""

from collections.abc import Mapping, Sequence
from dataclasses import field

from promptops.dataclass import dataclass
from promptops.interop.dotprompt.nodes import Expression, HandlebarsFault, HelperCall, Path
from promptops.interop.dotprompt.values import Schema, Use, Value, jinja_text
from promptops.interop.values import input_name


@dataclass(frozen=True, slots=True)
class Loop:
    """``key``: the name of the key, in a loop over a mapping."""

    key: str = ""


@dataclass(frozen=True, slots=True)
class NameScope:
    """What names mean at a place. ``value`` is None where they are inputs."""

    value: Value | None = None
    parent: "NameScope | None" = None
    given: Mapping[str, Value] = field(default_factory=dict)
    loop: Loop | None = None


ROOT = NameScope()


class Names:
    """``inputs``: a schema each; a name that is not among them is an input that nobody has declared."""

    def __init__(self, inputs: Mapping[str, Schema]) -> None:
        self.inputs = inputs
        self.uses: dict[str, Use] = {}
        self.context_names: set[str] = set()
        self.written: dict[str, str] = {}  # how the text calls an input

    def as_json(self, call: HelperCall, scope: NameScope) -> str:
        if len(call.arguments) != 1 or call.options:
            raise HandlebarsFault("`{{json}}` takes one value, and `indent` is not translated", call.line)
        value = self.value(call.arguments[0], scope, call.line)
        value.use.json = True
        if value.types <= {"array", "object"} and value.certain:
            return value.code
        code = f"([{value.code}] | string)[1:-1]"
        return f'{code} if {value.code} is defined else "undefined"' if value.missing else code

    def value(self, expression: Expression, scope: NameScope, line: int) -> Value:
        if isinstance(expression, Path):
            return self.lookup(expression, scope, line)
        literal = expression.value
        if isinstance(literal, str):
            return Value(jinja_text(literal), {"type": "string"})
        if literal is None or isinstance(literal, bool):
            kind = "null" if literal is None else "boolean"
            return Value(str(literal).lower(), {"type": kind})
        return Value(repr(literal), {"type": "number"})

    def lookup(self, path: Path, scope: NameScope, line: int) -> Value:
        if path.data:
            return self.data(path, scope, line)
        for _ in range(path.up):
            if scope.parent is None:
                raise HandlebarsFault(f"`{path}` leads above the top", line)
            scope = scope.parent
        parts = path.parts
        if parts and parts[0] in scope.given:
            return self.members(scope.given[parts[0]], path, parts[1:], line)
        if scope.value is not None:
            return self.members(scope.value, path, parts, line)
        if not parts:
            raise HandlebarsFault("`this` is all inputs together here", line, "name the inputs one by one")
        return self.members(self.input(parts[0], line), path, parts[1:], line)

    def input(self, name: str, line: int) -> Value:
        code = input_name(name)
        if self.written.setdefault(code, name) != name:
            raise HandlebarsFault(f"`{name}` and `{self.written[code]}` would be one input, `{code}`", line)
        use = self.uses.setdefault(code, Use())
        return Value(code, self.inputs.get(code, {}), use=use)

    def data(self, path: Path, scope: NameScope, line: int) -> Value:
        name, *rest = path.parts or ("",)
        if path.up:
            raise HandlebarsFault(f"`{path}` is not translated", line)
        if name in ("index", "first", "last", "key"):
            return self.loop_value(path, scope, line)
        if name == "root":
            return self.lookup(Path(tuple(rest)), ROOT, line)
        if not rest:
            raise HandlebarsFault(f"`{path}` is not translated", line)
        self.context_names.add(input_name(name))
        return self.members(self.input(name, line), path, rest, line)

    def loop_value(self, path: Path, scope: NameScope, line: int) -> Value:
        name = path.parts[0]
        if scope.loop is None or len(path.parts) > 1:
            raise HandlebarsFault(f"`{path}` stands in no {{{{#each}}}}", line)
        if name == "key" and scope.loop.key:
            return Value(scope.loop.key, {"type": "string"})
        if name in ("index", "key"):
            return Value("loop.index0", {"type": "integer"})
        return Value(f"loop.{name}", {"type": "boolean"})

    def members(self, value: Value, path: Path, names: Sequence[str], line: int) -> Value:
        for name in names:
            found = value.member(name)
            if found is None:
                kind = " or ".join(sorted(value.types))
                raise HandlebarsFault(f"`{path}`: `{name}` is not a member of a value of type {kind}", line)
            value = found
        return value

    def printed(self, value: Value, line: int) -> str:
        """The expression that prints what JavaScript makes of a value."""
        value.use.printed = True
        types, code = value.types, value.code
        if not types - {"array", "null"}:
            items = value.item("").types
            if items <= {"array", "object", "null"}:
                raise HandlebarsFault(
                    "a list of lists or mappings has no text of its own", line, "use {{json …}}"
                )
            return f'{value.guarded("[]")} | join(",")'
        if "object" in types and types <= {"object", "array", "null"}:
            raise HandlebarsFault(
                f"`{code}` is a mapping, which has no text of its own", line, "use {{json …}}"
            )
        if value.certain:
            return code
        if "null" not in types:
            return f'{code} | default("")'
        if types <= {"string", "null"}:
            return f'{code} | default("", true)'
        known = f"{code} is defined and {code} is not none" if value.missing else f"{code} is not none"
        return f'{code} if {known} else ""'

    def condition(self, value: Value) -> str:
        """The expression that is true where a value is true in Handlebars."""
        value.use.tested = True
        code = f"({value.code} | default(false))" if value.missing else value.code
        return f"({code} or {value.code} is mapping)" if "object" in value.types else code
