"""Prompts of dotprompt: `.prompt` files with Handlebars texts and schemas in Picoschema."""
