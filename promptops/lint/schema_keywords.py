"""The rule on words that JSON Schema does not have: validators pass over them, so that they say nothing."""

from collections.abc import Iterator, Mapping
from typing import Any

from promptops.config.text import Problem
from promptops.config.yaml import YamlPath
from promptops.lint.context import LintContext
from promptops.prompt.inputs import HANDLING_KEYS
from promptops.prompt.json_schema import unknown_name_message

_OF_MAPPINGS = ("$defs", "definitions", "dependencies", "dependentSchemas", "patternProperties", "properties")
_OF_LISTS = ("allOf", "anyOf", "oneOf", "prefixItems")
_OF_SCHEMAS = (
    "additionalItems", "additionalProperties", "contains", "contentSchema", "else", "if", "items", "not",
    "propertyNames", "then", "unevaluatedItems", "unevaluatedProperties",
)  # fmt: skip
_PLAIN = (
    "$anchor", "$comment", "$dynamicAnchor", "$dynamicRef", "$id", "$recursiveAnchor", "$recursiveRef",
    "$ref", "$schema", "$vocabulary", "const", "contentEncoding", "contentMediaType", "default",
    "dependentRequired", "deprecated", "description", "enum", "example", "examples", "exclusiveMaximum",
    "exclusiveMinimum", "format", "id", "maxContains", "maxItems", "maxLength", "maxProperties", "maximum",
    "minContains", "minItems", "minLength", "minProperties", "minimum", "multipleOf", "pattern",
    "propertyOrdering", "readOnly",
    "required", "title", "type", "uniqueItems", "writeOnly",
)  # fmt: skip
_KEYWORDS = sorted({*_OF_MAPPINGS, *_OF_LISTS, *_OF_SCHEMAS, *_PLAIN})
_HINTS = {"nullable": 'null is a type: `type: [string, "null"]`'}  # OpenAPI's word
_OWN_PREFIXES = ("x-", "$")  # annotations of other programs; `$` may come with a vocabulary


def unknown_keyword(subject: LintContext) -> Iterator[Problem]:
    prompt = subject.prompt
    for name, declared in prompt.inputs.items():
        own = {key: value for key, value in declared.schema.items() if key not in HANDLING_KEYS}
        yield from _problems(subject, own, ("inputs", name))
    yield from _problems(subject, prompt.output_schema, ("output", "schema"))
    for number, tool in enumerate(prompt.tools):
        yield from _problems(subject, _parameters(tool), ("tools", number, "function", "parameters"))


def _parameters(tool: Any) -> Any:
    function = tool.get("function") if isinstance(tool, Mapping) else None
    return function.get("parameters") if isinstance(function, Mapping) else None


def _problems(subject: LintContext, schema: Any, path: YamlPath) -> Iterator[Problem]:
    for place in _unknown_keywords(schema, path):
        message, hint = unknown_name_message("keyword", str(place[-1]), _KEYWORDS)
        hint = _HINTS.get(str(place[-1]), "a note of your own begins with `x-`" if hint else "")
        yield subject.at(place, f"{message} of a schema says nothing", hint)


def _unknown_keywords(schema: Any, path: YamlPath) -> Iterator[YamlPath]:
    if not isinstance(schema, Mapping):
        return
    for key, value in schema.items():
        here = (*path, key)
        if key in _OF_MAPPINGS and isinstance(value, Mapping):
            for name, below in value.items():
                yield from _unknown_keywords(below, (*here, name))
        elif key in _OF_SCHEMAS or key in _OF_LISTS:
            if isinstance(value, list | tuple):
                for number, below in enumerate(value):
                    yield from _unknown_keywords(below, (*here, number))
            yield from _unknown_keywords(value, here)
        elif key not in _KEYWORDS and not str(key).startswith(_OWN_PREFIXES):
            yield here
