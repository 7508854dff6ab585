"""The rule on output schemas: what keeps one from being asked for in strict mode, and where."""

from collections.abc import Iterator, Mapping
from typing import Any

from promptops.config.text import Problem
from promptops.config.yaml import YamlPath
from promptops.lint.context import LintContext

_MAX_NAMES = 5000
_MAX_DEPTH = 10
SchemaReason = tuple[YamlPath, str]


def loose_schema(subject: LintContext) -> Iterator[Problem]:
    schema = subject.prompt.output_schema
    if schema is None or all(model.startswith("local/") for _, model in subject.models()):
        return
    if _fits(schema) and not _too_large(schema):
        return
    path, reason = next(_reasons(schema, ()), None) or ((), _too_large(schema) or _OTHER_REASON)
    where = f" at `{'.'.join(map(str, path))}`" if path else ""
    message = f"the output schema{where} is outside strict structured output: {reason}"
    hint = "without strict mode an answer may break the schema; it is validated all the same"
    yield subject.at(("output", "schema", *path), message, hint)


_OTHER_REASON = "it uses what strict mode does not take"


def _fits(schema: Mapping[str, Any]) -> bool:
    from promptops.providers.openai.request import fits_strict

    return fits_strict(schema)


def _reasons(schema: Any, path: YamlPath) -> Iterator[SchemaReason]:
    """Why a schema does not fit, outermost first."""
    if not isinstance(schema, Mapping):
        yield path, "a schema there must be a mapping"
        return
    if not path and schema.get("type") != "object":
        yield path, "its top must be `type: object`"
    if schema.get("type") == "object":
        yield from _object_reasons(schema, path)
    for key in schema:
        if not _fits(_wrap_in_object({"type": "string", key: schema[key]})) and key not in _STRUCTURE:
            yield (*path, key), f"`{key}` is not taken"
    for below, part in _parts(schema):
        yield from _reasons(part, (*path, *below))
    if path and not _fits(_wrap_in_object(schema)):
        yield path, "it needs a `type`" if "type" not in schema else _OTHER_REASON


def _object_reasons(schema: Mapping[str, Any], path: YamlPath) -> Iterator[SchemaReason]:
    if schema.get("additionalProperties") is not False:
        yield path, "each object needs `additionalProperties: false`"
    properties = schema.get("properties", {})
    optional = [name for name in properties if name not in schema.get("required", ())]
    if optional:
        names = ", ".join(f"`{name}`" for name in optional[:3])
        more = f" and {len(optional) - 3} more" if len(optional) > 3 else ""
        yield path, f"`required` must name every property; {names}{more} can be null instead of absent"


_STRUCTURE = frozenset({"$defs", "additionalProperties", "anyOf", "items", "properties", "required", "type"})


def _wrap_in_object(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """A schema as the one property of an object that fits."""
    defs = {"$defs": schema["$defs"]} if "$defs" in schema else {}
    inner = {key: value for key, value in schema.items() if key != "$defs"}
    return {
        "type": "object",
        "properties": {"x": inner},
        "required": ["x"],
        "additionalProperties": False,
        **defs,
    }


def _parts(schema: Mapping[str, Any]) -> Iterator[tuple[YamlPath, Any]]:
    for key in ("properties", "$defs"):
        members = schema.get(key)
        if isinstance(members, Mapping):
            yield from (((key, name), part) for name, part in members.items())
    if "items" in schema:
        yield ("items",), schema["items"]
    for number, part in enumerate(schema.get("anyOf", ())):
        yield ("anyOf", number), part


def _too_large(schema: Mapping[str, Any]) -> str:
    names, depth = _measure(schema, 1)
    if names > _MAX_NAMES:
        return f"it has {names:,} properties, and at most {_MAX_NAMES:,} are taken"
    return f"it nests {depth} levels, and at most {_MAX_DEPTH} are taken" if depth > _MAX_DEPTH else ""


def _measure(schema: Any, level: int) -> tuple[int, int]:
    """Count the properties and the levels of objects."""
    if not isinstance(schema, Mapping):
        return 0, level
    names = len(schema.get("properties", ())) if isinstance(schema.get("properties"), Mapping) else 0
    deepest = level
    for _, part in _parts(schema):
        is_object = isinstance(part, Mapping) and part.get("type") == "object"
        below, depth = _measure(part, level + is_object)
        names, deepest = names + below, max(deepest, depth)
    return names, deepest
