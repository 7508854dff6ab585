"""Templates of Simon Willison's ``llm``."""
