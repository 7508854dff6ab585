"""What promptfoo calls a model of the catalogue."""

from promptops.interop.pins import NO_MODEL

_IDS = {
    "anthropic": "anthropic:messages",
    "azure": "azure:chat",
    "bedrock": "bedrock",
    "cerebras": "cerebras",
    "cohere_chat": "cohere",
    "databricks": "databricks",
    "deepseek": "deepseek",
    "fireworks_ai": "fireworks",
    "gemini": "google",
    "groq": "groq",
    "huggingface": "huggingface:text-generation",
    "mistral": "mistral",
    "ollama_chat": "ollama:chat",
    "openai": "openai:chat",
    "openrouter": "openrouter",
    "perplexity": "perplexity",
    "replicate": "replicate",
    "together_ai": "togetherai",
    "vertex_ai": "vertex",
    "xai": "xai",
}


def provider_id(model: str, *, embedding: bool = False) -> str:
    """``openai:chat:gpt-4.1`` of ``openai/gpt-4.1``. The embedded model is ``echo``, which asks none."""
    if model == NO_MODEL:
        return "echo"
    provider, _, rest = model.partition("/")
    if embedding and provider in _IDS:
        return f"{_IDS[provider].partition(':')[0]}:embedding:{rest}"
    return f"{_IDS[provider]}:{rest}" if provider in _IDS and rest else f"litellm:{model}"
