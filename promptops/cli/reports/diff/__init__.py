"""Changes of prompts as text, Markdown and JSON."""
