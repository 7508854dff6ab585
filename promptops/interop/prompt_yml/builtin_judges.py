"""Judges in place of GitHub Models' ``uses: github/…``: the same question on the same scale, in our words."""

from collections.abc import Mapping
from typing import Any

BUILTIN_JUDGES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "similarity": (
        """Does the answer say the same as the right one? 1: nothing of it, 3: some of it, 5: all of it. How
it is worded does not matter.""",
        ("input", "expected", "output"),
    ),
    "coherence": (
        """Do the sentences of the answer follow from each other, in an order that is easy to follow? 1:
they have nothing to do with each other, 3: partly, 5: each follows from those before it. Whether it is true
does not matter.""",
        ("input", "output"),
    ),
    "fluency": (
        """Is the language of the answer correct and good to read? 1: hardly to be understood, 3: correct but
simple, 5: without a fault and well put. What it says does not matter.""",
        ("output",),
    ),
    "relevance": (
        """Does the answer answer the question? 1: it is about something else, 3: in part, 5: wholly, and with
nothing that was not asked for.""",
        ("input", "output"),
    ),
    "groundedness": (
        """Does all that the answer says stand in the context? 1: nothing of it, 3: it answers with something
that the context does not say, 5: all of it, and nothing important is left out.""",
        ("input", "expected", "output"),
    ),
}
"""By name: what is judged, and what the judge is shown."""

_SHOWN = {"input": "question", "output": "answer", "expected": "right answer"}
_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {"reason": {"type": "string"}, "score": {"type": "integer", "minimum": 1, "maximum": 5}},
    "required": ["reason", "score"],
    "additionalProperties": False,
}


def builtin_judge(name: str) -> dict[str, Any]:
    """The keys of its prompt file, without the model."""
    question, inputs = BUILTIN_JUDGES[name]
    shown = _SHOWN | ({"expected": "context"} if name == "groundedness" else {})
    parts = [f"{shown[each]}:\n{{{{ {each} }}}}" for each in inputs]
    asked = " ".join(question.split())
    system = f"You judge a language model's answer. {asked} Answer as JSON: `reason`, then `score`, 1 to 5."
    return {
        "description": f"Judges {name} from 1 to 5, in place of `github/{name}`.",
        "inputs": dict.fromkeys(inputs, "string"),
        "messages": [{"role": "system", "content": system}, {"role": "user", "content": "\n\n".join(parts)}],
        "output": {"schema": _SCHEMA},
    }
