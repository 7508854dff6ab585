"""``item_reference``: items of earlier answers, which clients name in place of sending them.

Nothing is kept for that but the log: it has the run of the answer, though not always its texts.
"""

import re
from collections.abc import Mapping
from typing import Any

from promptops.dataclass import dataclass
from promptops.gateway.access import Caller
from promptops.gateway.errors import ApiError
from promptops.gateway.responses_wire import answer_items
from promptops.gateway.run_records import own_run
from promptops.registry import RegistryDatabase, without_held_text
from promptops.service import Service

_ITEM = re.compile(r"(?:msg|fc)_(?P<run>[0-9A-Z]{26})(?:_\d{1,4})?", re.ASCII)
_MAX_REFERENCES = 256
_SEND_THEM = "send the items themselves (store: false in most clients)"


@dataclass(frozen=True, slots=True)
class ItemReferences:
    """Puts in what a request refers to."""

    service: Service

    async def resolve(self, body: Mapping[str, Any], caller: Caller) -> Mapping[str, Any]:
        """The body with items in place of references. Raises ApiError for one that is not in the log."""
        items = body.get("input")
        if not isinstance(items, list) or not any(map(_is_reference, items)):
            return body
        if sum(map(_is_reference, items)) > _MAX_REFERENCES:
            raise ApiError(400, f"more than {_MAX_REFERENCES} item references", "invalid_value", "input")

        def look_up(registry: RegistryDatabase) -> list[Any]:
            return [_item(registry, caller, item) if _is_reference(item) else item for item in items]

        return {**body, "input": await self.service.journal.with_registry(look_up)}


def _is_reference(item: Any) -> bool:
    return isinstance(item, dict) and item.get("type") == "item_reference"


def _item(registry: RegistryDatabase, caller: Caller, reference: Mapping[str, Any]) -> dict[str, Any]:
    name = str(reference.get("id"))[:80]
    found = _ITEM.fullmatch(name)
    try:
        run = without_held_text(registry, own_run(registry, caller, found["run"] if found else ""))
    except ApiError:
        run = None
    is_there = run is not None and not run["redacted"] and run["held"] in (None, "released")
    if run is not None and is_there:
        items = answer_items(run["run_id"], run["output"] or "", run["tool_calls"])
        for item in items:
            if item["id"] == name:
                return item
    raise ApiError(400, f"the item `{name}` is not in the log; {_SEND_THEM}", "invalid_value", "input")
