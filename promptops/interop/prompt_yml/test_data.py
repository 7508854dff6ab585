"""``testData``: rows of variables as cases of a golden set."""

from collections.abc import Mapping, Sequence
from typing import Any

from promptops.errors import Invalid
from promptops.interop.accounts import KeyAccounts
from promptops.interop.placeholders import InputNames
from promptops.interop.values import text_of_value

_EXPECTED = "expected"
_MAX_FILLED = 100_000  # values that rows lack


def read_rows(
    rows: Any, in_messages: Sequence[str], names: InputNames, keys: KeyAccounts, imported: dict[str, Any]
) -> list[dict[str, Any]]:
    """One case a row. ``names`` has the variables that messages and checks use."""
    if rows == []:
        keys.keep("testData")
    if not isinstance(rows, list):
        return []
    cases = []
    filled = 0
    unused: dict[str, Any] = {}
    for index, row in enumerate(rows):
        if not isinstance(row, dict):
            unused[str(index)] = row
            keys.lose(("testData", index), "a row is a mapping of variables")
            continue
        missing = [name for name in in_messages if name not in row]
        filled += len(missing)
        if filled > _MAX_FILLED:
            raise Invalid(
                f"testData lacks more than {_MAX_FILLED:,} values of variables", hint="leave such rows out"
            )
        cases.append(_case(row, index, missing, names, keys))
        for key in row:
            if key not in names.names and key != _EXPECTED:
                unused.setdefault(str(index), {})[key] = row[key]
                keys.lose(("testData", index, key), "no message and no evaluator uses it")
    if unused:
        imported["testData"] = unused
    return cases


def _case(
    row: Mapping[str, Any], index: int, missing: Sequence[str], names: InputNames, keys: KeyAccounts
) -> dict[str, Any]:
    inputs = {names[name]: _go_text(value) for name, value in row.items() if name in names.names}
    inputs |= {names[name]: f"{{{{{name}}}}}" for name in missing}
    if missing:
        note = f"no {', '.join(missing)}: the placeholder itself is the text, as GitHub Models sent it"
        keys.change(("testData", index), note)
    else:
        keys.keep("testData", index)
    for key in row:
        if key in names.names and not isinstance(row[key], str):
            keys.change(("testData", index, key), "a text, as placeholders write it")
    case: dict[str, Any] = {"inputs": inputs}
    if _EXPECTED in row:
        case[_EXPECTED] = row[_EXPECTED]
    return case


def _go_text(value: Any) -> str:
    """Whole numbers without a point, as Go writes them."""
    whole = isinstance(value, float) and value.is_integer() and abs(value) < 1e21
    return str(int(value)) if whole else text_of_value(value)
