"""Whether the JSON of an answer is looked for inside its text, and the answer that this makes of it."""

from dataclasses import replace

from promptops.checks.json_extraction import extract_json
from promptops.prompt import Prompt
from promptops.providers import asks_output_schema
from promptops.providers.catalog import Catalog
from promptops.providers.types import Completion


def extracts_json(prompt: Prompt, pin: str, catalog: Catalog) -> bool:
    """As the prompt says; else where a schema is wanted that the provider is not asked for."""
    output = prompt.output
    if output is None or output.extract is not None:
        return output is not None and output.extract == "json"
    return not asks_output_schema(pin, catalog)


def may_replace_text(prompt: Prompt, catalog: Catalog) -> bool:
    """Whether another text may take the place of the one that comes."""
    if prompt.guards:
        from promptops.guards import project_guards

        if project_guards(prompt, None).needs_whole_answer:
            return True
    if prompt.output is None:
        return False
    pins = (prompt.model, *prompt.fallback)
    return prompt.output.repair > 0 or any(extracts_json(prompt, pin, catalog) for pin in pins)


def with_extracted_json(prompt: Prompt, pin: str, answer: Completion, catalog: Catalog) -> Completion:
    """The answer, its text the JSON that stands in it; a refusal and a call of tools stay as they are."""
    if answer.is_refusal or answer.tool_calls or not extracts_json(prompt, pin, catalog):
        return answer
    return replace(answer, text=extract_json(answer.text, prompt.output_schema))
