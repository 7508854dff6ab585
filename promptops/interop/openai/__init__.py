"""Requests of OpenAI's API as prompts: from JSON, from code that makes them (read, never run), from curl."""
