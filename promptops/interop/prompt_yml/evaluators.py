"""``evaluators``: conditions on texts as checks, what a model judges as a judge, a prompt of its own."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from promptops.interop.accounts import KeyAccounts
from promptops.interop.model import PromptDraft
from promptops.interop.placeholders import InputNames, Variable, split_placeholders, template_of
from promptops.interop.prompt_yml.builtin_judges import BUILTIN_JUDGES, builtin_judge
from promptops.interop.target import ImportTarget, slug, unique_names
from promptops.interop.values import text_of_value

Pinned = Callable[[str], tuple[str, str]]
_ANSWER, _EXPECTED = "completion", "expected"
_FIRST = ("equals", "contains", "startsWith", "endsWith")
"""Of several conditions in one evaluator, `gh models` looks at the first of these alone."""


class EvaluatorReader:
    """``names``: the variables of the prompt; those that checks alone use are added to them."""

    def __init__(
        self, keys: KeyAccounts, names: InputNames, target: ImportTarget, pinned: Pinned, prompt: str
    ) -> None:
        self.keys = keys
        self.names = names
        self.target = target
        self.pinned = pinned
        self.prompt = prompt
        self.given: set[str] = set()
        self.judges: dict[str, PromptDraft] = {}
        self.unused: dict[str, Any] = {}
        self.in_messages = list(names.names)

    def read(self, given: Any, row_keys: Sequence[str]) -> list[dict[str, Any]]:
        self.given = {_EXPECTED, *self.in_messages, *row_keys}
        if given == []:
            self.keys.keep("evaluators")
        items = given if isinstance(given, list) else []
        read = [(item, self.check(item, index)) for index, item in enumerate(items)]
        self.unused = {str(index): item for index, (item, check) in enumerate(read) if check is None}
        checks = [(item, check) for item, check in read if check is not None]
        names = unique_names([_name(item) for item, _ in checks])
        return [check | {"name": name} for name, (_, check) in zip(names, checks, strict=True)]

    def check(self, item: Any, index: int) -> dict[str, Any] | None:
        path = ("evaluators", index)
        if not isinstance(item, dict):
            return None
        if isinstance(item.get("name"), str):
            self.keys.keep(*path, "name")
        if isinstance(item.get("string"), dict):
            return self.on_text(item["string"], index)
        if isinstance(item.get("llm"), dict):
            return self.judged(item["llm"], _name(item), index)
        builtin = str(item.get("uses")).removeprefix("github/")
        if builtin in BUILTIN_JUDGES:
            return self.builtin(builtin, index)
        if "uses" in item:
            self.keys.lose((*path, "uses"), "GitHub Models has no evaluator of this name")
        return None

    def on_text(self, given: Mapping[str, Any], index: int) -> dict[str, Any] | None:
        path = ("evaluators", index, "string")
        kinds = [kind for kind in _FIRST if given.get(kind) not in (None, "")]
        for kind in kinds[1:]:
            self.keys.lose((*path, kind), f"GitHub Models looked at `{kinds[0]}` alone")
        if not kinds:
            return None
        kind, text = kinds[0], text_of_value(given[kinds[0]])
        if kind == "equals":
            self.keys.keep(*path, kind)
            return {"equals": self.argument(text)}
        note = "the case of letters is ignored, as GitHub Models did"
        self.keys.change((*path, kind), note)
        if kind == "contains":
            return {"icontains": self.argument(text)}
        if any(isinstance(piece, Variable) for piece in split_placeholders(text)):
            self.keys.change((*path, kind), "the case of letters counts: it did not in GitHub Models")
            return {"starts_with" if kind == "startsWith" else "ends_with": self.argument(text)}
        pattern = re.escape(text).replace("\\ ", " ")
        return {
            "regex": self.argument(rf"(?i)\A\s*{pattern}" if kind == "startsWith" else rf"(?i){pattern}\s*\Z")
        }

    def argument(self, text: str) -> str:
        """A text of a check, in which ``expected`` is what the case expects, and variables are inputs."""
        names = _CaseNames(self.names, {_EXPECTED: _EXPECTED})
        return template_of(self.pieces(text), names).removesuffix("\n")

    def pieces(self, text: str, *known: str) -> list[str | Variable]:
        """Placeholders that nothing fills in are texts."""
        return [
            piece
            if isinstance(piece, str) or piece.name in self.given or piece.name in known
            else f"{{{{{piece.name}}}}}"
            for piece in split_placeholders(text)
        ]

    def judged(self, given: Mapping[str, Any], name: str, index: int) -> dict[str, Any] | None:
        path = ("evaluators", index, "llm")
        choices = _choices(given.get("choices"))
        texts = [given.get("systemPrompt"), given.get("prompt")]
        if not choices or not isinstance(texts[1], str):
            return None
        model, note = (
            self.pinned(given["modelId"]) if isinstance(given.get("modelId"), str) else self.pinned("")
        )
        names = _CaseNames(self.names, {_EXPECTED: _EXPECTED, _ANSWER: "output"})
        messages = [
            {"role": role, "content": template_of(self.pieces(text, _ANSWER), names)}
            for role, text in zip(("system", "user"), texts, strict=True)
            if isinstance(text, str) and text
        ]
        listed = ", ".join(choices)
        messages[-1]["content"] += f"\n\nAnswer as JSON: `reason`, then `choice`, which is one of: {listed}."
        judge = f"judges/{slug(self.prompt.rpartition('/')[2])}-{slug(name) or 'judge'}"
        reference = self.target.prompt(judge)
        content = {
            "model": model,
            "inputs": dict.fromkeys(sorted({"output", *names.used}), "string"),
            "messages": messages,
            "output": {"schema": _choice_schema(list(choices))},
        }
        self.judges[reference] = PromptDraft(name=reference, content=content, imported={"scores": choices})
        for key in ("modelId", "prompt", "systemPrompt", "choices"):
            self.keys.keep(*path, key)
        self.keys.change((*path, "modelId"), note)
        self.keys.change(
            (*path, "choices"),
            "those with a score above 0 pass, as there; the scores are under metadata.imported",
        )
        if "{{" in str(texts[0]):
            self.keys.change(
                (*path, "systemPrompt"), "its placeholders are filled in, which `gh models` left out"
            )
        return {
            "judge": {"prompt": reference, "pass": [each for each, score in choices.items() if score > 0]}
        }

    def builtin(self, name: str, index: int) -> dict[str, Any]:
        model, note = self.pinned("openai/gpt-4o")
        judge = builtin_judge(name)
        reference = self.target.prompt(f"judges/{name}")
        content = {"model": model, **judge}
        self.judges[reference] = PromptDraft(name=reference, content=content)
        self.keys.change(
            ("evaluators", index, "uses"),
            f"{reference}, a judge in words of our own from 1 to 5; 2 passes, as there. {note}",
        )
        argument: dict[str, Any] = {"prompt": reference}
        if "input" in judge["inputs"] and "input" not in self.names.names:
            parts = [f"{source}: {{{{ {name} }}}}" for source, name in self.inputs_of_messages()]
            argument["inputs"] = {"input": "\n".join(parts) or "(nothing)"}
        return {"judge": argument, "threshold": 2}

    def inputs_of_messages(self) -> list[tuple[str, str]]:
        return [(source, self.names[source]) for source in self.in_messages]


class _CaseNames(InputNames):
    """Names of what a check is given: inputs of the prompt, and those that ``own`` has."""

    def __init__(self, inputs: InputNames, own: Mapping[str, str]) -> None:
        super().__init__()
        self.inputs = inputs
        self.own = own
        self.used: set[str] = set()

    def __getitem__(self, source: str) -> str:
        name = self.own[source] if source in self.own else self.inputs[source]
        self.used.add(name)
        return name


def _name(item: Mapping[str, Any]) -> str:
    given = item.get("name")
    return given if isinstance(given, str) and given else str(item.get("uses") or "check").rpartition("/")[2]


def _choices(given: Any) -> dict[str, float]:
    found: dict[str, float] = {}
    for item in given if isinstance(given, list) else ():
        score = item.get("score") if isinstance(item, dict) else None
        if isinstance(score, int | float) and isinstance(item.get("choice"), str | int):
            found.setdefault(str(item["choice"]), float(score))
    return found


def _choice_schema(choices: list[str]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {"reason": {"type": "string"}, "choice": {"type": "string", "enum": choices}},
        "required": ["reason", "choice"],
        "additionalProperties": False,
    }
