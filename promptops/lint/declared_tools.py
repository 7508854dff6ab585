"""Checks on tools that a prompt does not declare, in the prompt, its guards and its cases."""

from promptops.prompt import Check, Prompt


def undeclared_tools(check: Check, prompt: Prompt) -> tuple[str, str] | None:
    """Message and hint, where no answer can call what the check asks for."""
    if check.kind != "tool_calls":
        return None
    from promptops.checks.tool_calls import unmeetable_demand

    return unmeetable_demand(check.argument, prompt)
