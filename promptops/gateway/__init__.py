"""What programs call: released prompts behind an endpoint that speaks OpenAI's API, and as MCP prompts."""
