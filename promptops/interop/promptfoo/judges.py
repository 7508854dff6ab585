"""Assertions that a model grades become judges: a prompt file each, and a check that names it."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from promptops.dataclass import dataclass
from promptops.interop.accounts import SourceNode
from promptops.interop.model import PromptDraft
from promptops.interop.pins import pin_model
from promptops.interop.promptfoo.prompts import messages_of
from promptops.interop.promptfoo.reading import ConfigReading

_REASON = {"type": "string"}
_OUTPUT = "<output>\n{{ output }}\n</output>"
_INPUTS = "<inputs>\n{{ inputs }}\n</inputs>"
_CONTEXT = "<context>\n{{ context }}\n</context>"
_QUESTION = "<question>\n{{ query }}\n</question>"
_SHARE = "Give the reason first, then the share as a score from 0 to 1."


def _scored() -> dict[str, Any]:
    return _verdict({"score": {"type": "number", "minimum": 0, "maximum": 1}})


def _chosen(*choices: str) -> dict[str, Any]:
    return _verdict({"choice": {"type": "string", "enum": [*choices]}})


def _verdict(member: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {"reason": dict(_REASON), **member},
        "required": ["reason", *member],
        "additionalProperties": False,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeForm:
    """How one kind of assertion is judged. ``value``: the input that takes its value, "" for none.

    ``passing``: the choices that pass; empty where it scores. ``threshold``: where the assertion has none.
    """

    what: str
    instructions: str
    question: str
    schema: Mapping[str, Any]
    value: str = "rubric"
    inputs: Sequence[str] = ()
    passing: Sequence[str] = ()
    threshold: float | None = None
    note: str = ""


_RUBRIC = JudgeForm(
    what="Hold an answer against a rubric.",
    instructions=(
        "You grade an output by a rubric, and by nothing else. Give the reason first, then a "
        "score from 0 (the rubric is not met at all) to 1 (it is met in full)."
    ),
    question=f"{_OUTPUT}\n\n<rubric>\n{{{{ rubric }}}}\n</rubric>",
    schema=_scored(),
)
_FACTUALITY = JudgeForm(
    what="Hold the facts of an answer against those of an expert.",
    instructions=(
        "You compare the facts in a submitted answer with those in an expert's answer. Style, "
        "grammar and punctuation do not matter. Give the reason first, then choose: subset (it is"
        " a part of the expert's answer and agrees with it), superset (it says more and agrees), "
        "agree (the same details), disagree (the two contradict each other), immaterial (they "
        "differ in what makes no difference to the facts)."
    ),
    question=f"<expert>\n{{{{ facts }}}}\n</expert>\n\n{_INPUTS}\n\n{_OUTPUT}",
    schema=_chosen("subset", "superset", "agree", "disagree", "immaterial"),
    value="facts",
    inputs=("inputs",),
    passing=("subset", "superset", "agree", "immaterial"),
)
_CLOSED_QA = JudgeForm(
    what="Say whether an answer meets a criterion.",
    instructions=(
        "You decide whether a submission meets a criterion. Give the reason first, then choose Y "
        "where it does and N where it does not."
    ),
    question="<inputs>\n{{ inputs }}\n</inputs>\n\n"
    + _OUTPUT
    + "\n\n<criterion>\n{{ criterion }}\n</criterion>",
    schema=_chosen("Y", "N"),
    value="criterion",
    inputs=("inputs",),
    passing=("Y",),
)
FORMS: Mapping[str, JudgeForm] = {
    "llm-rubric": _RUBRIC,
    "g-eval": JudgeForm(
        what="Rate an answer by criteria, thinking of steps first.",
        instructions=(
            "You rate a reply by criteria. Think of the steps in which the criteria can be checked "
            "and go through them. Give the reason first, then a score from 0 (not observed) to 1 "
            "(fully and clearly observed); where there are several criteria, the mean of their "
            "scores."
        ),
        question=f"{_OUTPUT}\n\n<criteria>\n{{{{ criteria }}}}\n</criteria>",
        schema=_scored(),
        value="criteria",
        threshold=0.7,
        note="steps and score come from one call",
    ),
    "factuality": _FACTUALITY,
    "model-graded-factuality": _FACTUALITY,
    "model-graded-closedqa": _CLOSED_QA,
    "answer-relevance": JudgeForm(
        what="Say how much of an answer is about what was asked.",
        instructions=f"You say which share of an answer is about what the user asked. {_SHARE}",
        question=f"{_INPUTS}\n\n{_OUTPUT}",
        schema=_scored(),
        value="",
        inputs=("inputs",),
        threshold=0,
        note="a judge says it; promptfoo compares embeddings of questions that fit the answer",
    ),
    "context-recall": JudgeForm(
        what="Say how much of what is true can be found in a context.",
        instructions=(
            f"You say which share of the sentences of a true statement the context supports. {_SHARE}"
        ),
        question=f"{_CONTEXT}\n\n<truth>\n{{{{ truth }}}}\n</truth>",
        schema=_scored(),
        value="truth",
        inputs=("context",),
        threshold=0,
    ),
    "context-relevance": JudgeForm(
        what="Say how much of a context is needed for an answer.",
        instructions=(
            f"You say which share of the sentences of a context is needed to answer a question. {_SHARE}"
        ),
        question=f"{_QUESTION}\n\n{_CONTEXT}",
        schema=_scored(),
        value="",
        inputs=("query", "context"),
        threshold=0,
    ),
    "context-faithfulness": JudgeForm(
        what="Say how much of an answer its context supports.",
        instructions=(f"You say which share of the claims of an answer follows from the context. {_SHARE}"),
        question=f"{_CONTEXT}\n\n{_QUESTION}\n\n{_OUTPUT}",
        schema=_scored(),
        value="",
        inputs=("query", "context"),
        threshold=0,
    ),
    "conversation-relevance": JudgeForm(
        what="Say how much of a conversation stays with what was said before.",
        instructions=(
            "You say which share of the assistant's messages answers the user's message before it, in"
            f" the light of the conversation so far. {_SHARE}"
        ),
        question="<conversation>\n{{ _conversation }}\n</conversation>\n\n<last>\n{{ output }}\n</last>",
        schema=_scored(),
        value="",
        inputs=("_conversation",),
        threshold=0.5,
        note="a judge looks at the whole conversation at once",
    ),
}
_OPTIONAL = {"inputs": "", "query": "", "_conversation": []}


class JudgeShelf:
    """The judges that the checks of one configuration name; a kind with one model is one prompt."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._drafts: dict[tuple[str, str, str], PromptDraft] = {}

    @property
    def drafts(self) -> list[PromptDraft]:
        return [*self._drafts.values()]

    def name(self, kind: str, model: str, instructions: str = "") -> str:
        """The judge of a kind of assertion, made when it is first asked for."""
        key = (kind, model, instructions)
        if key not in self._drafts:
            number = sum(other[0] == kind for other in self._drafts) + 1
            name = f"{self._prefix}{kind}{f'-{number}' if number > 1 else ''}"
            form = FORMS[kind]
            messages = messages_of(instructions) if instructions else _messages(form)
            self._drafts[key] = PromptDraft(name=name, content=_content(form, model, messages))
        return self._drafts[key].name


def _messages(form: JudgeForm) -> list[dict[str, Any]]:
    return [{"role": "system", "content": form.instructions}, {"role": "user", "content": form.question}]


def _content(form: JudgeForm, model: str, messages: list[dict[str, Any]]) -> dict[str, Any]:
    written = "\n".join(str(message.get("content", "")) for message in messages)
    names = [
        name for name in ("output", *form.inputs, form.value) if name and re.search(rf"\b{name}\b", written)
    ]
    return {
        "description": form.what,
        "model": model,
        "inputs": {name: _input(name) for name in names},
        "messages": messages,
        "output": {"schema": dict(form.schema), "extract": "json"},
    }


def _input(name: str) -> Any:
    kind = "array" if name == "_conversation" else "string"
    return {"type": kind, "default": _OPTIONAL[name]} if name in _OPTIONAL else kind


def judge_check(kind: str, judge: str, value: Any, threshold: float | None) -> dict[str, Any]:
    """The check that asks it."""
    form = FORMS[kind]
    argument: dict[str, Any] = {"prompt": judge}
    if form.value and value is not None:
        argument["inputs"] = {form.value: value}
    if form.passing:
        argument["pass"] = list(form.passing)
    least = form.threshold if threshold is None else threshold
    return {"judge": argument} | ({} if least is None or form.passing else {"threshold": least})


def grader_models(node: SourceNode, reading: ConfigReading) -> tuple[str, str]:
    """The models of a grading ``provider``: one that writes, one of embeddings; "" where none is named."""
    writing, embedding = "", ""
    if isinstance(node.value, Mapping) and "id" not in node.value:
        for key, each in node.members():
            found = grader_models(each, reading)
            if key == "embedding":
                embedding = found[1] or found[0]
            else:
                writing = found[0]
        return writing, embedding
    named = node.get("id") or node
    pin = pin_model(str(named.value), reading.project)
    if pin is None:
        named.lose("no model that is known by this name")
        return "", ""
    named.change(pin.note) if pin.note else named.keep()
    if config := node.get("config"):
        config.lose("a judge has its own parameters; write them into its file")
    return ("", pin.model) if pin.embedding else (pin.model, "")
