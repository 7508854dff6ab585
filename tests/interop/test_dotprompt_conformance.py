"""google/dotprompt's own tests: what its files render here. The docs list what is not supported."""

from pathlib import Path
from typing import Any

import yaml

from support.front_door import Cli, Repo
from support.imported_prompts import imported, rendered

NOT_SUPPORTED = {
    # `{{json this}}` is all inputs together, which no file declares
    "json/basic",
    "json/indented",
    "json/indented_4_spaces",
    "json/nested_objects",
    "json/arrays",
    "json/empty_values",
    # a file without a text
    "metadata/ext",
    # a history that a caller gives to a prompt that does not name it
    "role/system_only_prompt",
}
ROLES = {"model": "assistant"}


def suites(shared: Path) -> dict[str, dict[str, Any]]:
    files = sorted((shared / "data/conformance/dotprompt-spec").glob("*.yaml"))
    return {
        f"{file.stem}/{suite['name']}": suite
        for file in files
        for suite in yaml.safe_load(file.read_text("utf-8"))
    }


def expected(test: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        (ROLES.get(message["role"], message["role"]), "".join(part["text"] for part in message["content"]))
        for message in test["expect"]["messages"]
    ]


def outcome(name: str, suite: dict[str, Any], test: dict[str, Any]) -> Any:
    """What an application gives: values, those of the context, and defaults of the call."""
    data = {**suite.get("data", {}), **test.get("data", {})}
    given = {**test.get("options", {}).get("input", {}).get("default", {}), **data.get("input", {})}
    given |= data.get("context", {})
    if "messages" in data:
        given["history"] = data["messages"]
    return rendered(name, given)


def test_what_dotprompt_renders_is_rendered(repo: Repo, cli: Cli, shared: Path) -> None:
    known = suites(shared)
    for name, suite in known.items():
        repo.write(f"in/{name}.prompt", suite["template"])
    cli("import", "dotprompt", "in")
    failed, passed = set(), 0
    for name, suite in known.items():
        for test in suite["tests"]:
            try:
                assert outcome(name, suite, test) == expected(test)
            except Exception:  # noqa: BLE001 - what fails must be in the list, however it fails
                failed.add(name)
            else:
                passed += 1
    assert failed == NOT_SUPPORTED
    assert passed == 60
    assert imported("metadata/raw").parameters == {"temperature": 3}
    assert imported("metadata/raw").metadata == {
        "imported": {"from": "dotprompt", "file": "raw.prompt", "not_in_force": {"custom": "prop"}}
    }
