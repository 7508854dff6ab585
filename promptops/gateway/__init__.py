"""What programs call: released prompts behind an endpoint that speaks OpenAI's API."""

from promptops.gateway.server import Gateway

__all__ = ["Gateway"]
