"""Schemas of answers as OpenAI's requests have them, with a name beside: here that is the schema's title."""

from collections.abc import Mapping
from typing import Any

from promptops.providers.openai.request import response_format

UNNAMED = "output"  # what is sent where a schema has no title


def titled_schema(name: object, schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema with its name as its title, where it has none of its own."""
    if not isinstance(name, str) or name in ("", UNNAMED) or "title" in schema:
        return dict(schema)
    return {"title": name, **schema}


def named_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """``{name, schema, strict}``: read by ``titled_schema`` it is the same schema."""
    sent: dict[str, Any] = response_format(schema)["json_schema"]
    title, *others = [*schema, ""]
    if title == "title" and isinstance(schema["title"], str) and schema["title"] not in ("", UNNAMED):
        inner = {key: schema[key] for key in others if key}
        return {**sent, "name": schema["title"], "schema": inner}
    return {**sent, "schema": dict(schema)}
