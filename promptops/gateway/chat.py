"""``POST /v1/chat/completions``."""

from dataclasses import dataclass

from aiohttp import web

from promptops.gateway.answering import Answering
from promptops.gateway.body import read_object
from promptops.gateway.chat_request import parse_chat_request
from promptops.runner.retry import Limits


@dataclass(frozen=True, slots=True)
class ChatCompletions:
    """Answers chat requests from what is released."""

    answering: Answering
    limits: Limits
    refuse_parameters: bool = False

    async def post(self, request: web.Request) -> web.StreamResponse:
        caller = self.answering.access.caller(request)
        body = await read_object(request)
        asked = parse_chat_request(
            body, request.headers, caller, self.limits, refuse_parameters=self.refuse_parameters
        )
        return await self.answering.answer(request, caller, body, asked)
