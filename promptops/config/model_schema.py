"""What promptops.yaml may say of a model: litellm's names for prices, limits and abilities, and our own.

Only data, for the same reason as the schema of plans. A test holds it against what is read of the catalogue.
"""

from typing import Any

_PRICE: dict[str, Any] = {"type": "number", "minimum": 0}
_LIMIT: dict[str, Any] = {"type": "integer", "minimum": 1}
_ABILITY: dict[str, Any] = {"type": "boolean"}
PRICE_KEYS = (
    "cache_creation_input_token_cost",
    "cache_creation_input_token_cost_above_1hr",
    "cache_read_input_audio_token_cost",
    "cache_read_input_token_cost",
    "input_cost_per_audio_token",
    "input_cost_per_image_token",
    "input_cost_per_token",
    "output_cost_per_audio_token",
    "output_cost_per_image_token",
    "output_cost_per_reasoning_token",
    "output_cost_per_token",
)
PRICE_TIERS = ("balanced", "batches", "decisions", "flex", "priority", "ultrafast")
PRICE_VARIANT = f"^({'|'.join(PRICE_KEYS)})(_above_[0-9]+k?_tokens)?(_({'|'.join(PRICE_TIERS)}))?$"
ABILITY_KEYS = (
    "supports_audio_input",
    "supports_function_calling",
    "supports_parallel_function_calling",
    "supports_pdf_input",
    "supports_prompt_caching",
    "supports_reasoning",
    "supports_response_schema",
    "supports_system_messages",
    "supports_tool_choice",
    "supports_vision",
)

MODEL_SCHEMA: dict[str, Any] = {
    "type": "object",
    "description": "What is known of one model. What is left out comes from base_model, else from the list.",
    "additionalProperties": False,
    "properties": {
        "base_model": {
            "type": "string",
            "description": "The listed model behind a deployment or fine-tuned model, whose prices hold.",
        },
        "pinned_by": {"type": "string", "description": "What holds the model still where its name does not."},
        "deprecation_date": {
            "type": "string",
            "format": "date",
            "description": "The day on which it retires: 2027-01-31.",
        },
        "litellm_provider": {"type": "string"},
        "mode": {"type": "string"},
        **dict.fromkeys(("max_input_tokens", "max_output_tokens", "max_tokens"), _LIMIT),
        "tiered_pricing": {
            "type": "array",
            "description": "Prices by the length of the prompt.",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["range"],
                "properties": {
                    "range": {"type": "array", "items": _PRICE, "minItems": 2, "maxItems": 2},
                    **dict.fromkeys(PRICE_KEYS, _PRICE),
                },
            },
        },
        **dict.fromkeys(PRICE_KEYS, _PRICE),
        **dict.fromkeys(ABILITY_KEYS, _ABILITY),
    },
    "patternProperties": {PRICE_VARIANT: _PRICE},
}
