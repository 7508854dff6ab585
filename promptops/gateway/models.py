"""``GET /v1/models``: what channels serve, and which inputs it takes."""

from typing import Any

from aiohttp import web

from promptops.dataclass import dataclass
from promptops.errors import NotFound
from promptops.gateway.access import Access
from promptops.gateway.answers import json_answer
from promptops.gateway.passthrough import Passthrough
from promptops.service import Service
from promptops.service.chat_inputs import find_chat_inputs
from promptops.versions.references import suggest_nearest
from promptops.versions.resolve import Version


@dataclass(frozen=True, slots=True)
class ServedModels:
    """The list of what is served now."""

    service: Service
    access: Access
    passthrough: Passthrough

    async def list(self, request: web.Request) -> web.Response:
        served = await self._served(request)
        plain = self.passthrough.listed(self.access.caller(request))
        data = [*(_model(*each) for each in sorted(served.items())), *map(_plain_model, plain)]
        return json_answer({"object": "list", "data": data})

    async def get(self, request: web.Request) -> web.Response:
        served, wanted = await self._served(request), request.match_info["model"]
        if wanted not in served:
            hint = suggest_nearest(wanted, sorted(served), "nothing is released yet")
            raise NotFound(f"nothing is served as `{wanted[:300]}`", hint=hint)
        return json_answer(_model(wanted, served[wanted]))

    async def _served(self, request: web.Request) -> dict[str, Version]:
        caller = self.access.caller(request)
        served = await self.service.serving()
        return {name: version for name, version in served.items() if caller.may_call(name)}


def _plain_model(model: str) -> dict[str, Any]:
    return {"id": model, "object": "model", "created": 0, "owned_by": model.partition("/")[0]}


def _model(reference: str, version: Version) -> dict[str, Any]:
    prompt, places = version.prompt, find_chat_inputs(version.prompt)
    inputs = {
        each.name: {
            **(each.schema if each.kind == "value" else {"type": each.kind}),
            "required": each.required,
        }
        for each in prompt.inputs.values()
    }
    return {
        "id": reference,
        "object": "model",
        "created": 0,
        "owned_by": "promptops",
        "promptops": {
            "prompt": prompt.name,
            "description": prompt.description,
            "version": version.version,
            "digest": f"sha256:{prompt.digest}",
            "inputs": inputs,
            "last_user_message": places.text if places else None,
            "earlier_messages": places.history if places else None,
        },
    }
