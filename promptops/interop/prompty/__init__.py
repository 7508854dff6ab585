"""Prompts of Prompty: `.prompty` files of its first and second format, read; those of the second, written."""
