"""``responseFormat`` and ``jsonSchema``: what the answer is asked to be."""

from collections.abc import Mapping
from typing import Any

from promptops.errors import Invalid
from promptops.interop.accounts import KeyAccounts
from promptops.interop.reader import parse_source_json
from promptops.interop.schema_names import titled_schema
from promptops.providers.openai.request import fits_strict


def read_response_format(
    data: Mapping[str, Any], parameters: dict[str, Any], keys: KeyAccounts, imported: dict[str, Any]
) -> dict[str, Any]:
    """The keys of a prompt file that ask for it; `json_object` is a parameter."""
    form, schema = data.get("responseFormat"), data.get("jsonSchema")
    if form == "json_schema" and schema is not None:
        keys.keep("responseFormat")
        return {"output": {"schema": _schema(schema, keys, imported)}}
    if schema is not None:
        keys.lose(("jsonSchema",), "GitHub Models asked for it with `responseFormat: json_schema` alone")
        imported["jsonSchema"] = schema
    if form in ("json_object", "json"):
        parameters["response_format"] = {"type": "json_object"}
        keys.change(("responseFormat",), "a parameter: response_format: {type: json_object}")
    elif form == "text":
        keys.change(("responseFormat",), "text is what a model answers where nothing else is asked for")
    elif form is not None:
        keys.lose(("responseFormat",), "no format of GitHub Models")
        imported["responseFormat"] = form
    return {}


def _schema(written: Any, keys: KeyAccounts, imported: dict[str, Any]) -> dict[str, Any]:
    """The schema itself, named by its ``title``: that is the name which is sent with it."""
    value = parse_source_json(written, "jsonSchema") if isinstance(written, str) else written
    if not isinstance(value, dict):
        raise Invalid("jsonSchema is not a JSON object", hint='{"name": …, "strict": true, "schema": {…}}')
    wrapped = isinstance(value.get("schema"), dict)
    schema = titled_schema(value.get("name"), value["schema"]) if wrapped else value
    notes = []
    if wrapped and schema.keys() != value["schema"].keys():
        notes.append("its name is the schema's title")
    if wrapped and bool(value.get("strict")) != fits_strict(schema):
        notes.append(f"strict: {str(fits_strict(schema)).lower()} is sent with it, as the schema allows")
    other = {key: value[key] for key in value if key not in ("name", "strict", "schema")} if wrapped else {}
    if other:
        imported["jsonSchema"] = other
        notes.append(f"{', '.join(other)} is kept under metadata.imported")
    keys.change(("jsonSchema",), "; ".join(["output.schema", *notes]))
    return schema
