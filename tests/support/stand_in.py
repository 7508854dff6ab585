"""The model that answers in the pages: the same answer to the same question, as the page needs it."""

import json
from collections.abc import Mapping
from typing import Any

from support.provider import Answer, Received, reply, text

_USAGE = {"prompt_tokens": 40, "completion_tokens": 12, "total_tokens": 52}
_REPLIES = {
    "Where is it?": "Your copy of Emma left our shop this morning.",
    "Where is my parcel?": "I see no order of yours yet, Ada. Which address did you order with?",
    "Who wrote Emma?": "Jane Austen wrote Emma. It came out in 1815.",
    "Describe this picture in one sentence.": "A small white square.",
}


def stand_in(request: Received) -> Answer:
    body = request.body
    question = _text(body["messages"][-1]["content"])
    if body.get("tools"):
        call = {"name": "find_order", "arguments": json.dumps({"number": "17"})}
        calls = [{"id": "call_1", "type": "function", "function": call}]
        return reply({"role": "assistant", "tool_calls": calls}, finish="tool_calls", usage=_USAGE)
    system = _text(body["messages"][0]["content"])
    return text(_answer(system, question, body["model"]), usage=_USAGE)


def stand_in_answer(request: Mapping[str, Any]) -> str:
    """The text alone, as a batch service is asked for it."""
    messages = request["messages"]
    return _answer(_text(messages[0]["content"]), _text(messages[-1]["content"]), request["model"])


def _answer(system: str, question: str, model: str) -> str:
    if system.startswith("Label each"):
        return "good"
    if system.startswith("You judge"):
        return json.dumps({"reason": "It is well put.", "score": 5})
    if system.startswith("Say how each"):
        return "It sounds good to me."
    if system.startswith("Route the ticket"):
        return "This is for billing." if "5.4" in model else "billing"
    if question.startswith("Greet "):
        return f"Hello {question[6:-1]}, how good to see you!"
    return _REPLIES.get(question, "I cannot say.")


def _text(content: Any) -> str:
    if isinstance(content, list):
        return "".join(part.get("text", "") for part in content)
    return str(content)
