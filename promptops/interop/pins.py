"""How other tools name models, in the notation of the catalogue, and how one is pinned."""

import re
from typing import TYPE_CHECKING

from promptops.dataclass import dataclass
from promptops.lint.models import is_pinned, is_unknown

if TYPE_CHECKING:
    from promptops.lint.context import LintProject

NO_MODEL = "local/smollm2-135m-instruct"
"""What is pinned where a source names no model: it runs anywhere, without a key."""

_PREFIXES = {  # what stands before a model elsewhere -> its provider in litellm's notation
    "anthropic": "anthropic",
    "aws": "bedrock",
    "azure": "azure",
    "azureopenai": "azure",
    "azure_openai": "azure",
    "bedrock": "bedrock",
    "cerebras": "cerebras",
    "cloudflare-ai": "cloudflare",
    "cohere": "cohere_chat",
    "databricks": "databricks",
    "deepinfra": "deepinfra",
    "deepseek": "deepseek",
    "fireworks": "fireworks_ai",
    "gemini": "gemini",
    "github": "github",
    "google": "gemini",
    "googleai": "gemini",
    "groq": "groq",
    "huggingface": "huggingface",
    "hyperbolic": "hyperbolic",
    "litellm": "",
    "meta": "meta_llama",
    "mistral": "mistral",
    "mistralai": "mistral",
    "nscale": "nscale",
    "ollama": "ollama_chat",
    "openai": "openai",
    "openrouter": "openrouter",
    "perplexity": "perplexity",
    "replicate": "replicate",
    "sambanova": "sambanova",
    "together": "together_ai",
    "togetherai": "together_ai",
    "vertex": "vertex_ai",
    "vertexai": "vertex_ai",
    "voyage": "voyage",
    "watsonx": "watsonx",
    "xai": "xai",
}
_KINDS = frozenset(  # of an endpoint, between the provider and the model
    ["chat", "responses", "messages", "completion", "text-generation", "text-completion", "converse"]
)
_EMBEDDING_KINDS = frozenset(["embedding", "embeddings"])
_BARE = (  # a model that is named without its provider
    (re.compile(r"(?:gpt-|chatgpt-|o[1-9](?:-|$)|ft:gpt)"), "openai"),
    (re.compile(r"claude-"), "anthropic"),
    (re.compile(r"(?:gemini|gemma)-"), "gemini"),
    (re.compile(r"(?:mistral|codestral|ministral|magistral)-"), "mistral"),
    (re.compile(r"grok-"), "xai"),
    (re.compile(r"deepseek-"), "deepseek"),
    (re.compile(r"command(?:-|$)"), "cohere_chat"),
)


@dataclass(frozen=True, slots=True)
class ModelPin:
    """``note``: what a person should know of it; empty where the name is dated and known."""

    model: str
    note: str = ""
    embedding: bool = False


def pin_model(name: str, project: "LintProject") -> ModelPin | None:
    """The model that ``openai:chat:gpt-4o``, ``openai/gpt-4o`` or ``gpt-4o`` is; None for none."""
    found = catalogue_name(name, project)
    if found is None:
        return None
    model, embedding = found
    return ModelPin(model, "" if embedding else pin_note(model, project), embedding)


def catalogue_name(name: str, project: "LintProject") -> tuple[str, bool] | None:
    """The name in the catalogue's notation, and whether it is a model of embeddings."""
    name = name.strip()
    if not name or re.search(r"\s|://", name) or "{{" in name:
        return None
    head, colon, rest = name.partition(":")
    if colon and head.lower() in _PREFIXES:
        return _with_provider(_PREFIXES[head.lower()], rest)
    first, slash, rest = name.partition("/")
    if slash and first in project.catalog.providers():
        return name, False
    if slash and first.lower() in _PREFIXES:
        return _with_provider(_PREFIXES[first.lower()], rest)
    provider = next((provider for pattern, provider in _BARE if pattern.match(name)), "")
    if provider:
        return f"{provider}/{name}", False
    listed = re.sub(r"_converse$|-(?:\w+-)*models$", "", project.catalog.provider(name) or "")
    return (f"{listed}/{name}", False) if listed else None


def _with_provider(provider: str, rest: str) -> tuple[str, bool] | None:
    kind, colon, model = rest.partition(":")
    embedding = kind in _EMBEDDING_KINDS
    if not (colon and (embedding or kind in _KINDS)):
        model = rest
    if not model or model in _KINDS:
        return None
    return (f"{provider}/{model}" if provider else model), embedding


def pin_note(model: str, project: "LintProject") -> str:
    """How to pin a name that moves; "" for one that is dated. What else is wrong, lint says."""
    if is_pinned(model, project):
        return ""
    if dated := project.catalog.dated_ids(model):
        return f"`{model}` moves; to pin it, write a dated name such as {dated[-1]}"
    if is_unknown(model, project):
        return (
            f"the catalogue does not know `{model}`; pin one that it knows, or declare it in promptops.yaml"
        )
    holds = f"models: {{{model}: {{pinned_by: …}}}} in promptops.yaml"
    return f"`{model}` has no dated name; say what holds it: {holds}"
