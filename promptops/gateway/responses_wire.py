"""Runs as OpenAI's responses, whole and as events. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from promptops.gateway.answers import json_bytes
from promptops.gateway.chat_wire import created_at, run_facts
from promptops.gateway.errors import ApiError
from promptops.providers.types import REFUSAL
from promptops.registry import StartedRun
from promptops.runner import Run

_EMPTY_TEXT: Mapping[str, Any] = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
_EMPTY_REFUSAL: Mapping[str, Any] = {"type": "refusal", "refusal": ""}


class ResponsesWire:
    """One answer as a response, whole or as the events of its making."""

    def __init__(self, run: StartedRun) -> None:
        self._id = run.run_id
        self._model = run.request_model
        self._created_at = created_at(run)
        self._prompt = {"id": run.prompt, "version": run.version, "variables": None}
        self._sent = 0
        self._heard = False
        self._text = ""  # what has been sent of it

    def whole(self, run: Run) -> dict[str, Any]:
        reason = "max_output_tokens" if run.truncated else "content_filter" if run.blocked else None
        status = "incomplete" if reason else "completed"
        return {
            **self._response(status, [*self._items(run)]),
            "model": run.model,
            "incomplete_details": {"reason": reason} if reason else None,
            "usage": _usage(run),
            "promptops": run_facts(run),
        }

    def begin(self) -> bytes:
        begun = {"response": self._response("in_progress", [])}
        return self._event("response.created", begun) + self._event("response.in_progress", begun)

    def piece(self, text: str) -> bytes:
        self._text += text
        opened = b"" if self._heard else self._open_part(_EMPTY_TEXT)
        self._heard = True
        return opened + self._event("response.output_text.delta", self._at({"delta": text, "logprobs": []}))

    def end(self, run: Run) -> bytes:
        """What follows the text: its end, tool calls, and the whole response."""
        events = []
        for index, item in enumerate(self._items(run)):
            if item["type"] == "message":
                events.append(self._close_message(item))
            else:
                events.append(self._call(index, item))
        whole = self.whole(run)
        events.append(self._event(f"response.{whole['status']}", {"response": whole}))
        return b"".join(events)

    def failure(self, error: ApiError) -> bytes:
        failed = self._response("failed", [])
        failed["error"] = {"code": error.code or "server_error", "message": error.message}
        return self._event("response.failed", {"response": failed})

    def _open_part(self, part: Mapping[str, Any]) -> bytes:
        item = {"id": self._message_id, "type": "message", "role": "assistant", "status": "in_progress"}
        added = {"output_index": 0, "item": {**item, "content": []}}
        return self._event("response.output_item.added", added) + self._event(
            "response.content_part.added", self._at({"part": part})
        )

    def _close_message(self, item: Mapping[str, Any]) -> bytes:
        (part,) = item["content"]
        refused = part["type"] == "refusal"
        if self._heard:
            events = []
        elif not refused and part["text"]:  # what is said in place of a blocked answer
            events = [self.piece(part["text"])]
        else:
            events = [self._open_part(_EMPTY_REFUSAL if refused else _EMPTY_TEXT)]
        if refused:
            events.append(self._event("response.refusal.delta", self._at({"delta": part["refusal"]})))
            events.append(self._event("response.refusal.done", self._at({"refusal": part["refusal"]})))
        else:
            ended = {"text": part["text"], "logprobs": []}
            events.append(self._event("response.output_text.done", self._at(ended)))
        return b"".join(
            [
                *events,
                self._event("response.content_part.done", self._at({"part": part})),
                self._event("response.output_item.done", {"output_index": 0, "item": item}),
            ]
        )

    def _call(self, index: int, item: Mapping[str, Any]) -> bytes:
        place = {"output_index": index, "item_id": item["id"]}
        begun = {**item, "arguments": "", "status": "in_progress"}
        arguments = item["arguments"]
        done = {**place, "name": item["name"], "arguments": arguments}
        return b"".join(
            [
                self._event("response.output_item.added", {"output_index": index, "item": begun}),
                self._event("response.function_call_arguments.delta", {**place, "delta": arguments}),
                self._event("response.function_call_arguments.done", done),
                self._event("response.output_item.done", {"output_index": index, "item": item}),
            ]
        )

    @property
    def _message_id(self) -> str:
        return f"msg_{self._id}"

    def _at(self, what: Mapping[str, Any]) -> dict[str, Any]:
        return {"item_id": self._message_id, "output_index": 0, "content_index": 0, **what}

    def _items(self, run: Run) -> Iterator[dict[str, Any]]:
        text = (self._text or run.message) if run.blocked else run.text
        for item in answer_items(self._id, text, run.tool_calls):
            if item["type"] == "message" and run.finish_reason == REFUSAL:
                item["content"] = [{"type": "refusal", "refusal": run.text}]
            if item["type"] == "message" and (run.truncated or run.blocked):
                item["status"] = "incomplete"
            yield item

    def _response(self, status: str, output: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "id": f"resp_{self._id}",
            "object": "response",
            "created_at": self._created_at,
            "status": status,
            "error": None,
            "incomplete_details": None,
            "instructions": None,
            "metadata": {},
            "model": self._model,
            "output": output,
            "parallel_tool_calls": True,
            "previous_response_id": None,
            "prompt": self._prompt,
            "store": False,
            "temperature": None,
            "text": {"format": {"type": "text"}},
            "tool_choice": "auto",
            "tools": [],
            "top_p": None,
            "usage": None,
        }

    def _event(self, kind: str, content: Mapping[str, Any]) -> bytes:
        data = {"type": kind, "sequence_number": self._sent, **content}
        self._sent += 1
        return b"event: %b\ndata: %b\n\n" % (kind.encode(), json_bytes(data))


def answer_items(run_id: str, text: str, tool_calls: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """The items of an answer; their ids lead back to the run."""
    if text or not tool_calls:
        yield {
            "id": f"msg_{run_id}",
            "type": "message",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": text, "annotations": [], "logprobs": []}],
        }
    for number, call in enumerate(tool_calls):
        function = call.get("function") or {}
        yield {
            "id": f"fc_{run_id}_{number}",
            "type": "function_call",
            "call_id": call.get("id"),
            "name": function.get("name"),
            "arguments": function.get("arguments"),
            "status": "completed",
        }


def _usage(run: Run) -> dict[str, Any] | None:
    if run.input_tokens is None or run.output_tokens is None:
        return None
    return {
        "input_tokens": run.input_tokens,
        "input_tokens_details": {"cached_tokens": run.cached_tokens or 0},
        "output_tokens": run.output_tokens,
        "output_tokens_details": {"reasoning_tokens": run.reasoning_tokens or 0},
        "total_tokens": run.input_tokens + run.output_tokens,
    }
